"""The examination that every plugin is put through."""

from assay_calendly.service import Calendly
from assay_sdk.testing import examine


def test_examination() -> None:
    report = examine(Calendly())
    assert report.passed, str(report)
