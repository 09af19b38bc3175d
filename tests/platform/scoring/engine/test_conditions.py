"""Every word of a condition: what is true, what is false, and what is unknown and so never true."""

from collections.abc import Callable
from typing import Any

import pytest

from assay.scoring.engine import Explanation

Run = Callable[..., Explanation]
MISSING = object()


def holds(run: Run, condition: dict[str, Any], value: Any, **rest: Any) -> bool:
    traits = {} if value is MISSING else {"x": value}
    return run({"rules": [{"id": "r", "when": condition, "points": 1}]}, traits=traits, **rest).raw == 1000


@pytest.mark.parametrize(
    ("word", "operand", "value", "expected"),
    [
        pytest.param("is", "CFO", "cfo", True, id="is ignores case"),
        pytest.param("is", "CFO", "CFO ", False, id="is keeps spaces"),
        pytest.param("is", "giám đốc", "GIÁM ĐỐC", True, id="is ignores case beyond ASCII"),
        pytest.param("is", 40, 40, True, id="is number"),
        pytest.param("is", 40, "40.0", True, id="is number in text"),
        pytest.param("is", 40, " 40 ", True, id="is number with spaces"),
        pytest.param("is", "40", "40.0", False, id="is text of figures stays text"),
        pytest.param("is", 40, "forty", False, id="is number, text is no number"),
        pytest.param("is", True, True, True, id="is true"),
        pytest.param("is", False, "FALSE", True, id="is false in text"),
        pytest.param("is", True, 1, False, id="true is not 1"),
        pytest.param("is", 12345678901234567890, "12345678901234567891", False, id="is long id, neighbour"),
        pytest.param("is", 12345678901234567890, "12345678901234567890", True, id="is long id"),
        pytest.param("is_not", "CFO", "Owner", True, id="is_not"),
        pytest.param("is_not", "CFO", "cfo", False, id="is_not ignores case"),
        pytest.param("is_not", 40, "forty", True, id="is_not number, text is no number"),
        pytest.param("is_not", "CFO", MISSING, False, id="is_not missing is unknown"),
        pytest.param("in", ["CFO", "Owner"], "owner", True, id="in ignores case"),
        pytest.param("in", ["CFO", 3], "3.0", True, id="in mixed with a number"),
        pytest.param("in", ["CFO", 3], "x", False, id="in neither"),
        pytest.param("not_in", ["CH", "VN"], "US", True, id="not_in"),
        pytest.param("not_in", ["CH", "VN"], "ch", False, id="not_in ignores case"),
        pytest.param("not_in", ["CH", "VN"], MISSING, False, id="not_in missing is unknown"),
        pytest.param("contains", "FIN", "Head of finance", True, id="contains ignores case"),
        pytest.param("contains", ".", "abc", False, id="contains is no pattern"),
        pytest.param("starts_with", "/pricing", "/Pricing/eu", True, id="starts_with"),
        pytest.param("starts_with", "/pricing", "/a/pricing", False, id="starts_with elsewhere"),
        pytest.param("ends_with", ".VN", "shop.vn", True, id="ends_with"),
        pytest.param("matches", "^C[FE]O$", "CFO", True, id="matches"),
        pytest.param("matches", "^C[FE]O$", "cfo", False, id="matches minds case"),
        pytest.param("matches", "(?i)^c[fe]o$", "CFO", True, id="matches with its own flag"),
        pytest.param("matches", "F", "CFO", True, id="matches anywhere"),
        pytest.param("gt", 10, 10, False, id="gt edge"),
        pytest.param("gt", 10, "10.001", True, id="gt"),
        pytest.param("gte", 10, "10", True, id="gte edge"),
        pytest.param("lt", 10, "1e1", False, id="lt edge in exponents"),
        pytest.param("lt", 10, "-3", True, id="lt negative"),
        pytest.param("lte", 10, "10.0", True, id="lte edge"),
        pytest.param("gt", 10, "NaN", False, id="NaN is above nothing"),
        pytest.param("lt", 10, "NaN", False, id="NaN is below nothing"),
        pytest.param("gt", 10, "inf", False, id="inf is no number"),
        pytest.param("gt", 10, "1e400", False, id="overflow is no number"),
        pytest.param("gt", 10, "11 staff", False, id="number with words is no number"),
        pytest.param("gt", 10, "1,000", False, id="thousands separators are not read"),
        pytest.param("between", [25, 45], 25, True, id="between low edge"),
        pytest.param("between", [25, 45], 45, True, id="between high edge"),
        pytest.param("between", [25, 45], 45.5, False, id="between above"),
        pytest.param("exists", True, "x", True, id="exists"),
        pytest.param("exists", True, MISSING, False, id="exists missing"),
        pytest.param("exists", True, "  ", False, id="blank text is missing"),
        pytest.param("exists", True, [], False, id="an empty list is missing"),
        pytest.param("exists", False, MISSING, True, id="exists: false"),
        pytest.param("exists", True, False, True, id="false is a value"),
        pytest.param("contains", "vip", ["VIP", "new"], True, id="list contains"),
        pytest.param("contains", "vi", ["VIP", "new"], False, id="list contains asks for an equal element"),
        pytest.param("contains", 2, [1, 2], True, id="list contains number"),
        pytest.param("is", "new", ["VIP", "new"], True, id="list is: one element"),
        pytest.param("in", ["a", "new"], ["VIP", "new"], True, id="list in"),
        pytest.param("not_in", ["a", "new"], ["VIP", "new"], False, id="list not_in: one element listed"),
        pytest.param("not_in", ["a", "b"], ["VIP", "new"], True, id="list not_in: no element listed"),
        pytest.param("is_not", "a", ["VIP", "new"], True, id="list is_not"),
        pytest.param("gt", 10, [3, "x", 11], True, id="list gt: one element"),
        pytest.param("gt", 10, [3, 4], False, id="list gt: none"),
        pytest.param("starts_with", "v", ["a", "VIP"], True, id="list starts_with"),
        pytest.param("is", "[a", "[a", True, id="text that only looks like a list"),
    ],
)
def test_word(run: Run, word: str, operand: Any, value: Any, expected: bool) -> None:
    assert holds(run, {"trait": "x", word: operand}, value) is expected


@pytest.mark.parametrize("word", ["is", "is_not", "contains", "starts_with", "ends_with", "matches"])
def test_missing_is_true_neither_way(run: Run, word: str) -> None:
    condition = {"trait": "x", word: "a"}
    assert not holds(run, condition, MISSING)
    assert not holds(run, {"not": condition}, MISSING)
    assert not holds(run, {"not": {"not": condition}}, MISSING)


@pytest.mark.parametrize("word", ["gt", "gte", "lt", "lte"])
@pytest.mark.parametrize("value", ["many", "NaN", "-inf", "1e400", MISSING])
def test_what_is_no_number_is_unknown_to_comparisons(run: Run, word: str, value: Any) -> None:
    assert not holds(run, {"trait": "x", word: 5}, value)
    assert not holds(run, {"not": {"trait": "x", word: 5}}, value)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        pytest.param({"all": [{"trait": "x", "is": 1}, {"trait": "gone", "is": 1}]}, False, id="true and unknown"),
        pytest.param({"any": [{"trait": "x", "is": 1}, {"trait": "gone", "is": 1}]}, True, id="true or unknown"),
        pytest.param(
            {"not": {"all": [{"trait": "x", "is": 2}, {"trait": "gone", "is": 1}]}}, True, id="not (false and unknown)"
        ),
        pytest.param(
            {"not": {"any": [{"trait": "x", "is": 2}, {"trait": "gone", "is": 1}]}}, False, id="not (false or unknown)"
        ),
        pytest.param({"not": {"trait": "x", "is": 2}}, True, id="not false"),
        pytest.param({"trait": "x", "gte": 1, "lt": 2}, True, id="two words are both asked"),
        pytest.param({"trait": "x", "gte": 1, "lt": 1}, False, id="two words, one false"),
        pytest.param({"all": [{"any": [{"not": {"trait": "x", "is": 3}}]}]}, True, id="nested"),
    ],
)
def test_joints(run: Run, condition: dict[str, Any], expected: bool) -> None:
    assert holds(run, condition, 1) is expected


@pytest.mark.parametrize(
    ("word", "value", "expected"),
    [
        pytest.param("within", "2026-03-01", True, id="within, this instant"),
        pytest.param("within", "2026-02-20T00:00:00Z", True, id="within"),
        pytest.param("within", "2026-02-19T00:00:00Z", False, id="within ends at its length"),
        pytest.param("within", "2026-03-02", False, id="within is not of the future"),
        pytest.param("older_than", "2026-02-19T00:00:00Z", True, id="older_than begins at its length"),
        pytest.param("older_than", "2026-02-19T00:00:00.000001Z", False, id="older_than, a tick younger"),
        pytest.param("older_than", "2026-02-19T07:00:00+07:00", True, id="older_than, with an offset"),
        pytest.param("older_than", "2026-02-19 00:00", True, id="older_than, a space and no seconds"),
        pytest.param("older_than", "2026-03-02", False, id="older_than is not of the future"),
        pytest.param("older_than", "last spring", False, id="no date"),
        pytest.param("older_than", "2026-02-30", False, id="no such day"),
    ],
)
def test_dates(run: Run, word: str, value: str, expected: bool) -> None:
    assert holds(run, {"trait": "x", word: "10d"}, value) is expected


def test_a_text_that_is_no_date_is_unknown(run: Run) -> None:
    assert not holds(run, {"not": {"trait": "x", "older_than": "10d"}}, "last spring")


@pytest.mark.parametrize(
    ("day", "next_day"),
    [
        pytest.param(-2, 0, id="turns true at the date"),
        pytest.param(0, 10, id="turns false at its length"),
        pytest.param(11, None, id="never again"),
    ],
)
def test_dates_of_traits_are_next_changes(run: Run, day: int, next_day: int | None) -> None:
    model = {"rules": [{"id": "r", "when": {"trait": "x", "within": "10d"}, "points": 1}]}
    found = run(model, traits={"x": "2026-03-01"}, at=day).next_change
    assert (None if found is None else (found.month, found.day)) == (None if next_day is None else (3, 1 + next_day))


@pytest.mark.parametrize(
    ("day", "points", "next_day"),
    [
        pytest.param(5, 0, 10, id="not yet, at the date plus its length"),
        pytest.param(10, 1, None, id="old enough"),
    ],
)
def test_dates_of_properties_are_measured_at_the_instant(run: Run, day: int, points: int, next_day: int | None) -> None:
    where = {"property": "due", "older_than": "10d"}
    model = {"rules": [{"id": "r", "on": "bill.sent", "where": where, "points": 1}]}
    found = run(model, events=[(1, "bill.sent", {"due": "2026-03-01"})], at=day)
    assert found.raw == points * 1000
    change = found.next_change
    assert (None if change is None else change.day) == (None if next_day is None else 1 + next_day)


@pytest.mark.parametrize(
    ("address", "valid"),
    [
        ("ada@example.test", True),
        ("ada.lovelace+news@mail.example.com", True),
        ("Ada@Example.COM", True),
        ("tên@công-ty.vn", True),
        ("a@xn--bcher-kva.example", True),
        ("qwqwqw@k.c", False),
        ("ada@example", False),
        ("ada@@example.test", False),
        ("ada example@example.test", False),
        (".ada@example.test", False),
        ("ada..b@example.test", False),
        ("ada@-example.test", False),
        ("ada@example..test", False),
        ("ada@127.0.0.1", False),
        ("@example.test", False),
        ("ada", False),
        ("a" * 65 + "@example.test", False),
        ("a@" + "b" * 250 + ".test", False),
    ],
)
def test_valid_addresses(run: Run, address: str, valid: bool) -> None:
    assert holds(run, {"trait": "x", "is_valid_email": True}, address) is valid
    assert holds(run, {"trait": "x", "is_valid_email": False}, address) is not valid


@pytest.mark.parametrize(
    ("address", "free", "disposable"),
    [
        ("ada@gmail.com", True, False),
        ("Ada@GMail.com", True, False),
        ("ada@yahoo.com.vn", True, False),
        ("ada@example.test", False, False),
        ("ada@notgmail.com", False, False),
        ("ada@mailinator.com", False, True),
        ("ada@x.mailinator.com", False, True),
    ],
)
def test_providers(run: Run, address: str, free: bool, disposable: bool) -> None:
    for word, expected in (("is_free_email", free), ("is_disposable_email", disposable)):
        assert holds(run, {"trait": "x", word: True}, address) is expected
        assert holds(run, {"trait": "x", word: False}, address) is not expected


@pytest.mark.parametrize("word", ["is_free_email", "is_disposable_email"])
def test_what_is_no_address_has_no_known_provider(run: Run, word: str) -> None:
    assert not holds(run, {"trait": "x", word: True}, "ada")
    assert not holds(run, {"trait": "x", word: False}, "ada")


@pytest.mark.parametrize(
    "text",
    [
        "asdf",
        "ASDF",
        "test",
        "Test.",
        "n/a",
        "N/A",
        "xxx",
        "XXXX",
        "qwerty",
        "qwqwqw",
        "---",
        "?",
        "none",
        "foo",
        "123",
        "bla bla",
        "asdf@gmail.com",
    ],
)
def test_made_up(run: Run, text: str) -> None:
    assert holds(run, {"trait": "x", "looks_fake": True}, text)


@pytest.mark.parametrize(
    "text",
    [
        "Acme",
        "3M",
        "BB",
        "Testa Motors",
        "Coco",
        "Công ty Ánh Dương",
        "悟空",
        "7-11",
        "Murmur",
        "Nana",
        "ada@test.example",
    ],
)
def test_not_made_up(run: Run, text: str) -> None:
    assert holds(run, {"trait": "x", "looks_fake": False}, text)


def test_quality_of_what_is_missing_is_unknown(run: Run) -> None:
    for word in ("is_valid_email", "is_free_email", "is_disposable_email", "looks_fake"):
        assert not holds(run, {"trait": "x", word: True}, MISSING)
        assert not holds(run, {"trait": "x", word: False}, MISSING)


def test_a_hostile_pattern_costs_no_time(run: Run) -> None:
    assert not holds(run, {"trait": "x", "matches": "^(a+)+$"}, "a" * 100_000 + "b")


@pytest.mark.parametrize(("joint", "expected"), [("any", True), ("all", False)])
def test_very_many_conditions(run: Run, joint: str, expected: bool) -> None:
    assert holds(run, {joint: [{"trait": "x", "is": f"v{n}"} for n in range(3000)]}, "v2999") is expected


MAIL = {"series": "welcome"}


@pytest.mark.parametrize(
    ("count", "events", "expected"),
    [
        pytest.param({}, [(0, "email.opened")], True, id="at least one"),
        pytest.param({}, [], False, id="none"),
        pytest.param({"count": {"is": 0}}, [], True, id="none is a count too"),
        pytest.param({"count": {"lt": 2}}, [(0, "email.opened")] * 2, False, id="below"),
        pytest.param({"count": {"lte": 2}}, [(0, "email.opened")] * 2, True, id="at most"),
        pytest.param({"count": {"gt": 2}}, [(0, "email.opened")] * 2, False, id="above"),
        pytest.param({"count": {"between": [2, 3]}}, [(0, "email.opened")] * 3, True, id="between"),
        pytest.param({"within": "10d"}, [(0, "email.opened")], False, id="left at its length"),
        pytest.param({"within": "10d"}, [(0.00001, "email.opened")], True, id="just inside"),
        pytest.param({"within": "10d"}, [(10, "email.opened")], True, id="this very instant"),
        pytest.param({}, [(10.00001, "email.opened")], False, id="future events do not count"),
        pytest.param({"event": "any"}, [(0, "x.done")], True, id="of any type"),
        pytest.param(
            {"event": ["x.done", "y.done"], "count": {"is": 2}}, [(0, "x.done"), (1, "y.done")], True, id="types"
        ),
        pytest.param(
            {"where": {"property": "series", "is": "welcome"}, "count": {"is": 1}},
            [(0, "email.opened", MAIL), (0, "email.opened", {"series": "other"}), (0, "email.opened")],
            True,
            id="where",
        ),
        pytest.param(
            {"distinct": "mail_id", "count": {"is": 2}},
            [
                *((0, "email.opened", {"mail_id": mail}) for mail in "aab"),
                (0, "email.opened"),
                (11, "email.opened", {"mail_id": "c"}),
            ],
            True,
            id="distinct values that are known and have happened",
        ),
        pytest.param(
            {"distinct": "mail_id", "within": "5d", "count": {"is": 1}},
            [(1, "email.opened", {"mail_id": "a"}), (6, "email.opened", {"mail_id": "b"})],
            True,
            id="distinct within a window",
        ),
    ],
)
def test_counts_of_events(run: Run, count: dict[str, Any], events: list[Any], expected: bool) -> None:
    condition = {"event": "email.opened", **count}
    model = {"rules": [{"id": "r", "when": condition, "points": 1}]}
    assert (run(model, events=events, at=10).raw == 1000) is expected
    assert (
        run({"rules": [{"id": "r", "when": {"not": condition}, "points": 1}]}, events=events, at=10).raw == 0
    ) is expected


@pytest.mark.parametrize(("mails", "points"), [("abcd", 10), ("abc", 0), ("abca", 0)])
def test_a_whole_series_opened(run: Run, mails: str, points: int) -> None:
    series = {"event": "email.opened", "where": {"property": "series", "is": "welcome"}, "distinct": "mail_id"}
    model = {"rules": [{"id": "r", "when": {**series, "within": "30d", "count": {"gte": 4}}, "points": 10}]}
    events = [(day, "email.opened", MAIL | {"mail_id": mail}) for day, mail in enumerate(mails)]
    assert run(model, events=events, at=10).raw == points * 1000


@pytest.mark.parametrize(
    ("words", "day", "expected"),
    [
        pytest.param({"trait": "x", "within": "10d"}, 5, True, id="one date near"),
        pytest.param({"trait": "x", "within": "10d"}, 15, False, id="none near"),
        pytest.param({"trait": "x", "older_than": "10d"}, 5, True, id="one date old"),
    ],
)
def test_lists_of_dates_at_each_instant(run: Run, words: dict[str, Any], day: float, expected: bool) -> None:
    assert holds(run, words, ["2026-02-01", "2026-03-01"], at=day) is expected
