"""Writes a new plugin: one that works, with a stand-in of its vendor, and passes the examination untouched."""

import keyword
import re
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

__all__ = ["CannotWrite", "write"]

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 40
#: ``assay_sdk`` is this very package, and ``/hooks/billing`` is where payments are told of.
RESERVED = frozenset({"sdk", "billing", "tenants"})
_SUFFIX = ".txt"


class CannotWrite(Exception):
    """The plugin can't be written; the text says why, in a sentence."""


def write(name: str, into: Path) -> Path:
    """A folder for the plugin ``name`` inside ``into``; gives it. Raises CannotWrite, having written nothing."""
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise CannotWrite(
            f"A plugin's name is lower-case letters, digits and single dashes, begins with a letter, and has at most "
            f"{LONGEST} characters, such as acme or acme-crm; not {name!r}."
        )
    if name in RESERVED:
        raise CannotWrite(f"{name!r} is a name of Assay's own; take another.")
    if keyword.iskeyword(name):
        raise CannotWrite(f"{name!r} is a word of Python's own; take another name.")
    folder = into / f"assay-{name}"
    if folder.exists():
        raise CannotWrite(f"{folder} exists already; nothing was written.")
    words = _words(name)
    try:
        for template, path in _templates(files(__package__) / "templates"):
            target = folder / _filled(path.removesuffix(_SUFFIX).replace("__package__", "%package%"), words)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_filled(template.read_text(encoding="utf-8"), words), encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"{folder} can't be written: {error.strerror or error}.") from None
    return folder


def _words(name: str) -> dict[str, str]:
    parts = name.split("-")
    return {
        "name": name,
        "package": f"assay_{name.replace('-', '_')}",
        "Class": "".join(part[:1].upper() + part[1:] for part in parts),
        "title": " ".join(part.capitalize() for part in parts),
        "ENV": name.replace("-", "_").upper(),
        "range": _range(version("assay-sdk")),
    }


def _range(installed: str) -> str:
    """The versions of the SDK that a plugin written today can be loaded by."""
    major, minor = (int(part) for part in installed.split(".")[:2])
    until = f"0.{minor + 1}" if major == 0 else str(major + 1)
    return f">={major}.{minor},<{until}"


def _templates(folder: Traversable, path: str = "") -> list[tuple[Traversable, str]]:
    found = []
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        below = f"{path}{entry.name}"
        if entry.is_dir():
            found += _templates(entry, f"{below}/")
        elif entry.name.endswith(_SUFFIX):
            found.append((entry, below))
    return found


def _filled(text: str, words: dict[str, str]) -> str:
    return re.sub(r"%(\w+)%", lambda found: words.get(found[1], found[0]), text)
