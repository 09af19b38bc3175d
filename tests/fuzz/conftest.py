"""A tenant with something of everything, so that what is asked for by chance is sometimes there; a real server."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.isolation.conftest import connection_id, house, kin, values, victim  # noqa: F401 # fixtures


@pytest.fixture(scope="module")
def port(serve: Callable[..., AbstractContextManager[int]]) -> Iterator[int]:
    with serve() as port:
        yield port
