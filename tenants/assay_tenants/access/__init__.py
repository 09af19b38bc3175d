"""Who may come in: sign-up, login, sessions, members, invitations."""

from assay_tenants.access.errors import (
    ChallengeOver,
    LinkOver,
    LogInElsewhere,
    NotAMember,
    NotVerified,
    WrongCredentials,
)
from assay_tenants.access.passwords import PASSWORD_LENGTH
from assay_tenants.access.service import (
    Entrance,
    Pending,
    SignedUp,
    complete,
    enter,
    find_pending,
    log_in,
    make_company,
    sign_up,
    tell_of_failed_factor,
)
from assay_tenants.access.sessions import (
    SESSION_LIFETIME,
    Visitor,
    find_visitor,
    list_companies,
    log_out,
    open_session,
    prove_again,
    require_verified,
    switch_tenant,
)

__all__ = [
    "PASSWORD_LENGTH",
    "SESSION_LIFETIME",
    "ChallengeOver",
    "Entrance",
    "LinkOver",
    "LogInElsewhere",
    "NotAMember",
    "NotVerified",
    "Pending",
    "SignedUp",
    "Visitor",
    "WrongCredentials",
    "complete",
    "enter",
    "find_pending",
    "find_visitor",
    "list_companies",
    "log_in",
    "log_out",
    "make_company",
    "open_session",
    "prove_again",
    "require_verified",
    "sign_up",
    "switch_tenant",
    "tell_of_failed_factor",
]
