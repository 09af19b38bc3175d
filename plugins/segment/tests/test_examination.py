"""The drills that any plugin is put through."""

from assay_sdk.testing import examine
from assay_segment.service import SegmentService


def test_passes() -> None:
    report = examine(SegmentService())
    assert report.passed, str(report)
