"""What the code must not do, wherever it is written."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = sorted(
    file
    for folder in ("platform/assay", "tenants/assay_tenants", "plugins")
    for file in (ROOT / folder).rglob("*.py")
    if not {"node_modules", "tests"} & set(file.parts)
)

_CLIENTS = {"httpx", "httpcore", "requests", "urllib.request", "urllib3", "http.client", "aiohttp", "smtplib", "socket"}
#: Who may reach out without the guard, and why no tenant can say whereto.
REACHING_OUT = {
    "plugins/sdk/src/assay_sdk/egress.py": "the guard itself",
    "plugins/sdk/src/assay_sdk/addresses.py": "the guard's table; it opens nothing",
    "platform/assay/cli/models.py": "a person's own command line calls the server that its user names",
    "platform/assay/cli/imports.py": "likewise",
    "platform/assay/cli/run.py": "looks whether our own port answers",
    "platform/assay/senders.py": "options of the sockets that the web server listens at",
    "platform/assay/servers.py": "looks whether our own Redis answers at its socket",
    "platform/assay/supervisor.py": "a pair of sockets inside the process, for signals",
    "platform/assay/worker/service.py": "this machine's name",
    "tenants/assay_tenants/mailing/post.py": "the mail server that the operator configured",
}
_WORDS = "hash|digest|signature|token|secret|password|mac|otp|code_hash|check_value|csrf"
_SECRET = re.compile(rf"(^|_)({_WORDS})$")
# Most files need no closer look.
_MENTIONED = re.compile(r"import.*(httpx|httpcore|requests|urllib|http|aiohttp|smtplib|socket)")
_COMPARED = re.compile(rf"({_WORDS})\)* *[!=]= |[!=]= .*({_WORDS})\b")
#: Comparisons that look like those of secrets.
COMPARING = {
    ("platform/assay/delivery/settling.py", "digest"): "of what was sent and is to be sent, both our own",
    ("plugins/calendly/src/assay_calendly/api.py", "token"): "the place of a page in Calendly's list",
    ("platform/assay/scoring/engine/evaluating.py", "hash"): "the hash of a model's content, which is public",
    ("platform/assay/web/leads.py", "hash"): "likewise",
    ("platform/assay/web/leads.py", "content_hash"): "likewise",
    ("tenants/assay_tenants/access/service.py", "password_hash"): "the stored one as read twice; nobody types it",
    ("tenants/assay_tenants/access/passwords.py", "password"): "a new password and what is left of it",
    ("tenants/assay_tenants/access/recovery.py", "password"): "the new password and the old one, typed in one form",
    ("tenants/assay_tenants/resealing.py", "check_value"): "of keys that both are this installation's; nobody types it",
}


@cache
def _text(file: Path) -> str:
    return file.read_text()


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


#: Of httpx: what reaches out. The rest are types, errors and parsers.
_REACHES = {
    "Client",
    "AsyncClient",
    "HTTPTransport",
    "get",
    "post",
    "put",
    "patch",
    "delete",
    "request",
    "stream",
    "head",
}


def test_whatever_reaches_out_does_so_through_the_guard() -> None:
    found = set()
    for file in FILES:
        if not _MENTIONED.search(_text(file)):
            continue
        tree = ast.parse(_text(file))
        for module in set(_imported(tree)) & _CLIENTS:
            if module != "httpx" or _opens_one(tree):
                found.add(_name(file))
    assert sorted(found - REACHING_OUT.keys()) == [], "use assay_sdk.egress.client(), or say here why not"
    assert all(REACHING_OUT.values())


def _opens_one(tree: ast.AST) -> bool:
    """Whether httpx is called for more than its types, errors and parsers: ``client: httpx.Client`` reaches nowhere."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "httpx"
        and node.func.attr in _REACHES
        for node in ast.walk(tree)
    )


def test_secrets_are_compared_in_constant_time() -> None:
    found = set()
    for file in FILES:
        if not _COMPARED.search(_text(file)) or _is_of_a_stand_in(file):
            continue
        for node in ast.walk(ast.parse(_text(file))):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
                sides = [node.left, *node.comparators]
                if any(_is_column(side) or isinstance(side, ast.Constant) for side in sides):
                    continue
                found |= {(_name(file), word) for side in sides if (word := _secret_word(side))}
    assert sorted(found - COMPARING.keys()) == [], "use hmac.compare_digest, or say here why not"


def _is_of_a_stand_in(file: Path) -> bool:
    """Vendors' stand-ins know nobody's secrets: theirs are made up at each start."""
    return "simulator" in (*file.parts, file.stem)


def _is_column(node: ast.expr) -> bool:
    """A column of a model in a query, which the database compares by an index of hashes."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id[:1].isupper()


def _secret_word(node: ast.expr) -> str | None:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name if _SECRET.search(name) else None
