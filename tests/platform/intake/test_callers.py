from datetime import timedelta

import pytest

from assay.intake import callers
from assay.intake.callers import Callers
from assay_tenants.keys import Caller


class Directory:
    """Counts the questions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.known: dict[str, Caller] = {}
        monkeypatch.setattr(callers, "find_caller", self.find)

    def find(self, secret: str, *, kind: str) -> Caller | None:
        assert kind == "write"
        self.asked.append(secret)
        return self.known.get(secret)


class TestFind:
    @pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
    def test_asked_once_in_a_lifetime(self, monkeypatch: pytest.MonkeyPatch, is_known: bool) -> None:
        directory, clock = Directory(monkeypatch), [0.0]
        if is_known:
            directory.known["key"] = Caller(1, 2, "write", 3)
        remembered = Callers(lifetime=timedelta(seconds=4), clock=lambda: clock[0])
        for clock[0] in (0.0, 1.0, 3.9):
            assert (remembered.find("key") is not None) is is_known
        assert directory.asked == ["key"]
        clock[0] = 4.0
        remembered.find("key")
        assert directory.asked == ["key", "key"]

    def test_size_is_bounded_and_the_oldest_goes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        directory = Directory(monkeypatch)
        remembered = Callers(size=3)
        for secret in ("a", "b", "c", "d", "d", "c", "b", "a"):
            remembered.find(secret)
        assert directory.asked == ["a", "b", "c", "d", "a"]

    def test_endless_key_is_not_even_looked_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        directory = Directory(monkeypatch)
        assert Callers().find("x" * 10_000) is None
        assert directory.asked == []
