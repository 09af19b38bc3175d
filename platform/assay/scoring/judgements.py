"""What people think of a lead, in points with a reason: facts like all others, so that they merge and replay too."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Literal
from uuid import UUID, uuid4

from assay.facts import LeadsChanged, tell_after_commit
from assay.profiles import queries as profiles
from assay.profiles import service as profiles_service
from assay.profiles.queries import LeadEvent
from assay.scoring import instants
from assay.scoring.errors import NoSuchJudgement, NoSuchModel
from assay.scoring.language import number
from assay.scoring.queries import read_model
from assay_tenants import audit
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput

JUDGEMENT = "assay.judgement"
WITHDRAWN = "assay.judgement_withdrawn"

MOST_POINTS = 1_000
LONGEST_REASON = 500


@dataclass(frozen=True)
class Judgement:
    key: str
    #: Thousandths.
    points: int
    reason: str
    by: str
    #: None: it counts under every model that counts judgements.
    model: str | None
    at: datetime
    expires_at: datetime | None
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = None

    def state(self, now: datetime) -> Literal["counts", "expired", "withdrawn"]:
        if self.withdrawn_at is not None:
            return "withdrawn"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "counts"


def record(
    tenant_id: int,
    lead_id: int,
    *,
    points: int,
    reason: str,
    by: str,
    model: str | None = None,
    expires_at: datetime | None = None,
) -> Judgement:
    """Counts from now on, until it expires or is withdrawn."""
    now = datetime.now(UTC)
    _check_points(points)
    reason = _checked_reason(reason)
    if expires_at is not None:
        expires_at = instants.checked(expires_at, "expires_at")
        if expires_at <= now:
            raise BadInput("The instant is over already; give one in the future.", field="expires_at")
    judgement = Judgement(uuid4().hex, points, reason, by, model, now, expires_at)
    properties: dict[str, str | int | float] = {
        "judgement": judgement.key,
        "points": number(points),
        "reason": reason,
        "by": by,
    }
    if model is not None:
        properties["model"] = model
    if expires_at is not None:
        properties["expires_at"] = expires_at.isoformat()
    with tenant_session(tenant_id) as session:
        if model is not None:
            try:
                read_model(session, tenant_id, model)
            except NoSuchModel:
                raise BadInput(f"There is no model named {model!r}.", field="model") from None
        profiles_service.state(session, tenant_id, lead_id, JUDGEMENT, properties, key=judgement.key, at=now)
        told = {"judgement": judgement.key, "points": number(points), "model": model}
        audit.record(session, tenant_id, "judgement.given", lead_id, after=told)
        tell_after_commit(session, LeadsChanged(tenant_id))
    return judgement


def withdraw(tenant_id: int, lead_id: int, key: str, *, by: str) -> Judgement:
    """It stops to count now, and stays on record; withdrawn once, it stays so."""
    found = get_judgement(tenant_id, lead_id, key)
    if found.withdrawn_at is not None:
        return found
    with tenant_session(tenant_id) as session:
        profiles_service.state(
            session,
            tenant_id,
            lead_id,
            WITHDRAWN,
            {"judgement": key, "by": by},
            key=f"{key}/withdrawn",
            at=datetime.now(UTC),
        )
        told = {"judgement": key, "points": number(found.points), "model": found.model}
        audit.record(session, tenant_id, "judgement.withdrawn", lead_id, before=told)
        tell_after_commit(session, LeadsChanged(tenant_id))
    return get_judgement(tenant_id, lead_id, key)


def list_judgements(tenant_id: int, lead_id: int) -> list[Judgement]:
    """Newest first, those that count no more too."""
    events = profiles.list_events(tenant_id, lead_id, (JUDGEMENT, WITHDRAWN))
    withdrawn: dict[str, LeadEvent] = {}
    for event in events:
        if event.type == WITHDRAWN:
            withdrawn.setdefault(event.properties["judgement"], event)
    made = [event for event in events if event.type == JUDGEMENT]
    return [_judgement(event, withdrawn.get(event.properties["judgement"])) for event in reversed(made)]


def judgements_behind(tenant_id: int, lead_id: int, events: Iterable[LeadEvent]) -> dict[UUID, Judgement]:
    """By the event that gave it or took it back; other events are left out."""
    keys = {event.id: event.properties["judgement"] for event in events if event.type in (JUDGEMENT, WITHDRAWN)}
    if not keys:
        return {}
    made = {judgement.key: judgement for judgement in list_judgements(tenant_id, lead_id)}
    return {id_: made[key] for id_, key in keys.items() if key in made}


def get_judgement(tenant_id: int, lead_id: int, key: str) -> Judgement:
    for judgement in list_judgements(tenant_id, lead_id):
        if judgement.key == key:
            return judgement
    raise NoSuchJudgement


def read_points(written: object) -> int:
    """A number as a person or a program writes it, in thousandths; raises BadInput."""
    exact = None
    with suppress(InvalidOperation):
        exact = None if isinstance(written, bool) else Decimal(str(written).strip().replace("−", "-"))
    if exact is None or not exact.is_finite():
        raise BadInput("Points are a number, such as 15 or -7.5.", field="points")
    # Compared before it is multiplied: 1e999999 would overflow.
    if not -MOST_POINTS <= exact <= MOST_POINTS:
        raise _out_of_bounds()
    if exact * 1000 != int(exact * 1000):
        raise BadInput("Points have at most three decimal places.", field="points")
    return int(exact * 1000)


def _check_points(points: int) -> None:
    if points == 0 or abs(points) > MOST_POINTS * 1000:
        raise _out_of_bounds()


def _out_of_bounds() -> BadInput:
    return BadInput(f"Points are between -{MOST_POINTS:,} and {MOST_POINTS:,}, and not 0.", field="points")


def _checked_reason(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise BadInput("Say why, in a few words: whoever reads the score will want to know.", field="reason")
    if len(reason) > LONGEST_REASON:
        raise BadInput(
            f"The reason has {len(reason):,} letters; at most {LONGEST_REASON} are accepted.", field="reason"
        )
    if "\0" in reason or any("\ud800" <= letter <= "\udfff" for letter in reason):
        raise BadInput("The reason holds characters that can't be stored.", field="reason")
    return reason


def _judgement(event: LeadEvent, withdrawn: LeadEvent | None) -> Judgement:
    said = event.properties
    expires_at = said.get("expires_at")
    return Judgement(
        key=said["judgement"],
        points=round(Decimal(str(said["points"])) * 1000),
        reason=said["reason"],
        by=said["by"],
        model=said.get("model"),
        at=event.occurred_at,
        expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
        withdrawn_at=withdrawn.occurred_at if withdrawn else None,
        withdrawn_by=withdrawn.properties["by"] if withdrawn else None,
    )
