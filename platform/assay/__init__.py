"""Assay: lead scoring that adds up."""
