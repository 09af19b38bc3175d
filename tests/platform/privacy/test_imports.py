"""Files and persons who were erased: rows that were refused, files that are still to be read, files that come later."""

from io import BytesIO
from typing import Any

import polars as pl
import pytest

from assay.intake import imports
from assay.privacy import service
from assay.profiles import undoing
from assay_tenants.database import tenant_session

ANN = ("email", "ann.lee@acme.test")
LEADS = b'email,title,note\nann.lee@acme.test,CFO,"two\nlines"\nbob@byte.test,Owner,plain\nno address,x,y\n'
EVENTS = (
    b"email,type,occurred_at,path\n"
    b"ann.lee@acme.test,page.viewed,2026-03-01T10:00:00Z,/a\n"
    b"bob@byte.test,page.viewed,2026-03-01T10:00:00Z,/b\n"
    b"ann.lee@acme.test,page.viewed,not an instant,/c\n"
)
LINES = b'{"email": "ann.lee@acme.test", "title": "CFO"}\n{"email": "bob@byte.test", "title": "Owner"}\n'


def bring(house: Any, body: bytes, kind: str = "leads", name: str = "people.csv", *, review: bool = False) -> int:
    return imports.start_import(house.tenant_id, kind=kind, filename=name, stream=BytesIO(body), review=review)


def parquet(*addresses: str) -> bytes:
    file = BytesIO()
    pl.DataFrame({"email": addresses, "title": ["CFO"] * len(addresses)}).write_parquet(file)
    return file.getvalue()


def test_an_import_leaves_nothing_of_the_person_and_is_still_undone_exactly(house) -> None:
    import_id = bring(house, LEADS)
    bring(house, EVENTS, "events", "events.csv")
    house.work()
    assert house.names(ANN)
    done = house.erase(house.lead_of(*ANN))
    assert (done.state, done.found) == ("done", [])
    assert done.counts["profiles.import_statements"] == 2
    assert done.counts["intake.refused_rows"] == 1
    assert house.names(ANN) == []
    assert house.rows("SELECT traits FROM profiles.leads WHERE tenant_id = :t")[0].traits["title"] == "Owner"
    ended = False
    while not ended:
        with tenant_session(house.tenant_id) as session:
            ended = undoing.undo(session, house.tenant_id, import_id).done
    (bob,) = house.rows("SELECT traits FROM profiles.leads WHERE tenant_id = :t")
    assert "title" not in bob.traits


WAYS = {
    "a table of leads": (LEADS, "leads", "people.csv"),
    "a table of events": (EVENTS, "events", "events.csv"),
    "lines of leads": (LINES, "leads", "people.jsonl"),
    "a parquet file": (parquet("Ann.Lee@acme.test", "bob@byte.test"), "leads", "people.parquet"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_file_that_comes_later_brings_nobody_back(house, way) -> None:
    done = house.erase(keys=[ANN])
    import_id = bring(house, *way)
    house.work()
    assert house.names(ANN) == []
    assert house.lead_of(*ANN) is None
    assert house.lead_of("email", "bob@byte.test")
    refused = imports.refused_rows(house.tenant_id, import_id).items
    assert sum("erased" in row.reason for row in refused) >= 1
    assert service.get_erasure(house.tenant_id, done.id).turned_away == 1


@pytest.mark.parametrize("way", [WAYS["a table of leads"], WAYS["lines of leads"]], ids=["table", "lines"])
def test_a_file_that_waits_is_blanked_where_the_person_stands(house, way) -> None:
    import_id = bring(house, *way, review=True)
    house.send({"type": "identify", "userId": "ann-77-user", "traits": {"email": ANN[1]}}, call="identify")
    house.work()
    done = house.erase(house.lead_of(*ANN))
    assert done.state == "done"
    assert done.counts["intake.import_chunks"] == 1
    (chunk,) = house.rows("SELECT body FROM intake.import_chunks WHERE tenant_id = :t")
    assert len(chunk.body) == len(way[0])
    assert b"bob@byte.test" in chunk.body
    imports.start(house.tenant_id, import_id)
    house.work()
    assert house.lead_of("email", "bob@byte.test")
    assert house.names(ANN) == []


def test_a_packed_file_that_waits_keeps_the_erasure_open(house) -> None:
    import_id = bring(house, *WAYS["a parquet file"], review=True)
    house.work()
    done = house.erase(keys=[ANN])
    assert done.state == "incomplete"
    assert {each["table"] for each in done.found} == {"intake.import_chunks"}
    assert done.found[-1]["ids"] == [str(import_id)]
    imports.cancel(house.tenant_id, import_id)
    service.look_again(house.tenant_id, done.id)
    house.work()
    assert service.get_erasure(house.tenant_id, done.id).state == "done"
