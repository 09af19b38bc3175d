"""Lists that are read again and again, because Calendly can't say what changed since.

A run re-reads the meetings of a window, and asks for the invitees of those that are not as they were. What they were is
remembered as marks: ten hexadecimal digits for a meeting in one state, side by side in one text.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from assay_calendly.api import (
    LARGEST_PAGE,
    everything,
    organization_of,
    page,
    reach_of,
    resource,
    stated,
    uuid_of,
    whose,
)
from assay_calendly.pruning import pruned
from assay_calendly.reading import SUBMISSION
from assay_sdk import Cursor, Link, Page, Refused
from assay_sdk.paging import digest, packed

BACK_AT_FIRST, BACK, AHEAD = timedelta(days=365), timedelta(days=7), timedelta(days=60)
MARK = 10
#: Meetings that are remembered; of those beyond, the invitees are asked for in each run.
MOST_MARKS = 10_000
#: Requests for invitees in one go. A free plan takes 50 in a minute, so that a whole page of 100 meetings would never
#: get done there.
AT_ONCE = 20


def mark_of(meeting: Mapping[str, Any]) -> str:
    """A meeting in one state. Whether ``updated_at`` moves whenever somebody books or leaves, nobody says."""
    state = [meeting.get(name) for name in ("updated_at", "status", "invitees_counter")]
    return digest([uuid_of(str(meeting.get("uri"))), *state])[:MARK]


def meetings(link: Link, cursor: Cursor | None) -> Page:
    """The next meetings of a run, with their invitees.

    The cursor: ``from`` and ``until`` of the run, which began at ``now``; ``later``: where later runs begin; ``token``
    of the page it is at, and ``reached``: the start of the last meeting before that page; ``page``: marks of that
    page's meetings that are done; ``fresh``: of all that this run saw and later runs will see; ``known``: of the run
    before, which began at ``last``.
    """
    at = dict(cursor or {})
    if "from" not in at:
        now = link.clock.now()
        # What changed while nobody looked lies further back.
        last = min(now, datetime.fromisoformat(str(at["last"]))) if "last" in at else now
        back = max(last - BACK, now - BACK_AT_FIRST) if cursor else now - BACK_AT_FIRST
        at |= {"from": stated(back), "until": stated(now + AHEAD), "later": stated(now - BACK), "now": stated(now)}
    params = {**whose(link), "min_start_time": at["from"], "max_start_time": at["until"], "sort": "start_time:asc"}
    try:
        found, following = page(link, "/scheduled_events", params, at.get("token"))
    except Refused as refusal:
        if refusal.status != 400 or not at.get("token"):
            raise
        # The token grew too old: the run goes on from the last meeting that it read.
        return Page(cursor=_without(at, "token", "reached") | {"from": at.get("reached", at["from"])}, more=True)
    known = _marks(at, "known") | _marks(at, "fresh") | _marks(at, "page")
    due = [meeting for meeting in found if mark_of(meeting) not in known]
    done = _some(due)
    people = [person for meeting in done for person in invitees(link, meeting)]
    seen = [meeting for meeting in found if mark_of(meeting) in known] + done
    at["fresh"] = _joined(
        [*_list(at, "fresh"), *(mark_of(one) for one in seen if str(one.get("start_time")) >= at["later"])]
    )
    if len(done) < len(due):
        at["page"] = _joined([*_list(at, "page"), *map(mark_of, done)])
        is_over = False
    else:
        at = _without(at, "page", "token")
        if following:
            at |= {"token": following} | _reached(found)
        is_over = following is None
    if is_over:
        at = {"known": at["fresh"], "last": at["now"]}
    return Page(packed(people), cursor=at, more=not is_over, count=len(people))


def _reached(found: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """From where a run goes on without its token: a second earlier, whether or not the limit itself is meant too."""
    try:
        last = datetime.fromisoformat(str(found[-1]["start_time"]))
    except (LookupError, ValueError):
        return {}
    return {"reached": stated(last - timedelta(seconds=1))}


def _some(due: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many as may be asked for in one go; a group's takes a request for each hundred invitees."""
    chosen: list[dict[str, Any]] = []
    cost = 0
    for meeting in due:
        counter = meeting.get("invitees_counter")
        total = counter.get("total") if isinstance(counter, dict) else 1
        cost += 1 + (total if isinstance(total, int) else 1) // LARGEST_PAGE
        if chosen and cost > AT_ONCE:
            break
        chosen.append(meeting)
    return chosen


def invitees(link: Link, meeting: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A meeting's invitees as a webhook would bring them; none when it is gone, or hidden from whoever connected."""
    path = f"/scheduled_events/{uuid_of(str(meeting.get('uri')))}/invitees"
    try:
        people = list(everything(link, path, {"sort": "created_at:asc"}))
    except Refused as refusal:
        if refusal.status in (403, 404):
            link.log.info("meeting.skipped", meeting=uuid_of(str(meeting.get("uri"))), status=refusal.status)
            return []
        raise
    beside = pruned(meeting)
    return [{**pruned(one), "scheduled_event": beside} for one in people]


def submissions(link: Link, cursor: Cursor | None) -> Page:
    """One page of one form's submissions, newest first, down to those that are known.

    The cursor: ``known``: by form, the newest instant and what came in it; during a run also ``left``: forms to come,
    the first being read; ``token`` of its page; ``newest`` of what this run found in it.
    """
    at = dict(cursor or {})
    if reach_of(link) != "organization":
        # Only admins may list the organization's forms.
        return Page(cursor=at)
    if "left" not in at:
        forms = everything(link, "/routing_forms", {"organization": organization_of(link)})
        at["left"] = [str(form["uri"]) for form in forms if form.get("uri")]
    if not at["left"]:
        return Page(cursor=_without(at, "left"))
    form, *others = at["left"]
    params = {"form": form, "sort": "created_at:desc"}
    try:
        found, following = page(link, "/routing_form_submissions", params, at.get("token"))
    except Refused as refusal:
        if refusal.status == 400 and at.get("token"):
            # The token grew too old: the form is read from its beginning.
            return Page(cursor=_without(at, "token", "newest"), more=True)
        if refusal.status not in (403, 404):
            raise
        # It was deleted, or hidden, since the forms were listed.
        at = _without(at, "token", "newest") | {"left": others}
        return Page(cursor=at if others else _without(at, "left"), more=bool(others))
    known: dict[str, Any] = dict(at.get("known") or {})
    oldest = stated(link.clock.now() - BACK_AT_FIRST)
    since, beside = known.get(uuid_of(form)) or (oldest, [])
    fresh = [one for one in found if _when(one) >= since and uuid_of(str(one.get("uri"))) not in beside]
    if found and "newest" not in at:
        newest = max(since, _when(found[0]))
        same = [uuid_of(str(one.get("uri"))) for one in found if _when(one) == newest]
        at["newest"] = [newest, same + (list(beside) if newest == since else [])]
    if following and found and _when(found[-1]) >= since:
        at["token"] = following
    else:
        if at.get("newest"):
            known[uuid_of(form)] = at["newest"]
        at = _without(at, "token", "newest") | {"left": others, "known": known}
    more = bool(at["left"])
    return Page(packed(pruned(fresh)), cursor=at if more else _without(at, "left"), more=more, count=len(fresh))


def with_submitter(link: Link, submission: Mapping[str, Any]) -> dict[str, Any]:
    """The submission with its invitee's address beside it, which it doesn't hold itself."""
    kept = pruned(dict(submission))
    uri = submission.get("submitter")
    if isinstance(uri, str) and "/invitees/" in uri:
        meeting, _, invitee = uri.partition("/invitees/")
        person = resource(link, f"/scheduled_events/{uuid_of(meeting)}/invitees/{uuid_of(invitee)}")
        kept["submitter_email"] = (person or {}).get("email")
    return dict(kept)


def fetch(link: Link, kind: str, ids: Sequence[str]) -> Page:
    """Submissions whose hook named an invitee without an address, and invitees of meetings that were held."""
    records: list[dict[str, Any]] = []
    for name in ids:
        if kind == SUBMISSION:
            submission = resource(link, f"/routing_form_submissions/{name}")
            if submission is not None:
                # Without an address even so it would be asked for for ever.
                records.append({"submitter_email": None, **with_submitter(link, submission)})
        else:
            meeting = resource(link, f"/scheduled_events/{name}")
            if meeting is not None:
                records += invitees(link, meeting)
    return Page(packed(records), count=len(records))


def _when(record: Mapping[str, Any]) -> str:
    """Comparable as text: always UTC, and the digits of the second are filled up."""
    text = str(record.get("created_at") or "").rstrip("Z")
    seconds, _, rest = text.partition(".")
    return f"{seconds}.{rest:0<6}Z"


def _list(at: Mapping[str, Any], name: str) -> list[str]:
    text = str(at.get(name) or "")
    return [text[start : start + MARK] for start in range(0, len(text), MARK)]


def _marks(at: Mapping[str, Any], name: str) -> set[str]:
    return set(_list(at, name))


def _joined(marks: Sequence[str]) -> str:
    return "".join(list(dict.fromkeys(marks))[:MOST_MARKS])


def _without(at: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in at.items() if name not in names}
