"""Who changed what, from where, before and after."""

from assay.api.door import Part

part = Part("Audit log", "Who changed what, from where, before and after.")
