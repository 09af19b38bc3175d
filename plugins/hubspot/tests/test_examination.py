"""The examination that every plugin is put through."""

from assay_hubspot.service import HubSpot

from assay_sdk.testing.examination import DRILLS, examine

#: Waits for vendors that hang; what it looks for is in the SDK's client, which has tests of its own.
SLOW = "outages"


def test_hubspot_passes_the_examination():
    report = examine(HubSpot(), only=[drill.__name__ for drill in DRILLS if drill.__name__ != SLOW])
    assert report.passed, str(report)
