"""Lists at Intercom: loaded once, then followed.

Searches compare dates by whole days of the workspace's time zone, find what is new only after some minutes, and give
the same again and again. So each round asks for some days more than is needed, and what is not new is left out here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from assay_intercom.contacts import ENGAGEMENT
from assay_intercom.conversations import trimmed
from assay_intercom.merged import follow_merges
from assay_intercom.values import escaped, rows, seconds, text
from assay_intercom.workspace import time_zone
from assay_sdk import Cursor, Page, Refused, TryLater
from assay_sdk.paging import mark, packed
from assay_sdk.values import part

if TYPE_CHECKING:
    from assay_sdk import Link

#: Records of ours among Intercom's: what asking for a contact told besides.
GONE, MERGED = "assay.gone", "assay.merged"

MOST_CONTACTS = 150
#: Each may take a call of its own.
MOST_CONVERSATIONS = 50
#: What was changed so long before the newest that was seen may still turn up.
LATE = 15 * 60
#: The search starts with the day after the one that it is given; one more day is for safety.
DAYS_BEFORE = timedelta(days=2)
#: Replies that are older when a workspace is connected are not read one by one.
REPLIES_SINCE = timedelta(days=90)
#: Marks that a cursor holds; what is forgotten comes twice, and counts once.
MOST_MARKS = 2000
#: A scroll that nobody goes on with ends after a minute, and until then there is no other.
SCROLL_ENDS = timedelta(seconds=65)

#: Pages of a hundred companies each.
MOST_SCROLLED = 1000

Rows = list[Mapping[str, Any]]
_OF_COMPANY = (
    *("type", "id", "company_id", "name", "website", "industry", "size", "monthly_spend", "plan"),
    *("custom_attributes", "updated_at"),
)


def contacts(link: "Link", cursor: Cursor) -> Page:
    """All of them once, then those that were changed or did something with a mail."""
    if "since" not in cursor:
        return _load_contacts(link, cursor)
    fields = ("updated_at", *ENGAGEMENT)
    answer = _search(link, "/contacts/search", cursor, fields, MOST_CONTACTS)
    fresh, following, more = _round(link, cursor, answer, rows(answer, "data"), fields)
    bodies = packed([_with_companies(link, contact) for contact in fresh])
    return Page(bodies, following, more, len(fresh), newest_at=_newest(cursor) if more else None)


def _load_contacts(link: "Link", cursor: Cursor) -> Page:
    began = cursor.get("began") or _now(link)
    params: dict[str, Any] = {"per_page": MOST_CONTACTS}
    if cursor.get("after"):
        params["starting_after"] = cursor["after"]
    answer = link.http.get("/contacts", params=params).json()
    found = rows(answer, "data")
    after = _next(answer, cursor)
    following = {"began": began, "after": after} if after else {"since": began}
    bodies = packed([_with_companies(link, contact) for contact in found])
    return Page(bodies, following, after is not None, len(found), total=answer.get("total_count"))


def _with_companies(link: "Link", contact: Mapping[str, Any]) -> Mapping[str, Any]:
    """Only the first ten companies are embedded; those of the few who have more are asked for."""
    companies = part(contact, "companies")
    if not companies.get("has_more"):
        return contact
    try:
        answer = link.http.get(f"/contacts/{escaped(contact['id'])}/companies").json()
    except Refused:
        return contact
    # Intercom's description calls them companies, its example of an answer data.
    found = [*rows(answer, "data"), *rows(answer, "companies")]
    known = [{"type": "company", "id": company.get("id")} for company in found]
    return {**contact, "companies": {**companies, "data": known, "has_more": False}}


def conversations(link: "Link", cursor: Cursor) -> Page:
    """Those that were changed, from the very first; with the replies of contacts, as far as there are new ones."""
    answer = _search(link, "/conversations/search", cursor, ("updated_at",), MOST_CONVERSATIONS)
    fresh, following, more = _round(link, cursor, answer, rows(answer, "conversations"), ("updated_at",))
    horizon = _floor(cursor) or _now(link) - int(REPLIES_SINCE.total_seconds())
    told = [_with_replies(link, one) if _replied_at(one) >= horizon else one for one in fresh]
    return Page(
        packed([trimmed(one) for one in told]),
        following,
        more,
        len(fresh),
        total=answer.get("total_count") if not cursor.get("since") else None,
        newest_at=_newest(cursor) if more else None,
    )


def _replied_at(conversation: Mapping[str, Any]) -> int:
    """When a contact last replied; where nobody counted, it may have been just now."""
    statistics = conversation.get("statistics")
    stated = part(conversation, "statistics").get("last_contact_reply_at")
    return seconds(stated if isinstance(statistics, Mapping) else conversation.get("updated_at"))


def _with_replies(link: "Link", conversation: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = link.http.get(f"/conversations/{escaped(conversation['id'])}").json()
    except Refused as error:
        if error.status == 404:
            return conversation
        raise
    return found


def companies(link: "Link", cursor: Cursor) -> Page:
    """Those that were changed since the last time, out of all of them: by the only list that has no end.

    One look is one whole scroll. Intercom keeps the place in it, and moves on with each call: what was answered and not
    kept could not be asked for again.
    """
    since, began = int(cursor.get("since") or 0), _now(link)
    # Kept as text at once: of a large workspace all of them would be too much as objects.
    bodies: list[bytes] = []
    count = 0
    scroll: str | None = None
    for _ in range(MOST_SCROLLED):
        answer = _scrolled(link, scroll)
        found = rows(answer, "data")
        fresh = [_brief(company) for company in found if seconds(company.get("updated_at")) >= since - LATE]
        bodies += packed(fresh)
        count += len(fresh)
        scroll = text(answer.get("scroll_param"))
        if not found or scroll is None:
            break
    else:
        link.log.warning("companies.too_many", pages=MOST_SCROLLED)
    return Page(bodies, {"since": began}, count=count)


def _scrolled(link: "Link", scroll: str | None) -> Mapping[str, Any]:
    """The next page. Where a scroll breaks off, all begins again once Intercom has forgotten it."""
    params = {"scroll_param": scroll} if scroll else None
    try:
        # Each call goes one page on, so none is sent twice.
        answer: Mapping[str, Any] = link.http.get("/companies/scroll", params=params, safe=False).json()
    except TryLater as error:
        if scroll is None or error.overloaded:
            raise
        raise TryLater("The scroll through the companies broke off.", after=SCROLL_ENDS) from None
    except Refused as error:
        if error.status not in (400, 404):
            raise
        raise TryLater("Another scroll through the companies is not over.", after=SCROLL_ENDS) from None
    return answer


def _brief(company: Mapping[str, Any]) -> dict[str, Any]:
    return {name: company[name] for name in _OF_COMPANY if name in company}


def fetch(link: "Link", kind: str, ids: Sequence[str]) -> Page:
    """Contacts and conversations that notices named."""
    found: Rows = []
    for id_ in ids:
        found += _contact(link, id_) if kind == "contact" else _conversation(link, id_)
    return Page(packed(found), count=len(found))


def _contact(link: "Link", id_: str) -> Rows:
    def ask(contact_id: str) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = link.http.get(
            f"/contacts/{escaped(contact_id)}", params={"include_merge_history": "true"}
        ).json()
        return answer

    now = link.clock.now().isoformat()
    try:
        contact, canonical = follow_merges(id_, ask)
    except Refused as error:
        if error.status == 404:
            return [{"type": GONE, "id": id_, "at": now}]
        if error.status == 410:
            # It was merged into one that can't be found by following: nothing is known of it, and nothing is lost.
            return []
        raise
    found: Rows = [_with_companies(link, contact)]
    if canonical != id_:
        found.append({**_named(contact), "type": MERGED, "merged_from": {"id": id_}, "at": now})
    return found


def _named(contact: Mapping[str, Any]) -> dict[str, Any]:
    return {name: contact.get(name) for name in ("id", "external_id", "email")}


def _conversation(link: "Link", id_: str) -> Rows:
    found = _with_replies(link, {"id": id_})
    return [trimmed(found)] if "created_at" in found else []


# Rounds: each goes through all pages of one search; the next one asks from the newest that this one saw.


def _search(link: "Link", path: str, cursor: Cursor, fields: Sequence[str], size: int) -> Mapping[str, Any]:
    value = str(_asked_from(link, cursor))
    dates = [{"field": field, "operator": ">", "value": value} for field in fields]
    asked: dict[str, Any] = {
        "query": {"operator": "OR" if len(dates) > 1 else "AND", "value": dates},
        "pagination": {"per_page": size},
    }
    if cursor.get("after"):
        asked["pagination"]["starting_after"] = cursor["after"]
    params = None
    if path.startswith("/contacts"):
        # Only these can be put into an order.
        asked["sort"], params = {"field": "updated_at", "order": "ascending"}, {"include_merge_history": "true"}
    answer: Mapping[str, Any] = link.http.post(path, json=asked, params=params, safe=True).json()
    return answer


def _asked_from(link: "Link", cursor: Cursor) -> int:
    """Noon of a day that surely lies before all that is new, as the workspace's calendar has it."""
    floor = _floor(cursor)
    if floor <= 0:
        return 0
    zone = time_zone(link.notes)
    day = datetime.fromtimestamp(floor, zone).date() - DAYS_BEFORE
    return max(0, int(datetime.combine(day, time(12), zone).timestamp()))


def _round(
    link: "Link", cursor: Cursor, answer: Mapping[str, Any], found: Rows, fields: Sequence[str]
) -> tuple[Rows, dict[str, Any], bool]:
    """What is new in a page, the next cursor, and whether there is more. Pages may come in any order."""
    since, seen = int(cursor.get("since") or 0), list(cursor.get("seen") or ())
    known, floor = set(seen), _floor(cursor)
    stamped = [(max(seconds(row.get(field)) for field in fields), row) for row in found]
    fresh = [(at, row) for at, row in stamped if at >= floor and mark(row.get("id"), at) not in known]
    seen += [mark(row.get("id"), at) for at, row in fresh]
    high = min(max([int(cursor.get("high") or since), *(at for at, _ in stamped)]), _now(link))
    after = _next(answer, cursor)
    following: dict[str, Any] = {"since": since if after else high, "seen": _recent(seen, high)}
    if after:
        following |= {"high": high, "after": after}
    return [row for _, row in fresh], following, after is not None


def _recent(marks: Iterable[str], high: int) -> list[str]:
    return [one for one in marks if int(one.rpartition("@")[2]) >= high - LATE][-MOST_MARKS:]


def _floor(cursor: Cursor) -> int:
    return max(0, int(cursor.get("since") or 0) - LATE)


def _next(answer: Mapping[str, Any], cursor: Cursor) -> str | None:
    """Where the next page starts; None: this is the last."""
    after = text(part(part(answer, "pages"), "next").get("starting_after"))
    if after is not None and after == cursor.get("after"):
        raise TryLater("Intercom's next page starts where this one did.")
    return after


def _newest(cursor: Cursor) -> datetime | None:
    since = int(cursor.get("since") or 0)
    return datetime.fromtimestamp(since, UTC) if since else None


def _now(link: "Link") -> int:
    return int(link.clock.now().timestamp())


STREAMS: Mapping[str, Callable[["Link", Cursor], Page]] = {
    "contacts": contacts,
    "conversations": conversations,
    "companies": companies,
}
