from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest

from assay.demo.account import MODELS
from assay.demo.story import PAST, Story
from assay.scoring import engine, language

UNTIL = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_it_is_the_same_each_time() -> None:
    assert list(Story(UNTIL).history()) == list(Story(UNTIL).history())


def test_each_call_has_an_id_of_its_own() -> None:
    ids = [call.arguments["message_id"] for call in Story(UNTIL).history()]
    assert len(set(ids)) == len(ids) > 2000


def test_it_happened_in_the_past() -> None:
    moments = [call.arguments["timestamp"] for call in Story(UNTIL).history()]
    assert UNTIL - PAST - timedelta(seconds=1) <= min(moments)
    assert max(moments) <= UNTIL


def test_nobody_can_be_written_to() -> None:
    emails = [person.traits["email"] for person in Story(UNTIL).people]
    assert len(set(emails)) == len(emails) == 200
    assert all(email.endswith(".example.test") for email in emails)


@pytest.mark.parametrize("name", MODELS)
def test_its_models_are_models(name: str) -> None:
    text = files("assay.demo").joinpath("models", f"{name}.yaml").read_text(encoding="utf-8")
    model = language.parse(text)
    engine.compile_model(model)
    assert model.name == name
