"""Assay as an OAuth 2.1 authorization server and OpenID provider."""
