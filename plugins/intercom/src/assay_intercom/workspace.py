"""Which workspace a connection leads to: its region, whose hosts are asked, and its time zone, in which days begin."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from assay_sdk import Refused

if TYPE_CHECKING:
    from assay_sdk import Link

REGIONS = ("US", "EU", "AU")
#: App settings that hold each region's hosts.
API = {"US": "api", "EU": "api_eu", "AU": "api_au"}
LOGIN = {"US": "authorize", "EU": "authorize_eu", "AU": "authorize_au"}


def region_of(stated: Mapping[str, Any]) -> str:
    """The region that notes or settings state, or the first."""
    region = str(stated.get("region") or "").upper()
    return region if region in REGIONS else REGIONS[0]


def note_workspace(link: "Link", address: str, region: str) -> Mapping[str, Any]:
    """Asks whose token this is, keeps the workspace's region and time zone, and gives what Intercom says of it."""
    body = link.http.get(address).json()
    app = body.get("app")
    if not isinstance(app, dict) or not app.get("id_code"):
        raise Refused("Intercom did not say which workspace this is.")
    stated = str(app.get("region") or region).upper()
    link.note(region=stated if stated in REGIONS else region, timezone=str(app.get("timezone") or "UTC"))
    return app


def time_zone(notes: Mapping[str, Any]) -> tzinfo:
    """The workspace's; UTC where it is unknown here."""
    try:
        return ZoneInfo(str(notes.get("timezone") or "UTC"))
    except (KeyError, ValueError, OSError):
        return UTC
