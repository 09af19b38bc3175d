"""Whom Assay works for: tenants, people, keys, connections, and the one doorway to the database."""
