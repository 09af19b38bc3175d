"""What a person may choose for a preview or a replay, checked."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from assay.scoring import instants
from assay.scoring.studies import service
from assay.scoring.studies.replaying import instants_of
from assay_tenants.errors import BadInput

LARGEST_SAMPLE = 10_000_000
MOST_INSTANTS = 60
LONGEST_BEFORE = timedelta(days=365)
PAST = timedelta(days=90)
WEEK = timedelta(days=7)
_SHORTEST_STEP = timedelta(hours=1)
_LONGEST_TYPE = 200
_LENGTH = re.compile(r"([1-9][0-9]{0,3})([hdw])", re.ASCII)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True)
class ReplayChoice:
    """``since`` and ``until`` (default: the last ninety days) in steps of ``every``; outcomes by event type."""

    since: datetime | None = None
    until: datetime | None = None
    every: timedelta = WEEK
    sample: int | None = None
    won: str | None = None
    lost: str | None = None
    days_before: int = 30


def start_preview(tenant_id: int, name: str, *, by: str, sample: int | None = None, at: datetime | None = None) -> int:
    """What publishing the draft would change; of all leads, or of ``sample`` of them, always the same ones."""
    return service.start(tenant_id, name, "preview", {"sample": _sample(sample)}, by=by, at=at)


def start_replay(tenant_id: int, name: str, chosen: ReplayChoice, *, by: str) -> int:
    """What the draft would have said in the past, of what was known then."""
    now = datetime.now(UTC)
    until = now if chosen.until is None else instants.checked(chosen.until, "to")
    since = until - PAST if chosen.since is None else instants.checked(chosen.since, "from")
    if until > now:
        raise BadInput("The end of a replay is in the past: nothing is known of the future.", field="to")
    if since >= until:
        raise BadInput("A replay begins before it ends.", field="from")
    if chosen.every < _SHORTEST_STEP:
        raise BadInput("The steps of a replay are an hour or longer.", field="every")
    if (until - since) / chosen.every > MOST_INSTANTS - 1:
        raise BadInput(
            f"These are more than {MOST_INSTANTS} instants. Choose longer steps, or a shorter time.", field="every"
        )
    if not 0 <= chosen.days_before <= LONGEST_BEFORE.days:
        raise BadInput(f"Between 0 and {LONGEST_BEFORE.days} days before the outcome.", field="before")
    options: dict[str, Any] = {
        "sample": _sample(chosen.sample),
        "instants": [at.isoformat() for at in instants_of(since, until, chosen.every)],
        "won": _type(chosen.won, "won"),
        "lost": _type(chosen.lost, "lost"),
        "days_before": chosen.days_before,
    }
    return service.start(tenant_id, name, "replay", options, by=by, at=until)


def length(text: str, field: str) -> timedelta:
    """``12h``, ``7d`` or ``2w``."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise BadInput("Write a length as 12h, 7d or 2w.", field=field)
    return int(found[1]) * _UNITS[found[2]]


def _sample(sample: int | None) -> int | None:
    if sample is not None and not 1 <= sample <= LARGEST_SAMPLE:
        raise BadInput(f"A sample has between 1 and {LARGEST_SAMPLE:,} leads; leave it out for all.", field="sample")
    return sample


def _type(type_: str | None, field: str) -> str | None:
    if not type_:
        return None
    if len(type_) > _LONGEST_TYPE or not type_.isprintable() or type_ != type_.strip():
        raise BadInput("This is no event type, such as deal.won.", field=field)
    return type_
