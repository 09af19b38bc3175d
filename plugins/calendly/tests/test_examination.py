"""The drills that any plugin is put through."""

from assay_calendly.service import Calendly
from assay_sdk.testing import examine

#: Those that take long are held with all plugins' together.
QUICK = ("connecting", "signatures", "splitting", "duplicates", "shuffles", "rotation", "refusals", "poison")
QUICK += ("purity", "vocabulary", "secrets")


def test_passes() -> None:
    report = examine(Calendly(), only=QUICK)
    assert report.passed, str(report)
