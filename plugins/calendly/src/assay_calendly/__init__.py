"""Calendly for Assay."""
