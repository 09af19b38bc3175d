"""Sends a story through `segment-analytics-python`, whichever version is in front, and says what failed."""

import json
import sys

from segment.analytics.client import Client
from segment.analytics.version import VERSION

order = json.loads(sys.argv[1])
failed: list[str] = []
client = Client(
    order["writeKey"],
    host=order["address"],
    gzip=order["gzip"],
    on_error=lambda error, items: failed.append(str(error)),
)
if order["story"] == "one":
    client.track("u-1", "Demo Requested", {"value": 12.5})
else:
    client.identify("u-1", {"email": "ada@quarry.example.test", "title": "CFO", "company": {"employees": 24}})
    client.track("u-1", "Demo Requested", {"value": 12.5, "note": "ặ"})
    client.page("u-1", "Docs", "Pricing", {"url": "https://quarry.example.test/pricing?plan=team"})
    client.screen("u-1", "App", "Home", {"tab": 2})
    client.group("u-1", "g-1", {"name": "Quarry & Sons", "employees": 24})
    client.alias("device-1", "u-1")
client.shutdown()
json.dump({"version": VERSION, "failed": failed}, sys.stdout)
