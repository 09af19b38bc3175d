"""What a plugin's author reads who left out a method, or misspelt it."""

from typing import Any

import pytest

from assay_sdk import Destination, RuleKind, Service, Source


class Guests(Source, Destination, Service, RuleKind):
    """Has nothing of its own."""


@pytest.mark.parametrize(
    ("kind", "method", "arguments"),
    [
        pytest.param(Source, "normalise", 1, id="normalise"),
        pytest.param(Source, "verify", 3, id="verify"),
        pytest.param(Source, "pull", 3, id="pull"),
        pytest.param(Source, "fetch", 3, id="fetch"),
        pytest.param(Destination, "push", 2, id="push"),
        pytest.param(Service, "account", 1, id="account"),
        pytest.param(RuleKind, "awards", 2, id="awards"),
    ],
)
def test_a_method_that_is_not_there_is_named(kind: type[Any], method: str, arguments: int) -> None:
    with pytest.raises(NotImplementedError, match=rf"^Guests has no {method}\.$"):
        getattr(kind, method)(Guests(), *[None] * arguments)
