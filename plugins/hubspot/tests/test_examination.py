"""The examination that every plugin is put through."""

from assay_hubspot.service import HubSpot
from assay_sdk.testing import examine


def test_examination() -> None:
    report = examine(HubSpot())
    assert report.passed, str(report)
