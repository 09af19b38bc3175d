"""Rolling back brings every score back as it was, byte for byte; other models' rows are not touched at all."""

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from assay.scoring import service
from assay.scoring.starting import render
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: A template's model, and what is written otherwise in its second version.
MODELS = [
    ("triggerm", "triggerm-floor", "step: {value: 25", "step: {value: 30"),
    ("investglass", "investglass-returning", "points: 20}", "points: 21.5}"),
    ("bitrix24", "bitrix24-b2b", "points: 5}", "points: -5}"),
    ("encharge", "encharge", "points: 10}", "points: 9.999}"),
    ("wukong", "wukong", "points: 100,", "points: 90.001,"),
]
TRAITS = {
    "title": ("Owner", "CFO", "CEO", "Student", None),
    "country": ("VN", "CH", "US", "UK", None),
    "company.employees": (1, 40, 120, 5000, None),
    "company.industry": ("finance", "retail", "logistics", None),
    "email": ("ada@gmail.com", "ada@acme.example", "qwqwqw@k.c", None),
    "occupation": ("student", None),
}
EVENTS = (
    *("page.viewed", "email.opened", "offer.downloaded", "form.submitted", "meeting.booked", "meeting.attended"),
    *("quote.requested", "call.missed", "deal.won", "trial.started", "documents.requested", "question.asked"),
)


@pytest.fixture
def crowd(tenant: SignedUp, make_lead: Callable[..., int]) -> list[int]:
    dice = random.Random(7)
    leads = []
    for _ in range(25):
        chosen = {name: dice.choice(values) for name, values in TRAITS.items()}
        traits = {name: value for name, value in chosen.items() if value is not None}
        events = [
            (dice.choice(EVENTS), T0 + timedelta(days=60 * dice.random()), {"path": dice.choice(("/pricing", "/a"))})
            for _ in range(dice.randrange(12))
        ]
        leads.append(make_lead(tenant.tenant_id, traits=traits, events=events))
    return leads


def stored(tenant_id: int, name: str, *, without: tuple[str, ...] = ()) -> list[str]:
    """The rows of a model's scores as PostgreSQL writes them."""
    statement = text(
        "SELECT (to_jsonb(scores) - cast(:without AS text[]))::text FROM scoring.scores AS scores"
        " JOIN scoring.models AS models ON models.tenant_id = scores.tenant_id AND models.id = scores.model_id"
        " WHERE scores.tenant_id = :tenant AND models.name = :name ORDER BY lead_id"
    )
    with tenant_session(tenant_id) as session:
        values = {"tenant": tenant_id, "name": name, "without": list(without)}
        return list(session.scalars(statement, values))


@pytest.mark.parametrize(("template", "name", "before", "after"), MODELS, ids=[model[1] for model in MODELS])
def test_scores_come_back_byte_for_byte(
    tenant: SignedUp,
    crowd: list[int],
    work_off: Callable[[int], int],
    template: str,
    name: str,
    before: str,
    after: str,
) -> None:
    (rendered,) = render(template, models=[name])
    neighbour = "model: beside\nrules: [{id: a, on: page.viewed, points: 1.5}]"
    for document in (rendered.text, neighbour):
        row = service.create_model(tenant.tenant_id, document, by="Ada Example")
        service.publish(tenant.tenant_id, row.name, by="Ada Example")
    work_off(tenant.tenant_id)
    # Since when it is so, and when it was written, are of the latest change.
    comparable = ("scored_at", "recorded_at")
    first, beside = stored(tenant.tenant_id, name, without=comparable), stored(tenant.tenant_id, "beside")
    assert len(beside) == len(crowd)
    assert len(first) > 3
    changed = re.sub(r"(?ms)^examples:.*", "", rendered.text).replace(before, after)
    service.save_draft(tenant.tenant_id, name, changed, by="Ada Example")
    assert service.publish(tenant.tenant_id, name, by="Ada Example") == 2
    work_off(tenant.tenant_id)
    assert stored(tenant.tenant_id, name, without=(*comparable, "version")) != first
    service.rollback(tenant.tenant_id, name, 1, by="Ada Example")
    work_off(tenant.tenant_id)
    assert stored(tenant.tenant_id, name, without=comparable) == first
    assert stored(tenant.tenant_id, "beside") == beside
