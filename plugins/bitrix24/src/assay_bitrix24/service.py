"""Bitrix24: what sales people keep there comes in; scores go back into fields of leads and contacts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from assay_bitrix24 import calls
from assay_bitrix24.destination import Bitrix24Destination
from assay_bitrix24.login import PortalLogin
from assay_bitrix24.portal import PortalSettings
from assay_bitrix24.source import Bitrix24Source
from assay_sdk import AppSetting, EventType, NeedsReconnect, PluginError, RateLimit, Service, VendorAccount
from assay_sdk.auth import ACCESS_TOKEN

if TYPE_CHECKING:
    from assay_sdk import Call, Link


class Bitrix24(Service):
    """One connection is one portal, known by its ``member_id`` whatever its domain."""

    name = "bitrix24"
    title = "Bitrix24"
    summary = (
        "Leads, contacts, companies, deals, calls, meetings, e-mails, forms and chats come in. "
        "Score, grade, stage and reasons go back into fields of leads and contacts."
    )
    auth = PortalLogin(
        authorize="",
        token="login",  # noqa: S106 # the name of the setting that holds the address
        scopes={"crm": "to read leads, contacts, companies, deals and activities, and to write scores"},
        pkce=False,
        early=None,
    )
    settings = PortalSettings
    app = (
        AppSetting("client_id", "The app's code (client_id)"),
        AppSetting("client_secret", "The app's key (client_secret)", secret=True),
        AppSetting("login", "Bitrix24's login, which all portals share", default="https://oauth.bitrix.info"),
        AppSetting("portal_scheme", "http for stand-ins on this machine, otherwise https", default="https"),
    )
    vocabulary = (
        EventType("contact.created", "Lead or contact created", 0, "ONCRMLEADADD, ONCRMCONTACTADD"),
        EventType("lead.converted", "Lead converted", 10, "lead, stage semantics S"),
        EventType("lead.disqualified", "Lead judged as junk", -20, "lead, stage semantics F"),
        EventType("deal.created", "Deal created", 0, "ONCRMDEALADD"),
        EventType("deal.stage_changed", "Deal moved to another stage", 0, "ONCRMDEALUPDATE"),
        EventType("deal.won", "Deal won", 0, "deal, stage semantics S"),
        EventType("deal.lost", "Deal lost", 0, "deal, stage semantics F"),
        EventType("meeting.booked", "Meeting booked", 25, "activity, TYPE_ID 1"),
        EventType("meeting.held", "Meeting held", 10, "activity, TYPE_ID 1, completed"),
        EventType("call.received", "They called", 8, "activity, TYPE_ID 2, DIRECTION 1"),
        EventType("call.made", "We called", 2, "activity, TYPE_ID 2, DIRECTION 2, completed"),
        EventType("email.received", "They wrote an e-mail", 5, "activity, TYPE_ID 4, DIRECTION 1"),
        EventType("form.submitted", "Form submitted", 15, "activity, PROVIDER_ID CRM_WEBFORM"),
        EventType("chat.started", "Chat started", 8, "activity, PROVIDER_ID IMOPENLINES_SESSION"),
    )
    #: The portal counts by the address that we call from, so all workers share one bucket of a portal.
    limits = (RateLimit("api", 2, 1.0, per="account", burst=50),)
    source = Bitrix24Source()
    destination = Bitrix24Destination()
    simulator = "assay_bitrix24.simulator:Bitrix24Simulator"

    def account(self, link: "Link") -> VendorAccount:
        calls.call(link, "app.info")
        member_id = str(link.secrets.get("member_id") or "")
        if not member_id:
            raise NeedsReconnect("Bitrix24 did not say whose portal it is: connect it again.")
        return VendorAccount(member_id, urlsplit(self.base_url(link)).netloc)

    def base_url(self, link: "Link") -> str:
        endpoint = link.secrets.get("client_endpoint")
        if not endpoint:
            raise NeedsReconnect("Nobody knows where this portal is called: connect it again.")
        return str(endpoint)

    def authorise(self, call: "Call", secrets: Mapping[str, Any]) -> None:
        if isinstance(call.json, dict):
            call.json["auth"] = secrets.get(ACCESS_TOKEN) or ""

    def judge(self, answer: httpx.Response) -> PluginError | None:
        return calls.judge(answer)
