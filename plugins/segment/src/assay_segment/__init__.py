"""Segment for Assay."""
