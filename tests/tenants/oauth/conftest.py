"""This process as an authorization server, with keys of its own making."""

import pytest

from assay.settings import Settings
from assay_tenants import sealing
from assay_tenants.oauth import issuer

ADDRESS = "https://assay.example.test"


@pytest.fixture(autouse=True)
def provider(settings: Settings, connected: None) -> issuer.Issuer:
    sealing.configure(settings.sealing_keys)
    return issuer.configure(ADDRESS, registration="open")
