"""The door of those who run Assay: asked for with a reason, limited in time, seen and ended by the tenant."""

from assay_tenants.operators.service import (
    LONGEST,
    Access,
    NotOpen,
    Opened,
    allow,
    change_rule,
    end,
    get_access,
    list_accesses,
    needs_consent,
    open_access,
)
from assay_tenants.operators.sessions import operator_session
from assay_tenants.operators.visiting import (
    OperatorVisitor,
    allows,
    enter,
    find_operator,
    is_operators,
    link_of,
    note_look,
)

__all__ = [
    "LONGEST",
    "Access",
    "NotOpen",
    "Opened",
    "OperatorVisitor",
    "allow",
    "allows",
    "change_rule",
    "end",
    "enter",
    "find_operator",
    "get_access",
    "is_operators",
    "link_of",
    "list_accesses",
    "needs_consent",
    "note_look",
    "open_access",
    "operator_session",
]
