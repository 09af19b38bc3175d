"""What is kept of a person, exported and erased."""

from assay.api.door import Part

part = Part("Persons' data", "What is kept of a person, exported and erased.")
