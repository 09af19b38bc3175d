from datetime import UTC, datetime, timedelta

import pytest

from assay.web import words

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("thousandths", "shown"),
    [
        pytest.param(0, "0", id="nought"),
        pytest.param(12_000, "12", id="whole"),
        pytest.param(12_500, "12.5", id="half"),
        pytest.param(7, "0.007", id="thousandths"),
        pytest.param(-1_050, "−1.05", id="minus, not a hyphen"),
        pytest.param(None, "–", id="unknown"),
    ],
)
def test_points(thousandths: int | None, shown: str) -> None:
    assert words.points(thousandths) == shown


@pytest.mark.parametrize(
    ("thousandths", "shown", "colour"),
    [
        pytest.param(15_000, "+15", "plus", id="gain"),
        pytest.param(-15_000, "−15", "minus", id="loss"),
        pytest.param(0, "0", "zero", id="nothing"),
    ],
)
def test_signed(thousandths: int, shown: str, colour: str) -> None:
    assert (words.signed(thousandths), words.sign(thousandths)) == (shown, colour)


@pytest.mark.parametrize(
    ("distance", "shown"),
    [
        pytest.param(timedelta(seconds=20), "just now", id="now"),
        pytest.param(timedelta(minutes=1), "1 minute ago", id="one"),
        pytest.param(timedelta(hours=5, minutes=59), "5 hours ago", id="rounded down"),
        pytest.param(timedelta(days=40), "1 month ago", id="month"),
        pytest.param(timedelta(days=800), "2 years ago", id="years"),
        pytest.param(timedelta(seconds=-5), "in a moment", id="soon"),
        pytest.param(timedelta(days=-16), "in 16 days", id="later"),
    ],
)
def test_ago(distance: timedelta, shown: str) -> None:
    assert words.ago(NOW - distance, NOW) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(True, "yes", id="boolean"),
        pytest.param(["a", 2, False], "a, 2, no", id="list"),
        pytest.param("", "–", id="empty"),
        pytest.param(4.5, "4.5", id="number"),
    ],
)
def test_shown(value: object, shown: str) -> None:
    assert words.shown(value) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        pytest.param(999, "999 bytes", id="bytes"),
        pytest.param(5_834_924, "5.8 MB", id="megabytes"),
        pytest.param(2_000_000_000, "2.0 GB", id="gigabytes"),
    ],
)
def test_size(count: int, shown: str) -> None:
    assert words.size(count) == shown
