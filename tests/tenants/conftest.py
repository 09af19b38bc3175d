from itertools import count

import pytest

from assay.embedded import Embedded

_numbers = count(1)


@pytest.fixture
def address(connected: None) -> str:
    """An e-mail address that nobody has signed up with."""
    return f"ines{next(_numbers)}@hollow-creek.example.test"


@pytest.fixture
def owner_url(servers: Embedded) -> str:
    return servers.owner_url
