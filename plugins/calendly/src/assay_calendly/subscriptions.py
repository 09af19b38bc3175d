"""Webhooks: asked for at Calendly, mended when they broke, signed with a key of ours."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from assay_calendly.api import ORGANIZATION, USER, everything, number, organization_of, owner_of, reach_of, uuid_of
from assay_sdk import Link, NeedsReconnect, Refused
from assay_sdk.paging import digest

#: Names of what is kept among a connection's secrets. While a key is being replaced, the one before is good as well.
KEY, KEY_BEFORE = "signing_key", "signing_key_before"
#: For how long the one before is kept: Calendly tries for 24 hours.
_BEFORE_IS_GOOD = timedelta(hours=25)
POLLING_ONLY = "polling only"


@dataclass(frozen=True)
class Group:
    """Events that need the same scope and reach: Calendly wants a subscription of its own for each."""

    name: str
    events: tuple[str, ...]
    needs: str
    #: Which of Calendly's subscription scopes it takes.
    reaches: tuple[str, ...]


GROUPS = (
    Group(
        "meetings",
        ("invitee.created", "invitee.canceled", "invitee_no_show.created", "invitee_no_show.deleted"),
        "scheduled_events:read",
        (ORGANIZATION, USER),
    ),
    Group("forms", ("routing_form_submission.created",), "routing_forms:read", (ORGANIZATION,)),
    Group("contacts", ("contact.created", "contact.updated", "contact.deleted"), "contacts:read", (ORGANIZATION, USER)),
    Group("recaps", ("meeting_recap.created",), "meeting_recaps:read", (USER,)),
)


def subscribe(link: Link, url: str) -> None:
    """All groups that were granted, each with an address of its own, because Calendly takes no address twice."""
    _turn_key(link)
    key = digest(link.secrets[KEY])
    held: dict[str, Mapping[str, Any]] = dict(link.notes.get("subscriptions") or {})
    wanted = {group.name: group for group in GROUPS if group.needs in link.scopes and _reach(link, group)}
    for name in [name for name in held if name not in wanted]:
        _delete(link, str(held.pop(name).get("uri")))
        link.note(subscriptions=held)
    existing = {reach: _existing(link, reach) for reach in {_reach(link, group) for group in wanted.values()}}
    refused = ""
    for name, group in wanted.items():
        address, found = address_of(url, group), existing[_reach(link, group)]
        mine = held.get(name) or {}
        for uri, one in found.items():
            if one.get("callback_url") == address or uri == mine.get("uri"):
                if uri == mine.get("uri") and mine.get("key") == key and _is_well(one, group, address):
                    break
                _delete(link, uri)
        else:
            try:
                held[name] = {"uri": _create(link, group, address), "key": key}
            except (Refused, NeedsReconnect) as refusal:
                held.pop(name, None)
                refused = refused or _explained(refusal, group)
        link.note(subscriptions=held)
    link.note(webhooks=refused or "on")


def unsubscribe(link: Link) -> None:
    """Deletes every subscription that we know of; one that is gone already is none that is left."""
    for one in dict(link.notes.get("subscriptions") or {}).values():
        _delete(link, str(one.get("uri")))
    link.note(subscriptions=None, webhooks=None)


def address_of(url: str, group: Group) -> str:
    """The connection's address, told apart by its query: the path stays the one that Assay gave."""
    return f"{url}{'&' if '?' in url else '?'}of={group.name}"


def _reach(link: Link, group: Group) -> str:
    """Empty when whoever connected can't have this group."""
    reach = reach_of(link)
    if reach in group.reaches:
        return reach
    return USER if USER in group.reaches else ""


def _is_well(one: Mapping[str, Any], group: Group, address: str) -> bool:
    # A disabled one can't be switched on again, and none can be changed.
    is_on = one.get("state") == "active" and one.get("callback_url") == address
    return is_on and set(one.get("events") or ()) == set(group.events)


def _existing(link: Link, reach: str) -> dict[str, dict[str, Any]]:
    """What there is already, by URI."""
    params = {"organization": organization_of(link), "scope": reach}
    if reach == USER:
        params[USER] = owner_of(link)
    try:
        return {str(one["uri"]): one for one in everything(link, "/webhook_subscriptions", params) if one.get("uri")}
    except Refused as refusal:
        # A plan without webhooks may refuse to list them, too.
        if refusal.status == 403:
            return {}
        raise


def _create(link: Link, group: Group, address: str) -> str:
    """The new one's URI; one that stands in its way, because an answer was lost, is deleted first."""
    try:
        return _post(link, group, address)
    except Refused as refusal:
        if refusal.status != 409:
            raise
    for reach in (ORGANIZATION, USER):
        for uri, one in _existing(link, reach).items():
            if one.get("callback_url") == address:
                _delete(link, uri)
    return _post(link, group, address)


def _post(link: Link, group: Group, address: str) -> str:
    reach = _reach(link, group)
    body: dict[str, Any] = {
        "url": address,
        "events": list(group.events),
        "organization": organization_of(link),
        "scope": reach,
        "signing_key": link.secrets[KEY],
    }
    if reach == USER:
        body[USER] = owner_of(link)
    made = link.http.post("/webhook_subscriptions", json=body).json()
    return str(made["resource"]["uri"])


def _delete(link: Link, uri: str) -> None:
    try:
        link.http.delete(f"/webhook_subscriptions/{uuid_of(uri)}")
    except Refused as refusal:
        if refusal.status != 404:
            raise


def _explained(refusal: Refused | NeedsReconnect, group: Group) -> str:
    """A plan without webhooks is no fault: the streams bring in all but what only webhooks tell."""
    if isinstance(refusal, NeedsReconnect):
        return f"{POLLING_ONLY} for {group.name}: {refusal.reason}"
    if refusal.status == 403:
        return f"{POLLING_ONLY}: {refusal.reason}"
    raise refusal


def _turn_key(link: Link) -> None:
    """Makes the first key, replaces one that is old, and forgets the one before once nothing can be signed with it."""
    now, days = link.clock.now(), number(link.app, "signing_key_days", 90)
    since = _instant(link.notes.get("signing_key_since"))
    current = link.secrets.get(KEY)
    is_old = since is None or (days > 0 and now - since > timedelta(days=days))
    if not current or is_old:
        # Noted first: a crash in between must not replace the key twice, which would forget the one in use. And kept
        # before Calendly hears of it: what is signed with it may come before Calendly's answer does.
        link.note(signing_key_since=now.isoformat())
        link.keep(**{KEY: secrets.token_urlsafe(32), KEY_BEFORE: current})
    elif link.secrets.get(KEY_BEFORE) and since is not None and now - since > _BEFORE_IS_GOOD:
        link.keep(**{KEY_BEFORE: None})


def _instant(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
