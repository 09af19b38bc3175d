"""Assay's plugin for HubSpot."""
