"""Persons who were erased stay so: whatever names one of them later is turned away before it makes a lead."""

from assay.profiles.erasing.beginning import heed, wishes_in
from assay.profiles.erasing.imports import sift_batch
from assay.profiles.erasing.sifting import sift

__all__ = ["heed", "sift", "sift_batch", "wishes_in"]
