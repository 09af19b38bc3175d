"""All that is kept of a person, as one JSON document that is written while it is sent: nothing of it is kept.

Its shape is told in docs/privacy.md; ``version`` grows when something in it changes its meaning or goes.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import or_, select, text

from assay.intake.ids import instant_of
from assay.privacy.messages import items_of
from assay.privacy.needles import Needles
from assay.profiles import kinship
from assay.profiles.identity_models import Decision
from assay.profiles.marks import NONE, Marks, Reveal, read_marks
from assay.profiles.merging import instant
from assay.profiles.models import KnownAs
from assay.profiles.queries import DetailedLead, get_lead, timeline
from assay.scoring import asking, judgements, queries, service
from assay.scoring.language import number
from assay.scoring.sentences import say
from assay_sdk.reading import read_leniently
from assay_tenants import audit
from assay_tenants.database import tenant_session

FORMAT, VERSION = "assay.person", 1
PAGE = 500
LANGUAGE = "en"

_STATED = text("""
    SELECT i.kind, i.value, i.traits, i.stated, CAST(NULL AS text) AS filename
    FROM profiles.identities i WHERE i.tenant_id = :tenant_id AND i.lead_id = :lead_id
    UNION ALL
    SELECT i.kind, i.value, s.traits, s.stated, f.filename
    FROM profiles.identities i
    JOIN profiles.import_statements s ON s.tenant_id = :tenant_id AND s.identity_id = i.id
    LEFT JOIN intake.imports f ON f.tenant_id = :tenant_id AND f.id = s.import_id
    WHERE i.tenant_id = :tenant_id AND i.lead_id = :lead_id
""")
_SOURCES = text("SELECT s.id, s.name FROM tenancy.sources s WHERE s.tenant_id = :tenant_id")

Part = Callable[["_Export"], Any]


@dataclass(frozen=True)
class _Export:
    tenant_id: int
    lead: DetailedLead
    #: What is masked; none for whoever may see all.
    marks: Marks

    @property
    def revealed(self) -> bool:
        return not self.marks


def export(tenant_id: int, lead_id: int, *, by: str, revealed: bool, with_messages: bool = True) -> Iterator[bytes]:
    """The document in pieces; raises LeadGone before the first, and writes down who took it.

    ``revealed``: whoever asks may see fields that are marked sensitive; otherwise they are masked.
    """
    lead = get_lead(tenant_id, lead_id, revealed=True)
    with tenant_session(tenant_id) as session:
        marks = read_marks(session, tenant_id)
        hidden = sorted(name for name in lead.traits if marks.hides(name))
        if revealed and hidden:
            session.add(Reveal(tenant_id=tenant_id, lead_id=lead.id, names=hidden, by=by, at=datetime.now(UTC)))
        audit.record(session, tenant_id, "person.exported", lead.id, after={"sensitive": revealed})
    return _written(_Export(tenant_id, lead, NONE if revealed else marks), with_messages)


def _written(what: _Export, with_messages: bool) -> Iterator[bytes]:
    head = {
        "format": FORMAT,
        "version": VERSION,
        "made_at": datetime.now(UTC),
        "lead_id": what.lead.id,
        "sensitive_fields": "included" if what.revealed else "masked",
    }
    yield b"{" + _encoded(head)[1:-1]
    for name, part in _PARTS.items():
        yield b"," + _encoded(name) + b":" + _encoded(part(what))
    yield from _list("events", _events(what))
    if with_messages:
        yield from _list("raw_messages", _messages(what))
    yield b"}\n"


def _list(name: str, pages: Iterator[list[Any]]) -> Iterator[bytes]:
    yield b"," + _encoded(name) + b":["
    first = True
    for page in pages:
        if page:
            yield (b"" if first else b",") + b",".join(_encoded(each) for each in page)
            first = False
    yield b"]"


def _person(what: _Export) -> dict[str, Any]:
    lead = what.lead
    return {
        "name": lead.name,
        "email": lead.email,
        "company": lead.company,
        "first_seen_at": lead.first_seen_at,
        "last_seen_at": lead.last_seen_at,
        "traits": what.marks.masked(lead.traits),
    }


def _identities(what: _Export) -> list[dict[str, Any]]:
    return [
        {name: getattr(each, name) for name in ("kind", "value", "first_seen_at", "last_seen_at", "alone", "sentence")}
        for each in kinship.list_identities(what.tenant_id, what.lead.id).items
    ]


def _statements(what: _Export) -> list[dict[str, Any]]:
    """Each trait as each source stated it last."""
    asked = {"tenant_id": what.tenant_id, "lead_id": what.lead.id}
    with tenant_session(what.tenant_id) as session:
        rows = session.execute(_STATED, asked).all()
        sources = {row.id: row.name for row in session.execute(_SOURCES, {"tenant_id": what.tenant_id})}
    return [
        {
            "trait": name,
            "value": what.marks.masked({name: row.traits.get(name)})[name],
            "stated_at": instant(at),
            "source": sources.get(source_id),
            "file": row.filename,
            "identity": {"kind": row.kind, "value": row.value},
        }
        for row in rows
        for name, (at, source_id) in sorted(row.stated.items())
    ]


def _scores(what: _Export) -> list[dict[str, Any]]:
    found = []
    for score in asking.scores_now(what.tenant_id, what.lead.id):
        told = service.explain_lead(what.tenant_id, what.lead.id, score.model)
        found.append(
            {
                **{name: value for name, value in asdict(score).items() if name not in ("total", "raw", "dimensions")},
                "total": number(score.total),
                "raw": number(score.raw),
                "dimensions": {name: number(points) for name, points in score.dimensions.items()},
                "reasons": [
                    {
                        "rule": part.rule,
                        "points": number(part.points),
                        "counted": part.counted,
                        "at": part.at,
                        "events": part.events,
                        "sentence": say(part, LANGUAGE),
                    }
                    for part in told.parts
                ],
                "adjustments": [
                    {"kind": each.kind, "points": number(each.points), "sentence": say(each, LANGUAGE)}
                    for each in told.adjustments
                ],
            }
        )
    return found


def _history(what: _Export) -> list[dict[str, Any]]:
    found = []
    for model in queries.list_models(what.tenant_id):
        cursor: str | None = None
        while True:
            page = queries.history(what.tenant_id, what.lead.id, model.name, cursor=cursor)
            for each in page.items:
                told = asdict(each) | {"total": number(each.total), "raw": number(each.raw)}
                told["dimensions"] = {name: number(points) for name, points in each.dimensions.items()}
                found.append({"model": model.name, **told})
            cursor = page.next_cursor
            if cursor is None:
                break
    return found


def _judgements(what: _Export) -> list[dict[str, Any]]:
    made = judgements.list_judgements(what.tenant_id, what.lead.id)
    return [asdict(each) | {"points": number(each.points)} for each in made]


def _merges(what: _Export) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        page = kinship.list_merges(what.tenant_id, lead_id=what.lead.id, cursor=cursor)
        found += [
            {name: getattr(each, name) for name in ("id", "at", "kept_id", "gone_id", "since", "sentence", "state")}
            for each in page.items
        ]
        cursor = page.next_cursor
        if cursor is None:
            return found


def _decisions(what: _Export) -> list[dict[str, Any]]:
    """What people decided of who this person is."""
    lead_id = what.lead.id
    query = select(Decision).where(
        Decision.tenant_id == what.tenant_id, or_(Decision.lead_id == lead_id, Decision.other_id == lead_id)
    )
    with tenant_session(what.tenant_id) as session:
        return [
            {
                "kind": "apart" if made.apart else "together",
                **{name: getattr(made, name) for name in ("at", "by", "reason", "withdrawn_at", "withdrawn_by")},
            }
            for made in session.scalars(query.order_by(Decision.id))
        ]


def _reveals(what: _Export) -> list[dict[str, Any]]:
    """Who looked at fields that are kept out of sight."""
    query = select(Reveal).where(Reveal.tenant_id == what.tenant_id, Reveal.lead_id == what.lead.id)
    with tenant_session(what.tenant_id) as session:
        return [
            {"by": each.by, "at": each.at, "fields": each.names} for each in session.scalars(query.order_by(Reveal.id))
        ]


def _events(what: _Export) -> Iterator[list[Any]]:
    cursor: str | None = None
    while True:
        page = timeline(what.tenant_id, what.lead.id, cursor=cursor, limit=PAGE, revealed=what.revealed)
        yield [asdict(each) for each in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return


def _messages(what: _Export) -> Iterator[list[Any]]:
    """Of each raw request the items about this person; all requests are looked through."""
    query = select(KnownAs.kind, KnownAs.value).where(
        KnownAs.tenant_id == what.tenant_id, KnownAs.lead_id == what.lead.id
    )
    with tenant_session(what.tenant_id) as session:
        needles = Needles(frozenset((row.kind, row.value) for row in session.execute(query)))
    after: UUID | None = UUID(int=0)
    while after is not None:
        with tenant_session(what.tenant_id) as session:
            items, after = items_of(session, what.tenant_id, needles, after)
        yield [
            {"message_id": id_, "received_at": instant_of(id_), "item": what.marks.masked_tree(_tree(item))}
            for id_, item in items
        ]


def _tree(item: bytes) -> Any:
    try:
        return read_leniently(item)
    except (ValueError, RecursionError):
        return item.decode(errors="replace")


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)


_PARTS: dict[str, Part] = {
    "person": _person,
    "identities": _identities,
    "statements": _statements,
    "scores": _scores,
    "score_history": _history,
    "judgements": _judgements,
    "merges": _merges,
    "decisions": _decisions,
    "reveals": _reveals,
}
