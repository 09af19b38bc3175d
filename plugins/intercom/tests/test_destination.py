"""Scores on their way back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from assay_intercom.destination import attributes_of
from assay_intercom.service import Intercom
from assay_sdk import Destination, Link, NeedsReconnect, Refused, ScoreUpdate, TryLater

UPDATE = ScoreUpdate(
    key="k1",
    vendor_id="",
    user_id=None,
    anonymous_id=None,
    email=None,
    model="Sales",
    score=87,
    grade="A1",
    stage=None,
    reasons=("Booked a meeting", "Opened mails"),
    scored_at=datetime(2026, 9, 21, 12, tzinfo=UTC),
    url="https://assay.example.test/leads/1",
    version="v1",
)
WRITTEN = {
    "assay_score": 87,
    "assay_grade": "A1",
    "assay_stage": None,
    "assay_reasons": "Booked a meeting · Opened mails",
    "assay_scored_at": 1789992000,
}


@pytest.fixture
def destination(service: Intercom) -> Destination:
    assert service.destination is not None
    return service.destination


def held(door: Any, contact_id: str) -> dict[str, Any]:
    kept: dict[str, Any] = door.workspaces["a1b2c3d4"].contacts[contact_id]["custom_attributes"]
    return kept


class TestPreparing:
    def test_missing_attributes_are_made_once(self, destination: Destination, link: Link, door: Any) -> None:
        destination.prepare(link)
        made = door.workspaces["a1b2c3d4"].attributes
        assert {name: row["data_type"] for name, row in made.items()} == {
            "assay_score": "integer",
            "assay_grade": "string",
            "assay_stage": "string",
            "assay_reasons": "string",
            "assay_scored_at": "datetime",
        }
        destination.prepare(link)
        assert sum(call == "POST /data_attributes" for call in door.calls) == 5

    def test_you_already_have_it_is_fine(self, destination: Destination, link: Link, door: Any) -> None:
        destination.prepare(link)
        for row in door.workspaces["a1b2c3d4"].attributes.values():
            row["custom"] = False
        destination.prepare(link)

    def test_archived_ones_are_taken_back(self, destination: Destination, link: Link, door: Any) -> None:
        destination.prepare(link)
        door.workspaces["a1b2c3d4"].attributes["assay_grade"]["archived"] = True
        destination.prepare(link)
        assert not door.workspaces["a1b2c3d4"].attributes["assay_grade"]["archived"]

    def test_other_refusals_are_told(self, destination: Destination, link: Link, door: Any) -> None:
        door.faults.next(403, path="data_attributes")
        with pytest.raises(Refused):
            destination.prepare(link)


class TestPushing:
    def test_one_by_one(self, destination: Destination, link: Link, door: Any) -> None:
        people = [door.at().arrive(custom_attributes={"plan": "trial"}) for _ in range(3)]
        destination.prepare(link)
        updates = [replace(UPDATE, key=id_, vendor_id=id_) for id_ in people]
        for _ in range(2):
            assert [(r.key, r.error) for r in destination.push(link, updates)] == [(id_, "") for id_ in people]
            assert all(held(door, id_) == {"plan": "trial", **WRITTEN} for id_ in people)

    def test_gone(self, destination: Destination, link: Link, door: Any) -> None:
        someone, other = door.at().arrive(), door.at().arrive()
        door.at().delete(someone)
        destination.prepare(link)
        gone, written = destination.push(
            link, [replace(UPDATE, key="a", vendor_id=someone), replace(UPDATE, key="b", vendor_id=other)]
        )
        assert (gone.gone, bool(gone.error)) == (True, True)
        assert (written.gone, written.error) == (False, "")

    def test_merged_is_written_to_the_one_that_took_its_place(
        self, destination: Destination, link: Link, door: Any
    ) -> None:
        here = door.at()
        old, middle, new = here.arrive(), here.arrive(), here.arrive(role="user")
        here.merge(old, middle)
        here.merge(middle, new)
        destination.prepare(link)
        [receipt] = destination.push(link, [replace(UPDATE, vendor_id=old)])
        assert (receipt.moved_to, receipt.error, receipt.gone) == (new, "", False)
        assert held(door, new) == WRITTEN

    def test_merged_leaves_the_other_its_own_score(self, destination: Destination, link: Link, door: Any) -> None:
        here = door.at()
        old, new = here.arrive(), here.arrive(role="user")
        here.merge(old, new)
        destination.prepare(link)
        updates = [replace(UPDATE, key="new", vendor_id=new, score=50), replace(UPDATE, key="old", vendor_id=old)]
        assert [receipt.moved_to for receipt in destination.push(link, updates)] == ["", new]
        assert held(door, new)["assay_score"] == 50

    def test_an_attribute_that_somebody_took_away_is_made_again(
        self, destination: Destination, link: Link, door: Any
    ) -> None:
        someone = door.at().arrive()
        destination.prepare(link)
        del door.workspaces["a1b2c3d4"].attributes["assay_score"]
        [receipt] = destination.push(link, [replace(UPDATE, vendor_id=someone)])
        assert receipt.error == ""
        assert held(door, someone) == WRITTEN

    def test_what_is_refused_is_told_for_that_contact(self, destination: Destination, link: Link, door: Any) -> None:
        someone, other = door.at().arrive(), door.at().arrive()
        destination.prepare(link)
        door.faults.next(400, times=2, path=f"/contacts/{someone}")
        refused, written = destination.push(
            link, [replace(UPDATE, key="a", vendor_id=someone), replace(UPDATE, key="b", vendor_id=other)]
        )
        assert refused.error
        assert not refused.gone
        assert written.error == ""

    @pytest.mark.parametrize(
        ("fail", "error"),
        [
            pytest.param(lambda door: door.faults.next(429), TryLater, id="too often"),
            pytest.param(lambda door: door.faults.next(503, times=3), TryLater, id="away"),
            pytest.param(lambda door: door.faults.next(403), Refused, id="no permission"),
            pytest.param(lambda door: door.faults.next(401), NeedsReconnect, id="no access"),
        ],
    )
    def test_what_concerns_all_of_them_is_raised(
        self, fail: Callable[[Any], None], error: type[Exception], destination: Destination, link: Link, door: Any
    ) -> None:
        someone = door.at().arrive()
        destination.prepare(link)
        fail(door)
        with pytest.raises(error):
            destination.push(link, [replace(UPDATE, vendor_id=someone)])

    def test_long_reasons_are_cut(self) -> None:
        written = attributes_of(replace(UPDATE, reasons=("x" * 200, "y" * 200)))
        assert len(written["assay_reasons"]) == 255
        assert written["assay_reasons"].endswith("y…")
