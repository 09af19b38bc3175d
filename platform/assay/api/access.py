"""Who is asking: the API key of the request."""

from flask import g, request

from assay_tenants.errors import NotSignedIn
from assay_tenants.keys import Caller, find_caller

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


def caller() -> Caller:
    known: Caller = g.api_caller
    return known


def tenant_id() -> int:
    return caller().tenant_id
