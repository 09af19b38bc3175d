"""The pages of a person who connects the small service ``acme`` of these tests, and what stands on them."""

import re
from typing import Any
from urllib.parse import urlencode

from tests.platform.connecting.desk import FORM, answer_at

PAGE = "/connections/connect/acme"
CALLBACK = "/connections/callback/acme"


def leave(person: Any, **fields: str) -> str:
    """The address on the page that goes on to the vendor."""
    page = person.sends(PAGE, on=PAGE, **{**FORM, **fields})
    assert page.status_code == 200, page.text
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', page.text)
    assert found
    return found[1].replace("&amp;", "&")


def connected_page(person: Any, *, account: str = "a1", **fields: str) -> str:
    """The whole way; tells the connection's page."""
    answer = answer_at(leave(person, **fields), account=account)
    back = person.opens(f"{CALLBACK}?{urlencode(answer)}")
    assert back.status_code == 303, back.text
    return str(back.location)


def id_in(page: str) -> int:
    return int(page.rpartition("/")[2])


def version_in(form: str) -> str:
    found = re.search(r'name="connection_version" value="(\d+)"', form)
    assert found
    return found[1]
