"""Intercom for Assay."""
