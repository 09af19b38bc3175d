import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.intake.imports.refusals import escaped, unescaped


class TestEscaped:
    @pytest.mark.parametrize(
        ("cell", "written"),
        [
            pytest.param("Ada", "Ada", id="text"),
            pytest.param("=HYPERLINK(1)", "'=HYPERLINK(1)", id="formula"),
            pytest.param("+84 90 123", "'+84 90 123", id="telephone"),
            pytest.param("@SUM(1)", "'@SUM(1)", id="at"),
            pytest.param("-1+cmd|x", "'-1+cmd|x", id="minus"),
            pytest.param("\t=1", "'\t=1", id="tab"),
            pytest.param("-5", "-5", id="number"),
            pytest.param("-1,5", "-1,5", id="decimal comma"),
            pytest.param("'=1", "''=1", id="apostrophe before"),
            pytest.param("'tis", "'tis", id="apostrophe"),
            pytest.param("", "", id="empty"),
        ],
    )
    def test_no_cell_is_taken_for_a_formula(self, cell: str, written: str) -> None:
        assert escaped(cell) == written

    @given(st.text(alphabet="'=+-@\t\r\n1a", max_size=6))
    def test_is_taken_back_when_the_file_comes_again(self, cell: str) -> None:
        assert unescaped(escaped(cell)) == cell
        assert escaped(cell)[:1] not in tuple("=@\t\r\n")
