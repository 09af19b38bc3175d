"""Letters that no keyboard has: refused, and nothing breaks."""

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        pytest.param("/log-in", {"email": "a\0@b.example", "password": "x"}, id="log in"),
        pytest.param("/log-in/sso", {"email": "a@\0.example"}, id="single sign-on"),
        pytest.param("/forgotten", {"email": "a\0@b.example"}, id="forgotten"),
        pytest.param("/settings/keys/write", {"name": "a\0", "source": "1"}, id="a key"),
    ],
)
def test_a_form_with_nul_is_refused(stranger: Any, person: Any, path: str, fields: dict[str, str]) -> None:
    asks, page = (person, "/settings") if path.startswith("/settings") else (stranger, "/log-in")
    assert asks.sends(path, on=page, **fields).status_code == 400


@pytest.mark.parametrize("path", ["/leads?text=%00", "/leads?text=a&text=%00", "/verify?key=%00", "/settings/apps/%00"])
def test_an_address_with_nul_is_refused(person: Any, path: str) -> None:
    assert person.opens(path).status_code == 400
