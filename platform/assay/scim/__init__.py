"""The SCIM door: /scim/v2, through which a tenant's own directory keeps its members (RFC 7643 and 7644)."""

from assay.scim.door import register

__all__ = ["register"]
