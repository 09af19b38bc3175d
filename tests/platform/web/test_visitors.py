import pytest

from assay.web.visitors import safe_next


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        pytest.param("/leads?model=smb", True, id="a page of ours"),
        pytest.param("/", True, id="the first page"),
        pytest.param("", False, id="nothing"),
        pytest.param(None, False, id="none"),
        pytest.param("leads", False, id="relative"),
        pytest.param("//elsewhere.example/leads", False, id="another host"),
        pytest.param("/\\elsewhere.example", False, id="another host, as browsers read it"),
        pytest.param("https://elsewhere.example/", False, id="another host, spelt out"),
        pytest.param("/\t/elsewhere.example", False, id="a tab browsers drop"),
        pytest.param("javascript:alert(1)", False, id="script"),
    ],
)
def test_after_login_one_stays_with_us(address: str | None, safe: bool) -> None:
    assert safe_next(address) == (address if safe else None)
