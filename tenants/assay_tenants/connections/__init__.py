"""Connections to vendors: their credentials, sealed."""
