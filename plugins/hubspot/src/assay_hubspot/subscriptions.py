"""The webhooks of a legacy app, kept in order; those of an app on the developer platform come with its own files.

They belong to the app, not to a portal: so this needs the app's own key, and without it nothing is done.
"""

from typing import Any

import httpx

from assay_hubspot.paths import WEBHOOKS
from assay_hubspot.properties import WATCHED
from assay_sdk import Link, Refused, TryLater
from assay_sdk.errors import PluginError

AT_ONCE = 10
EVENTS = (
    "contact.creation",
    "contact.deletion",
    "contact.privacyDeletion",
    "contact.merge",
    "contact.restore",
    "company.creation",
    "deal.creation",
    "deal.associationChange",
    "conversation.creation",
    "conversation.newMessage",
)
_PROPERTIES = tuple(("contact.propertyChange", name) for name in WATCHED) + tuple(
    ("deal.propertyChange", name) for name in ("dealstage", "amount")
)
#: What is subscribed to: an event, and for a change the property.
WANTED: tuple[tuple[str, str | None], ...] = (*((event, None) for event in EVENTS), *_PROPERTIES)


def subscribe(link: Link, url: str) -> None:
    app_id, key = link.app.get("app_id", ""), link.app.get("developer_key", "")
    if not app_id or not key:
        link.log.debug("hubspot.webhooks_left_to_the_app")
        return
    _settings(link, app_id, url)
    there = {
        (str(found.get("eventType")), found.get("propertyName") or None): found
        for found in _asked(link, "GET", f"/{app_id}/subscriptions").get("results") or ()
    }
    for event, name in WANTED:
        found = there.get((event, name))
        if found is None:
            body = {"eventType": event, "active": True} | ({"propertyName": name} if name else {})
            _asked(link, "POST", f"/{app_id}/subscriptions", body)
        elif not found.get("active"):
            _asked(link, "PATCH", f"/{app_id}/subscriptions/{found['id']}", {"active": True})
    link.note(webhooks=url)


def _settings(link: Link, app_id: str, url: str) -> None:
    try:
        stated = _asked(link, "GET", f"/{app_id}/settings")
    except Refused as error:
        if error.status != 404:
            raise
        stated = {}
    if stated.get("targetUrl") != url:
        body = {"targetUrl": url, "throttling": {"maxConcurrentRequests": AT_ONCE}}
        _asked(link, "PUT", f"/{app_id}/settings", body)


def _asked(link: Link, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """With the app's key in the query, where HubSpot wants it, and never with a portal's token."""
    url = f"{link.app['api'].rstrip('/')}{WEBHOOKS}{path}"
    try:
        answer = link.http.client.request(method, url, params={"hapikey": link.app["developer_key"]}, json=body)
    except httpx.HTTPError as error:
        raise TryLater(f"HubSpot could not be reached ({type(error).__name__}).") from None
    if answer.is_success:
        try:
            found = answer.json() if answer.content else {}
        except ValueError:
            raise TryLater("HubSpot answered about the app's webhooks with what is no JSON.") from None
        return found if isinstance(found, dict) else {}
    raise _refusal(answer.status_code)


def _refusal(status: int) -> PluginError:
    if status == 429 or status >= 500:
        return TryLater(f"HubSpot answered {status} about the app's webhooks.")
    return Refused(
        f"HubSpot answered {status} about the app's webhooks: look at app_id and developer_key.", status=status
    )
