"""What an app may ask for: permissions, and what OpenID Connect tells of the person."""

from collections.abc import Collection, Iterable
from typing import Final, Literal, get_args

from assay_tenants.models import Role
from assay_tenants.permissions import IN_WORDS, PERMISSIONS, Permission, within

IdentityScope = Literal["openid", "profile", "email", "offline_access"]

IDENTITY: Final = frozenset(get_args(IdentityScope))
ALL: Final[frozenset[str]] = frozenset(PERMISSIONS) | IDENTITY

#: As a consent page says them.
WORDS: Final[dict[str, str]] = {
    "openid": "Know that it is you",
    "profile": "See your name",
    "email": "See your e-mail address",
    "offline_access": "Stay connected while you are away",
    **{str(permission): words for permission, words in IN_WORDS.items()},
}

#: Whoever has one of these can let others in, or lock somebody out: a consent page says so.
POWERFUL: Final[frozenset[str]] = frozenset(
    {"keys:manage", "members:manage", "security:manage", "apps:manage", "tenant:manage", "connections:manage"}
)

_ORDER: Final = {scope: place for place, scope in enumerate(WORDS)}


def in_order(scopes: Iterable[str]) -> list[str]:
    """Each once, as they stand in the table; words that are no scope of ours at the end."""
    return sorted(set(scopes), key=lambda scope: (_ORDER.get(scope, len(_ORDER)), scope))


def permissions_of(scopes: Iterable[str]) -> frozenset[Permission]:
    return PERMISSIONS & frozenset(scopes)


def for_role(role: Role, scopes: Collection[str]) -> list[str]:
    """Of ``scopes``, what somebody of this role can give: all that is their own, and what the role may do."""
    return in_order((IDENTITY & frozenset(scopes)) | within(role, permissions_of(scopes)))
