"""Who is asking, with an API key or an access token, and what they may: asked of every request, in one place."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, cast

from flask import current_app, g, request

from assay.api.bearers import HOW, Bearers, Caller
from assay_tenants.context import Actor, act_as
from assay_tenants.errors import AssayError, Forbidden, NotSignedIn
from assay_tenants.oauth.issuer import issuer
from assay_tenants.permissions import IN_WORDS, Permission

View = TypeVar("View", bound=Callable[..., object])

REALM = "assay"
#: Where a client finds out who grants tokens for this API (RFC 9728).
RESOURCE_METADATA = "/.well-known/oauth-protected-resource/api/v1"
#: What a header may carry between quotes.
_QUOTABLE = {code: chr(code) for code in range(0x20, 0x7F) if chr(code) not in '"\\'}

_bearers = Bearers()


class KeyMissing(NotSignedIn):
    code = "key_missing"

    def __init__(self) -> None:
        super().__init__(f"This needs an API key or an access token. {HOW}")


class Unstated(Forbidden):
    """A route that nobody has said who may ask."""

    def __init__(self) -> None:
        super().__init__("This is open to nobody.")


def recognise() -> None:
    """Before each request: raises NotSignedIn unless it came with a valid API key or access token."""
    authorization = request.authorization
    if authorization is None or authorization.type != "bearer" or not authorization.token:
        raise KeyMissing
    if not hasattr(current_app.view_functions[request.endpoint or ""], "needs"):
        raise Unstated
    found = _bearers.find(authorization.token)
    g.api_caller = found
    act_as(Actor(found.kind, found.id, found.name, request.remote_addr or ""))


def caller() -> Caller:
    known: Caller = g.api_caller
    return known


def tenant_id() -> int:
    return caller().tenant_id


def by() -> str:
    """Whoever asks, as records of what was done name them."""
    return caller().name


class NotPermitted(Forbidden):
    """The caller is known, and was not given this."""

    code = "insufficient_scope"

    def __init__(self, permission: Permission) -> None:
        self.permission = permission
        super().__init__(
            f"This needs the scope {permission} ({IN_WORDS[permission].lower()}), which the caller has not."
        )


def requiring(permissions: tuple[Permission, ...], view: View) -> View:
    """The view, for callers that were given all of these."""

    @wraps(view)
    def guarded(*args: object, **kwargs: object) -> object:
        for permission in permissions:
            if permission not in caller().scopes:
                raise NotPermitted(permission)
        return view(*args, **kwargs)

    guarded.needs = permissions  # type: ignore[attr-defined] # read by those who check that each view states it
    return cast(View, guarded)


def challenge(error: AssayError) -> str | None:
    """The header WWW-Authenticate for this error (RFC 6750, RFC 9728); None where it says nothing."""
    if isinstance(error, NotPermitted):
        parts = ['error="insufficient_scope"', f'scope="{error.permission}"']
    elif isinstance(error, KeyMissing):
        parts = []
    elif isinstance(error, NotSignedIn):
        parts = ['error="invalid_token"']
    else:
        return None
    if parts:
        parts.insert(1, f'error_description="{_quotable(error.message)}"')
    if metadata := _resource_metadata():
        parts.append(f'resource_metadata="{metadata}"')
    return ", ".join([f'Bearer realm="{REALM}"', *parts])


def _quotable(text: str) -> str:
    return "".join(_QUOTABLE.get(ord(letter), "'" if letter in '“”"' else "") for letter in text)


def _resource_metadata() -> str | None:
    if RESOURCE_METADATA not in current_app.extensions.setdefault("assay_rules", _rules()):
        return None
    return issuer().address + RESOURCE_METADATA


def _rules() -> frozenset[str]:
    return frozenset(rule.rule for rule in current_app.url_map.iter_rules())
