"""Bitrix24 for Assay."""
