"""Tenants connect their accounts at other services, and see how the connections fare."""
