"""Segment as a service that tenants connect to: events by webhook, scores as traits."""

import base64
import secrets as randomness
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

import httpx
from marshmallow import Schema, ValidationError, fields, validate

from assay_sdk import AppSetting, Call, EventType, Link, NoAuth, RateLimit, Service, VendorAccount
from assay_sdk.service import LONGEST_PAUSE
from assay_segment.destination import WRITE_KEY, SegmentScores
from assay_segment.hooks import SECRET, UNSIGNED
from assay_segment.names import mapping_of
from assay_segment.ours import account_of
from assay_segment.source import Segment

_REGIONS = {"us": "United States", "eu": "European Union"}


def _is_mapping(text: str) -> None:
    try:
        mapping_of(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None


class SegmentSettings(Schema):
    """What whoever connects fills in. Nothing of it is needed for webhooks without a signature."""

    shared_secret = fields.String(
        load_default="",
        validate=validate.Length(max=500),
        metadata={
            "title": "Shared secret of the webhook",
            "secret": True,
            "help": "The same text as in the settings of the webhook destination at Segment. Without one, whoever "
            "knows the address of the webhook can post to it.",
        },
    )
    write_key = fields.String(
        load_default="",
        validate=validate.Length(max=200),
        metadata={
            "title": "Write key for scores",
            "secret": True,
            "help": "Of a source that was made for scores alone. Without one, no scores are sent. Segment answers the "
            "same for a wrong key as for a right one: look into that source's debugger whether scores arrive.",
        },
    )
    region = fields.String(
        load_default="us",
        validate=validate.OneOf(list(_REGIONS), labels=list(_REGIONS.values())),
        metadata={"title": "Region", "help": "Of the workspace; a write key of one is no good in the other."},
    )
    mapping = fields.String(
        load_default="",
        validate=[validate.Length(max=10_000), _is_mapping],
        metadata={
            "title": "Names of events",
            "lines": True,
            "help": "Your own names as Assay's types, a line each: Demo Requested = meeting.booked. Others stay "
            "as they are, in dotted lower case.",
        },
    )


class SegmentService(Service):
    """Segment's events in, scores out."""

    name = "segment"
    title = "Segment"
    summary = (
        "Brings in events that Segment passes on by webhook. Scores go back as traits, by identify calls: they are "
        "sent, and whether they arrived only Segment's own debugger tells."
    )
    # There is no login. Webhooks are proven by their address and signature, scores by a write key, and both may lack.
    auth = NoAuth()
    settings = SegmentSettings
    app = (
        AppSetting("api_us", "Address of Segment's API", default="https://api.segment.io"),
        AppSetting("api_eu", "Address of Segment's API in the EU", default="https://events.eu1.segmentapis.com"),
    )
    vocabulary = (
        EventType("page.viewed", "Viewed a page", 1, "page"),
        EventType("screen.viewed", "Viewed a screen", 1, "screen"),
        EventType("email.opened", "Opened an e-mail", 1, "Email Opened"),
        EventType("email.clicked", "Clicked in an e-mail", 5, "Email Link Clicked"),
        EventType("email.bounced", "An e-mail bounced", -5, "Email Bounced"),
        EventType("email.complained", "Marked an e-mail as spam", -20, "Email Marked as Spam"),
        EventType("unsubscribed", "Unsubscribed", -20, "Unsubscribed"),
        EventType("chat.started", "Started a chat", 8, "Live Chat Conversation Started"),
        EventType("deal.won", "Ordered", 0, "Order Completed"),
    )
    # About a thousand requests in a second for a workspace; each of ours holds hundreds of scores.
    limits = (RateLimit("api", 1000, 1, per="connection", burst=100),)
    source: ClassVar[Segment] = Segment()
    destination = SegmentScores()
    simulator = "assay_segment.simulator:SegmentSimulator"

    def account(self, link: Link) -> VendorAccount:
        """Segment tells nobody whose a key is, so the account is the write key itself, as its digest.

        Without a write key it is a name by chance, kept as a note: the digest of a shared secret that a person made up
        could be tried out.
        """
        # Said once and kept: a secret that got lost must not look like one that was never agreed on.
        link.keep(**{UNSIGNED: None if link.secrets.get(SECRET) else True})
        if key := str(link.secrets.get(WRITE_KEY) or ""):
            return VendorAccount(account_of(key), "Segment")
        name = str(link.notes.get("account") or "") or randomness.token_hex(12)
        link.note(account=name)
        return VendorAccount(name, "Segment, webhooks only")

    def base_url(self, link: Link) -> str:
        return link.app["api_eu"] if link.settings.get("region") == "eu" else link.app["api_us"]

    def authorise(self, call: Call, secrets: Mapping[str, Any]) -> None:
        """The write key is the user, and there is no password."""
        if key := secrets.get(WRITE_KEY):
            call.headers["Authorization"] = "Basic " + base64.b64encode(f"{key}:".encode()).decode()

    def pause_of(self, answer: httpx.Response) -> timedelta | None:
        stated = answer.headers.get("X-RateLimit-Reset", "").strip()
        if super().pause_of(answer) is None and stated.isdecimal():
            return min(timedelta(seconds=int(stated[:9])), LONGEST_PAUSE)
        return super().pause_of(answer)
