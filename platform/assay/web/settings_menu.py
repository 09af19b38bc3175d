"""What stands under Settings, in its order; each row shows itself to those whose role may open it."""

from dataclasses import dataclass

from flask import current_app

from assay.web.visitors import visitor
from assay_tenants.operators import OperatorVisitor, allows
from assay_tenants.permissions import Permission


@dataclass(frozen=True)
class Entry:
    endpoint: str
    title: str
    sentence: str
    #: None: everybody's own.
    permission: Permission | None = None


MENU = (
    Entry("web.account.index", "Your account", "Name, password, sessions, second factors."),
    Entry("web.members.index", "Members", "Who works here, and as what.", "members:read"),
    Entry(
        "web.login_rules.index",
        "Rules for logging in",
        "Who needs a second factor, and who has lost theirs.",
        "security:manage",
    ),
    Entry("web.sso.index", "Single sign-on", "Your own identity provider, and provisioning.", "security:manage"),
    Entry(
        "web.connections.index",
        "Connections",
        "Tools that you work with: what comes in, and scores that go back.",
        "connections:manage",
    ),
    Entry("web.clients.index", "API clients and keys", "Keys of programs: scopes, expiry, last use.", "keys:manage"),
    Entry("web.apps.index", "Apps", "Partners' apps that act for you, and your own.", "apps:manage"),
    Entry("web.usage.index", "Plan and usage", "What your plan holds, and what was used.", "usage:read"),
    Entry("web.privacy.index", "Persons' data", "Export and erase what is kept of a person.", "privacy:manage"),
    Entry("web.audit.index", "Audit log", "Who changed what, from where.", "audit:read"),
    Entry("web.operators.index", "Operators' access", "Who of the operators looked, and why.", "audit:read"),
    Entry(
        "web.retention.index",
        "Keeping",
        "How long messages and events are kept.",
        "settings:read",
    ),
    Entry("web.refused.index", "Refused messages", "What could not be understood, and why.", "settings:read"),
)


def entries() -> list[Entry]:
    """Those that this visitor may open."""
    who = visitor()
    return [
        entry
        for entry in MENU
        if entry.endpoint in current_app.view_functions
        and (not isinstance(who, OperatorVisitor) if entry.permission is None else allows(who, entry.permission))
    ]
