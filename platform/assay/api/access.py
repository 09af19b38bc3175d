"""Who is asking: the API key of the request."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, cast

from flask import g, request

from assay_tenants.context import Actor, act_as
from assay_tenants.errors import Forbidden, NotSignedIn
from assay_tenants.keys import Caller, find_caller
from assay_tenants.permissions import IN_WORDS, Permission

View = TypeVar("View", bound=Callable[..., object])

_HOW = 'Send an API key as "Authorization: Bearer ak_…"; keys are made under Settings.'


class KeyMissing(NotSignedIn):
    code = "key_missing"

    def __init__(self) -> None:
        super().__init__(f"This needs an API key. {_HOW}")


class KeyRefused(NotSignedIn):
    code = "key_refused"

    def __init__(self) -> None:
        super().__init__(f"This API key is unknown, revoked or expired. {_HOW}")


class WrongKindOfKey(NotSignedIn):
    code = "wrong_kind_of_key"

    def __init__(self) -> None:
        super().__init__(f"This is a write key, which may only send events. {_HOW}")


def recognise() -> None:
    """Before each request: raises NotSignedIn unless it came with a valid API key."""
    authorization = request.authorization
    if authorization is None or authorization.type != "bearer" or not authorization.token:
        raise KeyMissing
    secret = authorization.token
    found = find_caller(secret, kind="api")
    if found is None:
        if find_caller(secret, kind="write") is not None:
            raise WrongKindOfKey
        raise KeyRefused
    g.api_caller = found
    act_as(Actor("key", str(found.key_id), f"API key {found.key_id}", request.remote_addr or ""))


def caller() -> Caller:
    known: Caller = g.api_caller
    return known


def tenant_id() -> int:
    return caller().tenant_id


class NotPermitted(Forbidden):
    """The caller is known, and was not given this."""

    code = "insufficient_scope"

    def __init__(self, permission: Permission) -> None:
        super().__init__(
            f"This needs the scope {permission} ({IN_WORDS[permission].lower()}), which the caller has not."
        )


def requiring(permission: Permission, view: View) -> View:
    """The view, for callers that were given this permission."""

    @wraps(view)
    def guarded(*args: object, **kwargs: object) -> object:
        if permission not in caller().scopes:
            raise NotPermitted(permission)
        return view(*args, **kwargs)

    return cast(View, guarded)
