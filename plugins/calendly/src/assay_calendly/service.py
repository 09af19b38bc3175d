"""Calendly as a service that tenants connect to."""

from datetime import timedelta

import httpx

from assay_calendly.api import ORGANIZATION, USER, answered, organization_of, owner_of, page, uuid_of
from assay_calendly.oauth import CalendlyOAuth
from assay_calendly.source import CalendlySource
from assay_sdk import (
    AppSetting,
    EventType,
    Link,
    NeedsReconnect,
    RateLimit,
    Refused,
    Service,
    TryLater,
    VendorAccount,
)
from assay_sdk.service import LONGEST_PAUSE

#: Roles that see the whole organization.
_SEES_ALL = frozenset({"owner", "admin"})


class Calendly(Service):
    """Meetings that people book, move, cancel and miss, and routing forms that they fill in."""

    name = "calendly"
    title = "Calendly"
    summary = (
        "Brings in meetings that people book, move, cancel or miss, and the routing forms that they fill in. "
        "Nothing goes back: Calendly has no field that a score could be written to."
    )
    auth = CalendlyOAuth(
        "authorize_url",
        "token_url",
        revocation="revoke_url",
        client_auth="basic",
        scopes={
            "users:read": "to know whose account this is",
            "organizations:read": "to know whether you see the whole organization's meetings or only your own",
            "scheduled_events:read": "to read meetings and who booked them, and to be told of new ones at once",
            "webhooks:write": "to have Calendly tell us at once, and to take that back when you disconnect",
        },
        optional_scopes={
            "routing_forms:read": "to read the routing forms that people fill in",
            "contacts:read": "to be told of contacts that are made, changed or deleted",
            "meeting_recaps:read": "to be told of meetings that were really held",
        },
    )
    app = (
        AppSetting("client_id", "Client ID of your Calendly app"),
        AppSetting("client_secret", "Client secret of your Calendly app", secret=True),
        AppSetting("api", "Address of the API", default="https://api.calendly.com"),
        AppSetting("authorize_url", "Address of the login", default="https://auth.calendly.com/oauth/authorize"),
        AppSetting("token_url", "Address that gives tokens", default="https://auth.calendly.com/oauth/token"),
        AppSetting("revoke_url", "Address that takes tokens back", default="https://auth.calendly.com/oauth/revoke"),
        AppSetting(
            "optional_scopes",
            "Those of the optional scopes that your Calendly app has",
            default="routing_forms:read contacts:read meeting_recaps:read",
        ),
        AppSetting("tolerance", "Seconds for which a webhook's signature is good", default="180"),
        AppSetting("signing_key_days", "Days after which a webhook's key is replaced; 0: never", default="90"),
    )
    vocabulary = (
        EventType("meeting.booked", "Booked a meeting", 25, "invitee.created"),
        EventType("meeting.rescheduled", "Moved a meeting", 0, "invitee.created with old_invitee"),
        EventType("meeting.canceled", "A meeting was canceled", 0, "invitee.canceled"),
        EventType("meeting.no_show", "Did not come to a meeting", -10, "invitee_no_show.created"),
        EventType("meeting.no_show_undone", "Came after all", 10, "invitee_no_show.deleted"),
        EventType("meeting.held", "Was in a meeting", 10, "meeting_recap.created"),
        EventType("form.submitted", "Filled in a routing form", 15, "routing_form_submission.created"),
        EventType("contact.created", "Became a contact", 0, "contact.created"),
    )
    # Paid plans take 500 a minute and user. These are 500 in whichever minute: 50 at once, and 450 evenly.
    limits = (RateLimit("api", 450, 60, per="account", burst=50),)
    source = CalendlySource()
    simulator = "assay_calendly.simulator:CalendlySimulator"

    def account(self, link: Link) -> VendorAccount:
        """An admin connects the organization; anybody else themselves, whose meetings are all that they may see."""
        me = answered(link.http.get("/users/me")).get("resource")
        if not isinstance(me, dict) or not me.get("uri") or not me.get("current_organization"):
            raise TryLater("Calendly did not say whose account this is.")
        owner = owner_of(link) or str(me["uri"])
        organization = organization_of(link) or str(me["current_organization"])
        reach = ORGANIZATION if _sees_all(link, owner, organization) else USER
        link.note(owner=owner, organization=organization, reach=reach)
        name = str(me.get("name") or me.get("email") or uuid_of(owner))
        if reach == USER:
            return VendorAccount(uuid_of(owner), f"{name}, own meetings")
        return VendorAccount(uuid_of(organization), f"Organization of {name}")

    def pause_of(self, answer: httpx.Response) -> timedelta | None:
        """Calendly says in ``X-RateLimit-Reset`` how many seconds are left until it counts anew."""
        stated = answer.headers.get("X-RateLimit-Reset", "").strip()
        if (answer.is_success or answer.status_code == 429) and stated.isdecimal():
            return min(timedelta(seconds=max(int(stated[:9]), 1)), LONGEST_PAUSE)
        return super().pause_of(answer)

    def spare(self, answer: httpx.Response) -> timedelta | None:
        return self.pause_of(answer) if answer.headers.get("X-RateLimit-Remaining", "").strip() == "0" else None

    def refusal(self, answer: httpx.Response) -> Refused | NeedsReconnect:
        try:
            body: object = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return super().refusal(answer)
        title, message = str(body.get("title") or ""), str(body.get("message") or "")
        if answer.status_code == 403 and title == "Insufficient scope":
            missing = body.get("required_scopes")
            named = ", ".join(str(scope) for scope in missing) if isinstance(missing, list) else ""
            return NeedsReconnect(f"Calendly wants a permission that was not given: {named[:200] or 'it names none'}.")
        said = ": ".join(filter(None, (title, message)))[:200].rstrip(".")
        reason = f"Calendly answered {answer.status_code}" + (f": {said}" if said else "") + "."
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Refused(reason, status=answer.status_code, code=title, answer=body, headers=headers)


def _sees_all(link: Link, owner: str, organization: str) -> bool:
    """Whether whoever connected is an admin of their organization."""
    try:
        memberships, _ = page(link, "/organization_memberships", {"user": owner}, None)
    except Refused as refusal:
        if refusal.status in (403, 404):
            return False
        raise
    return any(one.get("organization") == organization and one.get("role") in _SEES_ALL for one in memberships)
