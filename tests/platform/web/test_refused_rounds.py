"""The pages about refused messages: by kinds, filtered, downloaded, read again, dismissed."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select

from assay.intake.ids import message_id
from assay.intake.models import Message
from assay.normalise.models import DeadLetter
from assay.normalise.queries import list_rounds
from assay.web import raw_views, refused
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.models import Source

ADDRESS = refused.ADDRESS
Make = Callable[..., UUID]


@pytest.fixture
def make(tenant: SignedUp) -> Make:
    """A refused message of these bytes, an hour old."""

    def make(body: bytes = b'{"a": 1}', *, kind: str = "malformed", letters: int = 1) -> UUID:
        at = datetime.now(UTC) - timedelta(hours=1)
        id_ = message_id(at)
        with tenant_session(tenant.tenant_id) as session:
            source_id = session.scalars(select(Source.id).where(Source.tenant_id == tenant.tenant_id)).first()
            what = {"tenant_id": tenant.tenant_id, "received_at": at, "source_id": source_id}
            session.add(Message(**what, id=id_, call="batch", body=body))
            for position in range(letters):
                letter = {"position": position, "reason": "It is odd.", "excerpt": "", "kind": kind}
                session.add(DeadLetter(**what, message_id=id_, **letter))
        return id_

    return make


class TestBar:
    def test_says_how_many(self, person: Any, make: Make) -> None:
        assert "Refused" not in person.opens("/leads").text
        make(letters=3)
        assert "Refused 3</a>" in person.opens("/leads").text

    def test_counts_no_further_than_it_shows(self, person: Any, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(refused, "MOST_SHOWN", 2)
        make(letters=3)
        assert "Refused 2+</a>" in person.opens("/leads").text


class TestKinds:
    def test_each_is_counted_and_leads_to_its_messages(self, person: Any, make: Make) -> None:
        make(kind="field:<b>/missing", letters=2)
        make(kind="other")
        page = person.opens(ADDRESS).text
        assert "<b>/missing" not in page
        assert re.search(r'data-label="Refused">2</td>', page)
        (address,) = re.findall(rf'href="({ADDRESS}\?kind=field[^"]+)"', page)
        assert person.opens(address).text.count("It is odd.") == 2 + 2

    @pytest.mark.parametrize(("query", "shown"), [
        ("kind=other", 0), ("kind=malformed", 1), ("source=999", 0), (f"since={datetime.now(UTC):%Y-%m-%d}", None),
        ("until=2020-01-01", 0), ("since=2020-01-01", 1),
    ])  # fmt: skip
    def test_filters(self, person: Any, make: Make, query: str, shown: int | None) -> None:
        id_ = make()
        page = person.opens(f"{ADDRESS}?{query}")
        assert page.status_code == 200
        if shown is not None:
            assert page.text.count(str(id_)) == shown

    @pytest.mark.parametrize("query", ["source=x", "source=-1", "since=noon", "until=0001-01-01", f"source={10**20}"])
    def test_refuses_filters_that_are_none(self, person: Any, query: str) -> None:
        assert person.opens(f"{ADDRESS}?{query}").status_code == 422


class TestMessage:
    def test_is_downloaded_byte_for_byte(self, person: Any, make: Make) -> None:
        body = b"<script>alert(1)</script>\0\xff"
        answer = person.opens(f"{ADDRESS}/{make(body)}/raw")
        assert (answer.data, answer.mimetype) == (body, "application/octet-stream")
        assert answer.headers["Content-Disposition"].startswith("attachment; ")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]

    @pytest.mark.parametrize(("body", "shown"), [
        pytest.param(b'{"a":"<i>"}', "&lt;i&gt;", id="JSON"),
        pytest.param(b"plain <i>", "plain &lt;i&gt;", id="text"),
        pytest.param(b"\xff\x00AB", "00000000  ff 00 41 42                                      ··AB", id="bytes"),
        pytest.param(b"a\x1b[2J", "61 1b 5b 32 4a", id="a terminal's orders"),
    ])  # fmt: skip
    def test_is_shown_safely(self, person: Any, make: Make, body: bytes, shown: str) -> None:
        assert shown in person.opens(f"{ADDRESS}/{make(body)}").text

    def test_a_large_one_is_cut(self, person: Any, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(raw_views, "SHOWN", 10)
        page = person.opens(f"{ADDRESS}/{make(b'x' * 11)}").text
        assert "x" * 11 not in page
        assert "Only the beginning is shown" in page

    def test_one_that_is_no_longer_kept_says_so(self, person: Any, make: Make, tenant: SignedUp) -> None:
        id_ = make()
        with tenant_session(tenant.tenant_id) as session:
            session.execute(delete(Message).where(Message.tenant_id == tenant.tenant_id, Message.id == id_))
        page = person.opens(f"{ADDRESS}/{id_}").text
        assert "no longer kept" in page
        assert "/replay" not in page
        assert person.opens(f"{ADDRESS}/{id_}/raw").status_code == 410
        assert person.sends(f"{ADDRESS}/{id_}/replay", on=f"{ADDRESS}/{id_}").status_code == 410

    def test_fields_kept_out_of_sight_are_neither_shown_nor_given_out(
        self, person: Any, make: Make, tenant: SignedUp
    ) -> None:
        from assay.scoring import keeping_out

        keeping_out.mark(tenant.tenant_id, "salary", by="Ada Example")
        hidden, open_ = make(json.dumps({"salary": 51_234}).encode()), make(b'{"title": "CFO"}')
        assert "51234" not in person.opens(f"{ADDRESS}/{hidden}").text
        assert person.opens(f"{ADDRESS}/{hidden}/raw").status_code == 403
        assert person.opens(f"{ADDRESS}/{open_}/raw").data == b'{"title": "CFO"}'


class TestRounds:
    def test_one_message_is_dismissed(self, person: Any, make: Make, tenant: SignedUp) -> None:
        id_ = make()
        assert person.sends(f"{ADDRESS}/{id_}/dismiss", on=ADDRESS).status_code == 303
        assert "Dismissed" in person.opens(ADDRESS).text
        assert list_rounds(tenant.tenant_id)[0].started_by == "Ada Example"

    def test_all_of_a_kind_are_dismissed(
        self, person: Any, make: Make, tenant: SignedUp, work_off: Callable[[int], int]
    ) -> None:
        make(letters=3)
        assert person.sends(f"{ADDRESS}/dismiss", on=ADDRESS, kind="malformed").status_code == 303
        assert "every 1s" in person.opens(ADDRESS).text
        work_off(tenant.tenant_id)
        page = person.opens(ADDRESS).text
        assert "every 1s" not in page
        assert "3 of 3" in page
        assert "every message so far was understood" in page.lower()

    def test_all_of_a_kind_are_read_again_and_told_of(
        self, person: Any, make: Make, tenant: SignedUp, work_off: Callable[[int], int]
    ) -> None:
        make(b'{"batch": [{"type": "dance", "userId": "u1"}]}')
        person.sends(f"{ADDRESS}/replay", on=ADDRESS, kind="malformed")
        work_off(tenant.tenant_id)
        page = person.opens(ADDRESS).text
        assert "Read again" in page
        assert "field:type/unknown_value" in page
        assert "<html" not in person.opens(f"{ADDRESS}/rounds").text

    def test_can_be_stopped(self, person: Any, make: Make, tenant: SignedUp) -> None:
        make()
        person.sends(f"{ADDRESS}/replay", on=ADDRESS, kind="malformed")
        (row,) = list_rounds(tenant.tenant_id)
        for _ in range(2):
            assert person.sends(f"{ADDRESS}/rounds/{row.id}/cancel", on=ADDRESS).status_code == 303
        assert list_rounds(tenant.tenant_id)[0].state == "cancelled"

    @pytest.mark.parametrize(("fields", "status"), [({}, 422), ({"kind": "nothing"}, 303), ({"kind": "\0"}, 400)])
    def test_no_such_kind(self, person: Any, make: Make, fields: dict[str, str], status: int) -> None:
        make()
        assert person.sends(f"{ADDRESS}/replay", on=ADDRESS, **fields).status_code == status
