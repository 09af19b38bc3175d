from collections.abc import Callable, Iterator
from typing import Any

import pytest

from assay import connecting
from assay_tenants.access.service import SignedUp
from tests.platform.connecting.acme import AcmeSimulator
from tests.platform.connecting.desk import CALLBACK, FORM, acme_installed, answer_at


@pytest.fixture
def acme(connected: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[AcmeSimulator]:
    with acme_installed(monkeypatch) as stand_in:
        yield stand_in


@pytest.fixture
def leave(acme: AcmeSimulator) -> Callable[..., str]:
    """Begins to connect, and gives the vendor's address."""

    def begin(who: SignedUp, form: dict[str, str] | None = None, **how: Any) -> str:
        begun = connecting.begin(
            who.tenant_id, who.person_id, "acme", FORM if form is None else form, redirect_uri=CALLBACK, **how
        )
        assert begun.url
        return begun.url

    return begin


@pytest.fixture
def connect(leave: Callable[..., str]) -> Callable[..., int]:
    """The whole way there and back; tells the connection."""

    def whole(who: SignedUp, *, account: str = "a1", form: dict[str, str] | None = None, **how: Any) -> int:
        url = leave(who, form, **how)
        return connecting.finish(who.tenant_id, who.person_id, "acme", answer_at(url, account=account))

    return whole
