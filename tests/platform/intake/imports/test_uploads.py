"""Files that come in parts."""

import gzip
import io
import random
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest
from sqlalchemy import select

from assay import facts
from assay.intake import imports
from assay.intake.imports.models import ImportChunk
from assay.intake.imports.receiving import CHUNK
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, NotFound

LINES = "".join(f"{number},Đặng {number}\n" for number in range(40_000)).encode()
TABLE = b"id,name\n" + LINES


def parquet() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"id": range(200_000)}).write_parquet(buffer, compression="uncompressed")
    return buffer.getvalue()


@pytest.fixture
def announce(tenant: SignedUp) -> Callable[..., int]:
    def announce(body: bytes, **how: Any) -> int:
        return imports.announce(tenant.tenant_id, kind="leads", filename="a.csv", size=len(body), **how)

    return announce


def stored(tenant_id: int, import_id: int) -> bytes:
    with tenant_session(tenant_id) as session:
        rows = session.execute(
            select(ImportChunk.position, ImportChunk.body)
            .where(ImportChunk.tenant_id == tenant_id, ImportChunk.import_id == import_id)
            .order_by(ImportChunk.position)
        ).all()
    assert [row.position for row in rows] == list(range(len(rows)))
    assert all(len(row.body) == CHUNK for row in rows[:-1])
    return b"".join(row.body for row in rows)


class Broken(io.BytesIO):
    """A connection that breaks after what it holds."""

    def read(self, size: int | None = -1, /) -> bytes:
        part = super().read(size)
        if not part:
            raise ConnectionResetError
        return part


class TestAppend:
    @pytest.mark.parametrize(
        ("sent", "whole"),
        [
            pytest.param(TABLE, TABLE, id="as it is"),
            pytest.param(b"\xef\xbb\xbf" + TABLE, b"\xef\xbb\xbf" + TABLE, id="with a mark"),
            pytest.param(gzip.compress(TABLE), TABLE, id="packed"),
            pytest.param(TABLE.decode().encode("utf-16"), TABLE, id="utf-16"),
            pytest.param(parquet(), parquet(), id="parquet"),
            pytest.param(b"id\n1", b"id\n1", id="very small"),
        ],
    )
    def test_parts_of_any_size_make_the_file(
        self, announce: Callable[..., int], tenant: SignedUp, sent: bytes, whole: bytes
    ) -> None:
        told: list[facts.Fact] = []
        facts.listen(told.append)
        import_id = announce(sent)
        rng = random.Random(7)
        offset = 0
        while offset < len(sent):
            size = rng.choice([16, 17, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK])
            part = sent[offset : offset + size]
            upload = imports.append(tenant.tenant_id, import_id, offset=offset, stream=io.BytesIO(part))
            offset += len(part)
            assert (upload.offset, upload.is_over) == (offset, offset == len(sent))
        facts.stop_listening(told.append)
        assert told == [facts.ImportReceived(tenant.tenant_id)]
        assert stored(tenant.tenant_id, import_id) == whole
        report = imports.get_import(tenant.tenant_id, import_id)
        assert (report.state, report.bytes_total, report.error) == ("waiting", len(whole), None)

    def test_what_came_before_a_connection_broke_is_kept(self, announce: Callable[..., int], tenant: SignedUp) -> None:
        import_id = announce(TABLE, review=True)
        with pytest.raises(ConnectionResetError):
            imports.append(tenant.tenant_id, import_id, offset=0, stream=Broken(TABLE[:300_000]))
        upload = imports.upload_of(tenant.tenant_id, import_id)
        assert (upload.offset, upload.size, upload.is_over) == (300_000, len(TABLE), False)
        imports.append(tenant.tenant_id, import_id, offset=300_000, stream=io.BytesIO(TABLE[300_000:]))
        assert stored(tenant.tenant_id, import_id) == TABLE
        assert imports.get_import(tenant.tenant_id, import_id).state == "ready"

    def test_letters_cut_in_two_are_still_utf_8(self, announce: Callable[..., int], tenant: SignedUp) -> None:
        body = "id,name\n12345678,Đ\n".encode()
        import_id = announce(body)
        cut = body.index("Đ".encode()) + 1
        for start, end in ((0, cut), (cut, len(body))):
            imports.append(tenant.tenant_id, import_id, offset=start, stream=io.BytesIO(body[start:end]))
        assert imports.get_import(tenant.tenant_id, import_id).note is None

    @pytest.mark.parametrize("offset", [0, 1, 99, 101])
    def test_a_part_from_elsewhere_is_refused_with_where_to_go_on(
        self, announce: Callable[..., int], tenant: SignedUp, offset: int
    ) -> None:
        import_id = announce(TABLE)
        imports.append(tenant.tenant_id, import_id, offset=0, stream=io.BytesIO(TABLE[:100]))
        with pytest.raises(imports.WrongOffset, match="goes on at byte 100") as refused:
            imports.append(tenant.tenant_id, import_id, offset=offset, stream=io.BytesIO(TABLE[offset:]))
        assert refused.value.offset == 100

    def test_the_last_part_may_be_sent_twice(self, announce: Callable[..., int], tenant: SignedUp) -> None:
        import_id = announce(TABLE)
        imports.append(tenant.tenant_id, import_id, offset=0, stream=io.BytesIO(TABLE))
        again = imports.append(tenant.tenant_id, import_id, offset=len(TABLE), stream=io.BytesIO())
        assert again.is_over

    def test_more_than_announced_is_refused(self, announce: Callable[..., int], tenant: SignedUp) -> None:
        import_id = announce(TABLE)
        with pytest.raises(BadInput, match="that were announced"):
            imports.append(tenant.tenant_id, import_id, offset=0, stream=io.BytesIO(TABLE + b"x"))

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            pytest.param(b"PK\x03\x04" + b"x" * 100, "Save the sheet as CSV", id="workbook"),
            pytest.param(b"id,name\n1,\0\n12345678", "zero bytes", id="no text"),
            pytest.param(gzip.compress(TABLE)[:-20], "ends too early", id="gzip cut off"),
            pytest.param(parquet()[:-4], "its end is missing", id="parquet cut off"),
            pytest.param(b"\xef\xbb\xbf", "empty", id="a mark alone"),
        ],
    )
    def test_a_file_that_can_not_be_read_ends_the_upload(
        self, announce: Callable[..., int], tenant: SignedUp, body: bytes, sentence: str
    ) -> None:
        import_id = announce(body)
        upload = imports.append(tenant.tenant_id, import_id, offset=0, stream=io.BytesIO(body))
        report = imports.get_import(tenant.tenant_id, import_id)
        assert (upload.is_over, report.state) == (True, "failed")
        assert report.error is not None
        assert sentence in report.error
        assert stored(tenant.tenant_id, import_id) == b""

    def test_a_cancelled_upload_takes_no_more(self, announce: Callable[..., int], tenant: SignedUp) -> None:
        import_id = announce(TABLE)
        imports.append(tenant.tenant_id, import_id, offset=0, stream=io.BytesIO(TABLE[:100]))
        imports.cancel(tenant.tenant_id, import_id)
        with pytest.raises(imports.WrongOffset):
            imports.append(tenant.tenant_id, import_id, offset=100, stream=io.BytesIO(TABLE[100:]))
        assert stored(tenant.tenant_id, import_id) == b""

    def test_the_neighbour_has_no_such_upload(self, announce: Callable[..., int], neighbour: SignedUp) -> None:
        import_id = announce(TABLE)
        with pytest.raises(NotFound):
            imports.upload_of(neighbour.tenant_id, import_id)
        with pytest.raises(NotFound):
            imports.append(neighbour.tenant_id, import_id, offset=0, stream=io.BytesIO(TABLE))

    def test_a_file_made_to_fill_a_disk_is_refused(self, tenant: SignedUp) -> None:
        def zeros() -> Iterator[bytes]:
            packer = __import__("zlib").compressobj(9, wbits=31)
            for _ in range(80):
                yield packer.compress(b"a,b\n" * 262_144)
            yield packer.flush()

        bomb = b"".join(zeros())
        import_id = imports.start_import(tenant.tenant_id, kind="leads", filename="a.csv.gz", stream=io.BytesIO(bomb))
        report = imports.get_import(tenant.tenant_id, import_id)
        assert report.error is not None
        assert "more than 300 times its size" in report.error
        assert stored(tenant.tenant_id, import_id) == b""


class TestAnnounce:
    @pytest.mark.parametrize(
        ("size", "sentence"),
        [pytest.param(0, "empty", id="nothing"), pytest.param(2 * 1024**3 + 1, "more than 2 GB", id="too much")],
    )
    def test_refuses_sizes(self, tenant: SignedUp, size: int, sentence: str) -> None:
        with pytest.raises(BadInput, match=sentence):
            imports.announce(tenant.tenant_id, kind="leads", filename="a", size=size)
        assert imports.list_imports(tenant.tenant_id) == []
