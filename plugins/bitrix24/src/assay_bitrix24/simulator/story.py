"""What the demonstration's portal has seen, and what happens in it from day to day."""

from datetime import datetime, timedelta
from random import Random

from assay_bitrix24.simulator.portals import ACTIVITY, COMPANY, CONTACT, DEAL, LEAD, Portal, reached

_FIRST = ("Ada", "Bela", "Chiara", "Duc", "Emil", "Fatou", "Greta", "Hugo", "Ines", "Jonas", "Lien", "Mihai")
_LAST = ("Novak", "Rossi", "Nguyen", "Keller", "Popescu", "Diallo", "Berg", "Silva", "Moreau", "Tanaka")
_POSTS = ("Head of Sales", "CEO", "Buyer", "Engineer", "Student")
_PAST = timedelta(days=90)
#: One in so many.
_LEADS, _DEALS, _ACTIVE = 2, 5, 3


def fill(portal: Portal, people: int, *, now: datetime, dice: Random) -> None:
    """Half of the people are leads, the other half contacts; some have deals, calls, meetings, forms."""
    companies = [_company(portal, place, now) for place in range(max(1, people // 20))]
    for place in range(people):
        at = now - timedelta(seconds=dice.randrange(3600, int(_PAST.total_seconds())))
        first, last = dice.choice(_FIRST), dice.choice(_LAST)
        values = {
            "name": first,
            "lastName": last,
            "post": dice.choice(_POSTS),
            "fm": reached(email=f"{first}.{last}.{place}@example.test".lower(), phone=f"+4930{place:07d}"),
        }
        if place % _LEADS == 0:
            id_ = portal.add(LEAD, at, title=f"Lead of {first} {last}", companyTitle=f"{last} Ltd", **values)
            kind = LEAD
        else:
            company = dice.choice(companies)
            id_ = portal.add(CONTACT, at, companyId=company, **values)
            kind = CONTACT
            if dice.randrange(_DEALS) == 0:
                _deal(portal, id_, at, dice)
        if dice.randrange(_ACTIVE) == 0:
            active(portal, kind, id_, at + timedelta(minutes=dice.randrange(1, 50)), dice)


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
        id_ = active(portal, LEAD, dice.choice(leads), now, dice)
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


def active(portal: Portal, kind: int, id_: int, at: datetime, dice: Random) -> int:
    """A call, a meeting, an e-mail, or a form, with a lead or a contact."""
    type_, provider, direction = dice.choice(
        ((1, "CRM_MEETING", 0), (2, "VOXIMPLANT_CALL", 1), (4, "CRM_EMAIL", 1), (6, "CRM_WEBFORM", 1))
    )
    return portal.add(
        ACTIVITY,
        at,
        OWNER_TYPE_ID=str(kind),
        OWNER_ID=str(id_),
        TYPE_ID=str(type_),
        PROVIDER_ID=provider,
        DIRECTION=str(direction),
        SUBJECT="A talk",
        START_TIME=at,
        COMPLETED="N",
        STATUS="1",
        DESCRIPTION="The text of a letter.",
        COMMUNICATIONS=[],
    )


def _company(portal: Portal, place: int, now: datetime) -> int:
    fields = {"title": f"Company {place}", "industry": "IT", "employees": "EMPLOYEES_1"}
    return portal.add(COMPANY, now - _PAST, fm=reached(web=f"https://company-{place}.example.test"), **fields)


def _deal(portal: Portal, contact: int, at: datetime, dice: Random) -> None:
    id_ = portal.add(DEAL, at, title="Offer", contactId=contact, opportunity=dice.randrange(1, 90) * 100)
    portal.deal_contacts[id_] = [contact]
    stage = dice.choice(("NEW", "EXECUTING", "WON", "LOSE"))
    portal.change(DEAL, id_, at + timedelta(minutes=30), {"stageId": stage})
