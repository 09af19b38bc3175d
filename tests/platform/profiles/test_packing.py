import polars as pl
import pytest

from assay.profiles.packing import Packing

VISITS, MAILS = frozenset({"page.viewed"}), frozenset({"email.opened", "email.clicked"})
JUDGED = frozenset({"assay.judgement"})


class TestColumns:
    @pytest.mark.parametrize(
        ("properties", "columns"),
        [
            pytest.param({}, 0, id="nothing asked"),
            pytest.param({"path": VISITS, "mail": MAILS}, 1, id="types apart share"),
            pytest.param({"path": VISITS, "title": VISITS}, 2, id="one type, two properties"),
            pytest.param({"path": VISITS, "title": VISITS | MAILS, "mail": MAILS}, 2, id="fitted in beside"),
            pytest.param({"path": None, "mail": MAILS}, 2, id="of all types stands alone"),
            pytest.param({"points": JUDGED, "reason": JUDGED}, 1, id="all of ours in one"),
            pytest.param({"path": VISITS, "points": JUDGED, "by": JUDGED}, 1, id="ours beside others"),
            pytest.param({"path": None, "points": JUDGED, "by": JUDGED}, 2, id="ours have no room in one of all types"),
        ],
    )
    def test_are_as_few_as_can_be(self, properties: dict[str, frozenset[str] | None], columns: int) -> None:
        assert len(Packing(properties).expressions()) == len(Packing(properties).schema) == columns


class TestUnpacked:
    def test_each_property_stands_where_it_was_read(self) -> None:
        packing = Packing({"path": VISITS, "mail": MAILS, "points": JUDGED | MAILS, "by": JUDGED})
        rows = [
            ("page.viewed", "/pricing", None),
            ("email.opened", "m1", "3"),
            ("assay.judgement", '{"points": 15, "by": "Ada", "path": "never asked"}', None),
            ("form.submitted", None, None),
        ]
        events = pl.DataFrame(rows, schema=["type", *packing.schema], orient="row")
        assert packing.unpacked(events).rows() == [
            ("page.viewed", "/pricing", None, None, None),
            ("email.opened", None, "m1", "3", None),
            ("assay.judgement", None, None, "15", "Ada"),
            ("form.submitted", None, None, None, None),
        ]

    def test_other_text_shares_a_column_with_properties_of_other_types(self) -> None:
        packing = Packing({"path": VISITS}, {"told": ("upper(e.type)", MAILS)})
        assert len(packing.schema) == 1
        assert "THEN (upper(e.type))" in packing.expressions()[0]
        rows = [("page.viewed", "/pricing"), ("email.opened", "EMAIL.OPENED"), ("form.submitted", None)]
        events = pl.DataFrame(rows, schema=["type", *packing.schema], orient="row")
        assert packing.unpacked(events).rows() == [
            ("page.viewed", "/pricing", None),
            ("email.opened", None, "EMAIL.OPENED"),
            ("form.submitted", None, None),
        ]

    def test_of_nothing_is_nothing(self) -> None:
        packing = Packing({"path": VISITS, "points": JUDGED})
        events = pl.DataFrame(schema={"type": pl.String(), **packing.schema})
        assert packing.unpacked(events).columns == ["type", "property:path", "property:points"]
