import math

import msgspec
import pytest

from assay_sdk.reading import explain, read_leniently


class Inner(msgspec.Struct):
    count: int | None = None
    must: str = ""


class Outer(msgspec.Struct):
    name: str
    inner: Inner | None = None
    many: list[int] = []


@pytest.mark.parametrize(
    ("document", "at", "field", "message"),
    [
        pytest.param(b"7", "", None, "The document must be an object, not a whole number.", id="itself"),
        pytest.param(b"7", "batch[3]", "batch[3]", "batch[3] must be an object, not a whole number.", id="a part"),
        pytest.param(b"{}", "", "name", "name is missing.", id="missing"),
        pytest.param(b"{}", "batch[3]", "batch[3].name", "batch[3].name is missing.", id="missing in a part"),
        pytest.param(b'{"name":null}', "", "name", "name must be text, not null.", id="null"),
        pytest.param(
            b'{"name":"","inner":{"count":"x"}}',
            "",
            "inner.count",
            "inner.count must be a whole number or null, not text.",
            id="nested",
        ),
        pytest.param(
            b'{"name":"","many":[1,true]}',
            "",
            "many[1]",
            "many[1] must be a whole number, not true or false.",
            id="list",
        ),
    ],
)
def test_refusal_in_words(document: bytes, at: str, field: str | None, message: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(document, type=Outer)
    assert explain(refused.value, at=at) == (field, message)


class TestLenient:
    def test_mistakes_come_as_values_that_can_be_found(self) -> None:
        found = read_leniently(b'[NaN, 1e400, %s, "\\ud800", "\xff"]' % (b"9" * 5000))
        assert isinstance(found, list)
        assert math.isnan(found[0])
        assert found[1:] == [math.inf, math.inf, "\ud800", "\udcff"]

    @pytest.mark.parametrize("body", [b"", b"{", b"[1,]", b"{'a': 1}"])
    def test_no_json_even_so(self, body: bytes) -> None:
        with pytest.raises(ValueError, match=r"(?i)expect|illegal"):
            read_leniently(body)
