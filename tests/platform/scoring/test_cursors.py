import base64

import pytest

from assay.scoring import cursors
from assay_tenants.errors import BadInput

QUESTION = (7, "smb-owner", None, "ada")
SHAPE = tuple[int, int, int]
CURSOR = cursors.pack((1_700_000_000_000_000, -12_500, 42), of=QUESTION)


def test_comes_back_as_it_went_out() -> None:
    assert cursors.unpack(CURSOR, SHAPE, of=QUESTION) == (1_700_000_000_000_000, -12_500, 42)


@pytest.mark.parametrize("place", range(len(CURSOR)))
def test_no_letter_can_be_altered(place: int) -> None:
    other = "A" if CURSOR[place] != "A" else "B"
    with pytest.raises(BadInput, match="not one of this list") as refused:
        cursors.unpack(CURSOR[:place] + other + CURSOR[place + 1 :], SHAPE, of=QUESTION)
    assert refused.value.field == "cursor"


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param("", id="empty"),
        pytest.param("null", id="a word"),
        pytest.param(CURSOR[:-1], id="cut short"),
        pytest.param(CURSOR + "A", id="longer"),
        pytest.param(CURSOR + "==", id="padded"),
        pytest.param(CURSOR[:6] + "!" + CURSOR[6:], id="a letter that decoding skips"),
        pytest.param("é" * 20, id="not ASCII"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param("A" * 100_000, id="very long"),
        pytest.param(base64.urlsafe_b64encode(b"\xff" * 30).decode(), id="noise"),
        pytest.param(cursors.pack((1, 2), of=QUESTION), id="of another shape"),
        pytest.param(cursors.pack((1, 2, 3), of=(8, "smb-owner", None, "ada")), id="another tenant's"),
        pytest.param(cursors.pack((1, 2, 3), of=(7, "smb-owner", "MQL", "ada")), id="of other filters"),
    ],
)
def test_anything_else_is_refused(cursor: str) -> None:
    with pytest.raises(BadInput, match="not one of this list"):
        cursors.unpack(cursor, SHAPE, of=QUESTION)
