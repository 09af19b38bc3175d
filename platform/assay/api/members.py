"""Who works for the tenant, and as what."""

from assay.api.door import Part

part = Part("Members", "Who works for the tenant, and as what.")
