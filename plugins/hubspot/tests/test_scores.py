"""Scores written back, and that they never come round again."""

from datetime import UTC, datetime, timedelta

import pytest

from assay_hubspot import destination
from assay_sdk import Event, Identify, ScoreUpdate
from assay_sdk.paging import from_milliseconds
from assay_sdk.testing import SetClock


def update(id_, **changes):
    told = {
        "key": f"k{id_}",
        "vendor_id": str(id_),
        "user_id": None,
        "anonymous_id": None,
        "email": None,
        "model": "SMB",
        "score": 87,
        "grade": "A1",
        "stage": "MQL",
        "reasons": ("Booked a meeting", "Is an owner"),
        "scored_at": datetime(2026, 9, 21, 11, tzinfo=UTC),
        "url": "https://assay.example.test/leads/1",
        "version": "1",
    }
    return ScoreUpdate(**{**told, **changes})


@pytest.fixture
def ids(simulator):
    simulator.fill(120)
    return list(simulator.first.contacts.rows)


def test_properties_are_created_once(simulator, link, service):
    service.destination.prepare(link)
    made = {name: found["type"] for name, found in simulator.first.properties.items() if name.startswith("assay_")}
    assert made == {
        "assay_score": "number",
        "assay_grade": "string",
        "assay_stage": "string",
        "assay_reasons": "string",
        "assay_scored_at": "datetime",
    }
    calls = len(simulator.calls)
    service.destination.prepare(link)
    assert len(simulator.calls) == calls + 1


def test_what_another_worker_created_is_fine(simulator, link, service):
    simulator.first.groups[destination.GROUP] = {"name": destination.GROUP}
    service.destination.prepare(link)
    assert "assay_scored_at" in simulator.first.properties


def test_scores_are_written_as_text(simulator, link, service, ids):
    service.destination.prepare(link)
    receipts = service.destination.push(link, [update(id_) for id_ in ids[:100]])
    assert [(receipt.key, receipt.error) for receipt in receipts] == [(f"k{id_}", "") for id_ in ids[:100]]
    assert (
        simulator.first.contacts.rows[ids[0]].changes.items()
        >= {
            "assay_score": "87",
            "assay_grade": "A1",
            "assay_stage": "MQL",
            "assay_reasons": "Booked a meeting\nIs an owner",
            "assay_scored_at": "2026-09-21T11:00:00.000Z",
        }.items()
    )


def test_no_grade_and_no_stage_clear_them(simulator, link, service, ids):
    service.destination.prepare(link)
    service.destination.push(link, [update(ids[0], grade=None, stage=None)])
    assert simulator.first.contacts.rows[ids[0]].changes["assay_grade"] == ""


def test_207_is_read_row_by_row(simulator, link, service, ids):
    service.destination.prepare(link)
    gone, refused, merged, good = ids[:4]
    simulator.archive(simulator.first, simulator.first.contacts.rows[gone])
    simulator.refused_rows.add(str(refused))
    rows = simulator.first.contacts.rows
    joined = simulator.merge(simulator.first, rows[merged], rows[ids[5]])
    receipts = service.destination.push(link, [update(id_) for id_ in (gone, refused, merged, good)])
    assert [(receipt.gone, bool(receipt.error), receipt.moved_to) for receipt in receipts] == [
        (True, True, ""),
        (False, True, ""),
        (False, False, str(joined.id)),
        (False, False, ""),
    ]
    assert "rules" in receipts[1].error


def test_a_property_that_somebody_deleted_is_made_again(simulator, link, service, ids):
    service.destination.prepare(link)
    del simulator.first.properties["assay_stage"]
    [receipt] = service.destination.push(link, [update(ids[0])])
    assert receipt.error == ""
    assert "assay_stage" in simulator.first.properties


def test_one_row_that_spoils_a_batch_is_found(simulator, link, service, ids):
    service.destination.prepare(link)
    simulator.spoils = str(ids[3])
    receipts = service.destination.push(link, [update(id_) for id_ in ids[:8]])
    assert [bool(receipt.error) for receipt in receipts] == [False] * 3 + [True] + [False] * 4


def test_a_row_that_no_answer_names_is_not_taken_for_written():
    rows = {"0": update(1), "1": update(2)}
    found = destination._receipts(rows, {"results": [{"id": "1"}], "errors": [{"message": "?"}]})
    assert [bool(receipt.error) for receipt in found.values()] == [False, True]


def test_a_score_does_not_make_what_hubspot_says_any_newer(simulator, link, service, clock, pulled, understood, ids):
    portal = simulator.first
    service.destination.prepare(link)
    pages, _ = pulled(link, "contacts")
    clock.turn(timedelta(hours=1))
    simulator.change(portal, portal.contacts.rows[ids[0]], {"phone": "+49 1"})
    stated_at = from_milliseconds(simulator.now())
    clock.turn(timedelta(minutes=1))
    service.destination.push(link, [update(id_) for id_ in ids[:60]])
    _, records = pulled(link, "contacts", pages[-1].cursor)
    by_id = {found.ids.vendor["hubspot"]: found for found in records if isinstance(found, Identify)}
    assert len(by_id) == 60
    assert (by_id[str(ids[0])].at, by_id[str(ids[0])].traits["phone"]) == (stated_at, "+49 1")
    assert all(found.at <= stated_at for found in by_id.values())
    fetched = service.source.fetch(link, "contact", [str(ids[0])])
    assert by_id[str(ids[0])] in understood(list(fetched.bodies), "fetch/contact")


def test_what_we_write_never_comes_round_again(simulator, link, service, clock: SetClock, pulled, understood, ids):
    pages, before = pulled(link, "contacts")
    traits = {found.ids.vendor["hubspot"]: found.traits for found in before if isinstance(found, Identify)}
    service.destination.prepare(link)
    clock.turn(timedelta(hours=1))
    simulator.pending.clear()
    service.destination.push(link, [update(id_) for id_ in ids[:5]])
    assert [event["propertyName"] for event in simulator.pending] == ["assay_score"] * 5
    hooks = [simulator._request(list(simulator.pending), "https://a.test", clock.now()).body]
    assert understood(hooks, "hook") == []
    _, after = pulled(link, "contacts", pages[-1].cursor)
    assert len([found for found in after if isinstance(found, Identify)]) == 5
    for found in after:
        if isinstance(found, Identify):
            assert found.traits == traits[found.ids.vendor["hubspot"]]
    assert {found.sender_id for found in after if isinstance(found, Event)} <= {
        found.sender_id for found in before if isinstance(found, Event)
    }
