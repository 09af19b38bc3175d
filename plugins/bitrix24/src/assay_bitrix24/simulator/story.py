"""What the demonstration's portal has seen, and what happens in it from day to day."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

from assay_bitrix24.simulator.portals import ACTIVITY, COMPANY, CONTACT, DEAL, LEAD, Portal, reached

_FIRST = ("Ada", "Bela", "Chiara", "Duc", "Emil", "Fatou", "Greta", "Hugo", "Ines", "Jonas", "Lien", "Mihai")
_LAST = ("Novak", "Rossi", "Nguyen", "Keller", "Popescu", "Diallo", "Berg", "Silva", "Moreau", "Tanaka")
_POSTS = ("Head of Sales", "CEO", "Buyer", "Engineer", "Student")
_PAST = timedelta(days=90)
_JUDGED = ("NEW", "IN_PROCESS", "CONVERTED", "JUNK", "IN_PROCESS")
_SOLD = ("EXECUTING", "WON", "LOSE", "NEW")
#: Type, provider, direction, whether it is done.
_TALKS = (
    ("1", "CRM_MEETING", "0", "N"),
    ("1", "CRM_MEETING", "0", "Y"),
    ("2", "VOXIMPLANT_CALL", "1", "N"),
    ("2", "VOXIMPLANT_CALL", "2", "Y"),
    ("4", "CRM_EMAIL", "1", "Y"),
    ("6", "CRM_WEBFORM", "1", "Y"),
    ("6", "IMOPENLINES_SESSION", "1", "N"),
)


def fill(portal: Portal, people: int, *, now: datetime, dice: Random) -> None:
    """Half of the people are leads, the other half contacts; some have deals, calls, meetings, forms."""
    companies = [_company(portal, place, now) for place in range(max(1, people // 4))]
    for place in range(people):
        at = now - timedelta(seconds=dice.randrange(3600, int(_PAST.total_seconds())))
        first, last = dice.choice(_FIRST), dice.choice(_LAST)
        values = {
            "name": first,
            "lastName": last,
            "post": dice.choice(_POSTS),
            "fm": reached(email=f"{first}.{last}.{place}@example.test".lower(), phone=f"+4930{place:07d}"),
        }
        if place % 2 == 0:
            kind, id_ = LEAD, _lead(portal, place // 2, at, f"{first} {last}", values)
        else:
            kind, id_ = CONTACT, portal.add(CONTACT, at, companyId=dice.choice(companies), **values)
            if place % 4 == 1:
                _deal(portal, id_, at, _SOLD[place // 4 % len(_SOLD)], dice)
        if place % 3 != 2:
            active(portal, kind, id_, at + timedelta(minutes=dice.randrange(1, 50)), place)


def live(portal: Portal, *, now: datetime, dice: Random, access_token: str) -> None:
    """Somebody writes in, calls, is judged, or buys."""
    leads = portal.ids[LEAD]
    what = dice.randrange(5)
    if what == 0 or not leads:
        first, last = dice.choice(_FIRST), dice.choice(_LAST)
        email = f"{first}.{last}.{now.timestamp():.0f}@example.test".lower()
        id_ = portal.add(LEAD, now, title="New request", name=first, lastName=last, fm=reached(email=email))
        portal.happened("ONCRMLEADADD", id_, now, access_token=access_token)
    elif what in (1, 2):
        id_ = active(portal, LEAD, dice.choice(leads), now, dice.randrange(100))
        portal.happened("ONCRMACTIVITYADD", id_, now, access_token=access_token)
    elif what == 3:
        id_ = dice.choice(leads)
        if portal.change(LEAD, id_, now, {"stageId": dice.choice(("IN_PROCESS", "JUNK"))}):
            # The portal's own automation: nobody's token comes along.
            portal.happened("ONCRMLEADUPDATE", id_, now, by_person=False)
    elif portal.ids[DEAL]:
        id_ = dice.choice(portal.ids[DEAL])
        if portal.change(DEAL, id_, now, {"stageId": dice.choice(("EXECUTING", "WON", "LOSE"))}):
            portal.happened("ONCRMDEALUPDATE", id_, now, access_token=access_token)


def active(portal: Portal, kind: int, id_: int, at: datetime, place: int) -> int:
    """A meeting, a call, an e-mail, a form or a chat with a lead or a contact."""
    type_, provider, direction, is_done = _TALKS[place % len(_TALKS)]
    return portal.add(
        ACTIVITY,
        at,
        OWNER_TYPE_ID=str(kind),
        OWNER_ID=str(id_),
        TYPE_ID=type_,
        PROVIDER_ID=provider,
        DIRECTION=direction,
        SUBJECT="A talk",
        START_TIME=at,
        COMPLETED=is_done,
        STATUS="2" if is_done == "Y" else "1",
        DESCRIPTION="The text of a letter.",
        COMMUNICATIONS=[],
    )


def _lead(portal: Portal, place: int, at: datetime, name: str, values: dict[str, Any]) -> int:
    """What became of it half an hour later; a good one became a contact."""
    id_ = portal.add(LEAD, at, title=f"Lead of {name}", companyTitle=f"{name} Ltd", **values)
    stage, later = _JUDGED[place % len(_JUDGED)], at + timedelta(minutes=30)
    changed: dict[str, Any] = {"stageId": stage}
    if stage == "CONVERTED":
        changed["contactId"] = portal.add(CONTACT, later, leadId=id_, **values)
    portal.change(LEAD, id_, later, changed)
    return id_


def _company(portal: Portal, place: int, now: datetime) -> int:
    fields = {"title": f"Company {place}", "industry": "IT", "employees": "EMPLOYEES_1"}
    return portal.add(COMPANY, now - _PAST, fm=reached(web=f"https://company-{place}.example.test"), **fields)


def _deal(portal: Portal, contact: int, at: datetime, stage: str, dice: Random) -> None:
    id_ = portal.add(DEAL, at, title="Offer", contactId=contact, opportunity=dice.randrange(1, 90) * 100)
    portal.deal_contacts[id_] = [contact]
    portal.change(DEAL, id_, at + timedelta(minutes=30), {"stageId": stage})
