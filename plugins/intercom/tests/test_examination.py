"""The examination that every plugin is put through."""

from assay_intercom.service import Intercom
from assay_sdk.testing import examine


def test_examination() -> None:
    report = examine(Intercom())
    assert report.passed, str(report)
