"""The examination that every plugin is put through."""

from assay_hubspot.service import HubSpot
from assay_sdk.testing.examination import DRILLS, examine

#: These wait, or try very much; what they look for is mostly in the SDK's client, which has tests of its own.
SLOW = ("outages", "expiry", "poison")


def test_hubspot_passes_the_examination():
    report = examine(HubSpot(), only=[drill.__name__ for drill in DRILLS if drill.__name__ not in SLOW])
    assert report.passed, str(report)
