"""This process as an authorization server."""

from collections.abc import Iterator

import pytest

from assay_tenants.oauth import issuer

ADDRESS = "https://assay.example.test"


@pytest.fixture(autouse=True)
def provider(connected: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[issuer.Issuer]:
    monkeypatch.setattr(issuer, "_issuer", None)
    yield issuer.configure(ADDRESS, registration="open")
