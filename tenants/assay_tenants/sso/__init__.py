"""The tenant's own identity provider: single sign-on by OIDC, and provisioning by SCIM."""

from assay_tenants.sso.enforcing import (
    ASKED,
    COUNTS_HERE_ALONE,
    PROOF,
    SESSION_LIFETIME,
    demanding,
    provisioning_loses,
    refuses_password,
)

__all__ = [
    "ASKED",
    "COUNTS_HERE_ALONE",
    "PROOF",
    "SESSION_LIFETIME",
    "demanding",
    "provisioning_loses",
    "refuses_password",
]
