"""Persons who were erased stay so: whatever names one of them later is turned away before it makes a lead."""

from assay.profiles.erasing.imports import sift_batch
from assay.profiles.erasing.sifting import sift

__all__ = ["sift", "sift_batch"]
