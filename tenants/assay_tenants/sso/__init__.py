"""The tenant's own identity provider: single sign-on by OIDC, and provisioning by SCIM."""

from assay_tenants.sso.enforcing import demanding, refuses_password

__all__ = ["demanding", "refuses_password"]
