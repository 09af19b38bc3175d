"""This process as an authorization server."""

import pytest

from assay_tenants.oauth import issuer

ADDRESS = "https://assay.example.test"


@pytest.fixture(autouse=True)
def provider(connected: None, monkeypatch: pytest.MonkeyPatch) -> issuer.Issuer:
    monkeypatch.setattr(issuer, "_issuer", None)
    return issuer.configure(ADDRESS, registration="open")
