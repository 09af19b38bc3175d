"""The plan, and what was used of it."""

from assay.api.door import Part

part = Part("Usage", "The plan, and what was used of it.")
