"""Who may come in: sign-up, login, sessions."""

from assay_tenants.access.passwords import PASSWORD_LENGTH
from assay_tenants.access.service import SignedUp, Visitor, WrongCredentials, find_visitor, log_in, log_out, sign_up

__all__ = [
    "PASSWORD_LENGTH",
    "SignedUp",
    "Visitor",
    "WrongCredentials",
    "find_visitor",
    "log_in",
    "log_out",
    "sign_up",
]
