"""The tenant's own identity provider: single sign-on by OIDC, and provisioning by SCIM."""
