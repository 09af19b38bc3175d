"""What a role may do: the one table, which pages, API and docs all go by.

A permission is also a scope, of an API key or of a token that somebody granted to an app: both can be given less than
the role has, never more.
"""

from collections.abc import Collection, Mapping
from typing import Final, Literal, get_args

from assay_tenants.models import Role

Permission = Literal[
    "leads:read",
    "leads:write",
    "leads:reveal",
    "events:write",
    "imports:read",
    "imports:write",
    "models:read",
    "models:write",
    "models:publish",
    "settings:read",
    "settings:write",
    "keys:manage",
    "connections:manage",
    "members:read",
    "members:manage",
    "security:manage",
    "apps:manage",
    "audit:read",
    "usage:read",
    "privacy:manage",
    "billing:manage",
    "tenant:manage",
]

#: Each in words, as a consent page says them.
IN_WORDS: Final[Mapping[Permission, str]] = {
    "leads:read": "See leads, companies, scores and their reasons",
    "leads:write": "Add to leads, judge them, join them and tell them apart",
    "leads:reveal": "See fields that are marked sensitive",
    "events:write": "Send events",
    "imports:read": "See imports",
    "imports:write": "Import files and undo imports",
    "models:read": "See scoring models and what they would do",
    "models:write": "Draft scoring models, preview and replay them",
    "models:publish": "Publish, roll back and archive scoring models",
    "settings:read": "See settings and refused messages",
    "settings:write": "Change settings and replay refused messages",
    "keys:manage": "Make and revoke keys and API clients",
    "connections:manage": "Connect and disconnect tools",
    "members:read": "See who is a member",
    "members:manage": "Invite and remove members and change their roles",
    "security:manage": "Set up single sign-on, provisioning and the rules for logging in",
    "apps:manage": "Register partner apps, install them and remove them",
    "audit:read": "Read the audit log",
    "usage:read": "See usage and plan",
    "privacy:manage": "Export and erase a person's data",
    "billing:manage": "Change the plan",
    "tenant:manage": "Rename the company, and name its owners",
}

PERMISSIONS: Final = frozenset(get_args(Permission))

_VIEWER: frozenset[Permission] = frozenset({"leads:read", "models:read"})
_EDITOR: frozenset[Permission] = _VIEWER | {
    "leads:write",
    "events:write",
    "imports:read",
    "imports:write",
    "models:write",
    "models:publish",
    "settings:read",
    "members:read",
    "usage:read",
}
_ADMIN: frozenset[Permission] = PERMISSIONS - {"billing:manage", "tenant:manage"}

OF_ROLES: Final[Mapping[Role, frozenset[Permission]]] = {
    "owner": PERMISSIONS,
    "admin": _ADMIN,
    "editor": _EDITOR,
    "viewer": _VIEWER,
}


def may(role: Role, permission: Permission) -> bool:
    return permission in OF_ROLES[role]


def within(role: Role, scopes: Collection[Permission]) -> frozenset[Permission]:
    """Of ``scopes``, those that somebody of this role may hand on."""
    return OF_ROLES[role] & frozenset(scopes)


def table() -> str:
    """Who may what, as Markdown: a row for each permission, a column for each role."""
    roles = list(OF_ROLES)
    rows = [["Permission", "It lets you", *roles], ["---", "---", *("---" for _ in roles)]]
    rows += [
        [
            f"`{permission}`",
            IN_WORDS[permission][0].lower() + IN_WORDS[permission][1:],
            *("yes" if may(role, permission) else "" for role in roles),
        ]
        for permission in get_args(Permission)
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
