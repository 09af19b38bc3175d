"""HubSpot as a service: its login, its limits, and what its answers mean."""

from datetime import timedelta
from typing import Any

import httpx
from marshmallow import Schema, ValidationError, fields

from assay_hubspot.auth import OPTIONAL_SCOPES, SCOPES, HubSpotOAuth
from assay_hubspot.destination import HubSpotScores
from assay_hubspot.paths import API, AUTHORIZE, OAUTH
from assay_hubspot.properties import LONGEST_LIST, LONGEST_NAMES, extra_properties
from assay_hubspot.source import HubSpotSource
from assay_sdk import (
    AppSetting,
    EventType,
    Link,
    NeedsReconnect,
    PluginError,
    RateLimit,
    Refused,
    Service,
    TryLater,
    VendorAccount,
)
from assay_sdk.service import LONGEST_PAUSE, USUAL_PAUSE

#: How long each of HubSpot's limits lasts; it sends no Retry-After with them.
_POLICIES = {"TEN_SECONDLY": timedelta(seconds=10), "SECONDLY": timedelta(seconds=1), "DAILY": timedelta(hours=1)}
_LOCKED, _MIGRATING = 423, 477


class HubSpotSettings(Schema):
    """What whoever connects may fill in."""

    properties = fields.String(
        load_default="",
        validate=lambda text: _checked(text),
        metadata={
            "title": "Further contact properties",
            "help": "Internal names of contact properties that you want to score by, separated by commas.",
        },
    )


def _checked(text: str) -> None:
    names = extra_properties({"properties": text})
    if len(names) > LONGEST_LIST:
        raise ValidationError(f"There may be at most {LONGEST_LIST} further properties.")
    if sum(len(name) + 3 for name in names) > LONGEST_NAMES:
        raise ValidationError("The names of these properties are too long together: HubSpot takes no such search.")


class HubSpot(Service):
    """HubSpot, one portal a connection."""

    name = "hubspot"
    title = "HubSpot"
    summary = (
        "Contacts, companies, deals, form submissions, e-mail events, chats and meetings come in; "
        "scores, grades and stages go back into contacts."
    )
    auth = HubSpotOAuth(
        authorize="authorize",
        token=f"{OAUTH}/token",
        scopes=SCOPES,
        optional_scopes=OPTIONAL_SCOPES,
        revocation=f"{OAUTH}/token/revoke",
    )
    settings = HubSpotSettings
    app = (
        AppSetting("client_id", "Client ID of the app"),
        AppSetting("client_secret", "Client secret of the app, which also signs its webhooks", secret=True),
        AppSetting("authorize", "Where people allow the app", default=AUTHORIZE),
        AppSetting("api", "Address of the API", default=API),
        AppSetting("app_id", "ID of the app; only for keeping the webhooks of a legacy app in order", default=""),
        AppSetting("developer_key", "Developer API key, for the same", secret=True, default=""),
    )
    vocabulary = (
        EventType("contact.created", "Contact created", 0, "contact.creation"),
        EventType("form.submitted", "Form submitted", 15, "form submission"),
        EventType("email.opened", "E-mail opened", 1, "OPEN"),
        EventType("email.clicked", "Link in an e-mail clicked", 5, "CLICK"),
        EventType("email.replied", "E-mail replied to", 10, "REPLY"),
        EventType("email.bounced", "E-mail bounced", -5, "BOUNCE"),
        EventType("email.complained", "Marked as spam", -20, "SPAMREPORT"),
        EventType("unsubscribed", "Unsubscribed", -20, "UNSUBSCRIBED"),
        EventType("chat.started", "Chat started", 8, "conversation.creation"),
        EventType("chat.replied", "Replied in a chat", 3, "conversation.newMessage"),
        EventType("meeting.booked", "Meeting booked", 25, "object.creation 0-47"),
        EventType("meeting.rescheduled", "Meeting moved", 0, "RESCHEDULED"),
        EventType("meeting.canceled", "Meeting canceled", -15, "CANCELED"),
        EventType("meeting.no_show", "Did not come to a meeting", -10, "NO_SHOW"),
        EventType("meeting.held", "Came to a meeting", 10, "COMPLETED"),
        EventType("deal.created", "Deal created", 0, "deal.creation"),
        EventType("deal.stage_changed", "Deal moved to another stage", 0, "dealstage"),
        EventType("deal.won", "Deal won", 0, "hs_is_closed_won"),
        EventType("deal.lost", "Deal lost", 0, "hs_is_closed"),
    )
    # HubSpot allows 110 in any 10 seconds, and 5 searches in any second. What comes at once is part of that, and some
    # is left for calls that were longer under way than others.
    limits = (RateLimit("api", 100, 10, burst=5), RateLimit("search", 4, 1, burst=1))
    source = HubSpotSource()
    destination = HubSpotScores()
    simulator = "assay_hubspot.simulator:HubSpotSimulator"

    def account(self, link: Link) -> VendorAccount:
        portal = str(link.secrets.get("hub_id") or "")
        if not portal:
            raise Refused("HubSpot's login did not say which portal it was for.")
        return VendorAccount(portal, f"HubSpot portal {portal}")

    def judge(self, answer: httpx.Response) -> PluginError | None:
        status = answer.status_code
        if status == 429:
            return TryLater("HubSpot says that we ask too often.", after=self.pause_of(answer), overloaded=True)
        # Nothing was done, and time alone helps: so these wait as long as they are told, which other failures need not.
        if status == _LOCKED:
            return TryLater("HubSpot has locked this for a moment.", after=timedelta(seconds=2), overloaded=True)
        if status == _MIGRATING:
            after = super().pause_of(answer) or USUAL_PAUSE
            return TryLater("HubSpot is moving this portal's data.", after=after, overloaded=True)
        return super().judge(answer)

    def pause_of(self, answer: httpx.Response) -> timedelta | None:
        stated = super().pause_of(answer)
        if stated is not None or answer.status_code != 429:
            return stated
        policy = str(_body(answer).get("policyName") or "").upper()
        for name, pause in _POLICIES.items():
            if policy.startswith(name):
                return min(pause, LONGEST_PAUSE)
        return USUAL_PAUSE

    def refusal(self, answer: httpx.Response) -> Refused | NeedsReconnect:
        body = _body(answer)
        category = str(body.get("category") or "")
        if answer.status_code == 403 and category == "MISSING_SCOPES":
            return NeedsReconnect(
                "HubSpot says that a permission is missing that this connection was made without: connect it again, "
                "and allow all that is asked for."
            )
        refused = super().refusal(answer)
        if isinstance(refused, Refused):
            refused.code = category
        return refused


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
