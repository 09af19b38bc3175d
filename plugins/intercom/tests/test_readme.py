"""What the README promises is what the plugin does."""

import re
from pathlib import Path

import pytest

from assay_intercom.notices import TOPICS
from assay_intercom.own import FIELDS
from assay_intercom.service import Intercom
from assay_sdk import AppSetting, EventType, Field

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_topics_to_tick_are_those_that_are_read() -> None:
    stated = README[README.index("Tick:") : README.index("The address serves")]
    assert set(re.findall(r"`([a-z_.]+)`", stated)) == set(TOPICS)


@pytest.mark.parametrize("word", Intercom.vocabulary, ids=lambda word: word.type)
def test_events_and_their_points(word: EventType) -> None:
    points = [row.split("|")[2:4] for row in README.splitlines() if row.startswith("|") and f"`{word.type}`" in row]
    found = {
        name: number
        for names, numbers in points
        for name, number in zip(re.findall(r"`([a-z_.]+)`", names), numbers.split(","), strict=False)
    }
    assert int(found[word.type].replace("−", "-")) == word.suggested_points


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.holds)
def test_fields_that_are_written(field: Field) -> None:
    assert f"`{field.name}`" in README


@pytest.mark.parametrize("setting", Intercom.app, ids=lambda setting: setting.name)
def test_settings(setting: AppSetting) -> None:
    name = setting.name.upper()
    assert f"ASSAY_PLUGIN_INTERCOM_{name}`" in README or f"`_{name}`" in README
