"""Events that a portal posts: a form, unsigned, which names a record and says nothing of it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from assay_bitrix24 import forms
from assay_bitrix24.kinds import EVENTS, PEOPLE, UNINSTALLED
from assay_bitrix24.people import NAME, no_id, number, person
from assay_sdk import Deletion, Delivery, Fetch, Identifiers, Misunderstood, Record, Refused, Request
from assay_sdk.signatures import is_equal
from assay_sdk.values import instant

#: Notices that lead to nothing but a look of our own: believed before anybody knows the token.
_HARMLESS = ("ADD", "UPDATE", "MOVETOCATEGORY")


def read(body: bytes) -> dict[str, Any]:
    """The form as nested values; raises Refused."""
    try:
        return forms.nested(forms.pairs(body))
    except ValueError:
        raise Refused("The form has more fields than any event of Bitrix24's.") from None


def verify(request: Request, secrets: Mapping[str, Any]) -> None:
    """There is no signature: the token that Bitrix24 gave our app at this portal has to be in the form."""
    form = read(request.body)
    stated = form.get("auth")
    auth: Mapping[str, Any] = stated if isinstance(stated, dict) else {}
    token = _text(auth.get("application_token"))
    known = str(secrets.get("application_token") or "")
    if known:
        if not is_equal(token, known):
            raise Refused("The application_token is not that of this app at this portal.")
    elif not token or not _event(form).endswith(_HARMLESS):
        raise Refused("The application_token of this portal is not known yet.")
    member_id = str(secrets.get("member_id") or "")
    if not member_id or not is_equal(_text(auth.get("member_id")), member_id):
        raise Refused("The event is of another portal.")


def split(request: Request) -> Iterator[Delivery]:
    """What is kept of a verified event: all but the tokens in it, of which one is somebody's live access."""
    fields = forms.pairs(request.body)
    form = forms.nested(fields)
    event = _event(form)
    if event not in EVENTS and event != UNINSTALLED:
        return
    stated = form.get("auth")
    auth: Mapping[str, Any] = stated if isinstance(stated, dict) else {}
    token, access = _text(auth.get("application_token")), _text(auth.get("access_token"))
    # An event of the portal's own automation carries nobody's access: the next one by a person does.
    learned = {"application_token": token, "access_token": access} if token and access else None
    yield Delivery("", forms.masked(fields), learned=learned)


def records(body: bytes, received_at: datetime) -> Iterator[Record]:
    """Deletions are told; what was added or changed is to be looked at."""
    try:
        form = read(body)
    except Refused as error:
        raise Misunderstood(error.reason, kind="form") from None
    event, data = _event(form), form.get("data")
    if event not in EVENTS and event != UNINSTALLED:
        raise Misunderstood("The form names no event that is known.", field="event", kind="event")
    fields = data.get("FIELDS") if isinstance(data, dict) else None
    id_ = fields.get("ID") if isinstance(fields, dict) else None
    yield from told(event, id_, _sent(form) or received_at)


def told(event: str, id_: object, at: datetime) -> Iterator[Record]:
    """What an event, posted or from the offline queue, says."""
    kind = EVENTS.get(event)
    if kind is None:
        # The app was removed: the next call finds its tokens gone, and the connection says so.
        return
    if not number(id_):
        raise no_id("data[FIELDS][ID]", id_)
    is_person = kind.name in PEOPLE
    if event.endswith("DELETE"):
        if is_person:
            yield Deletion(person(kind.name, number(id_)), NAME, at)
        return
    yield Fetch(kind.name, str(number(id_)), person(kind.name, number(id_)) if is_person else Identifiers())


def offline(row: Mapping[str, Any]) -> Iterator[Record]:
    """One row of the offline queue."""
    at = instant(row.get("TIMESTAMP_X"))
    data = row.get("EVENT_DATA")
    fields = data.get("FIELDS") if isinstance(data, dict) else None
    if at is None or not isinstance(fields, dict):
        raise Misunderstood("The row of the offline queue names no record.", field="EVENT_DATA", kind="offline")
    yield from told(str(row.get("EVENT_NAME") or "").upper(), fields.get("ID"), at)


def _event(form: Mapping[str, Any]) -> str:
    return _text(form.get("event")).upper()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _sent(form: Mapping[str, Any]) -> datetime | None:
    seconds = number(form.get("ts"))
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < 2**35 else None
