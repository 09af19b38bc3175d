import pytest

from assay.normalise.kinds import LONGEST, kind_of


@pytest.mark.parametrize(("field", "reason", "kind"), [
    pytest.param("batch[3].userId", "The call names nobody: userId or anonymousId is needed.", "field:userId/nobody",
                 id="the place in the batch makes no difference"),
    pytest.param("batch[7].event", "event is missing; it is needed, as text.", "field:event/missing", id="missing"),
    pytest.param("batch[1].type", "type is 'dance'; accepted are identify, track.", "field:type/unknown_value",
                 id="unknown value"),
    pytest.param("batch[1]", "The event of 40,123 bytes is over the limit: 32,768 bytes.", "too_large", id="too large"),
    pytest.param("traits.a[2].b", "traits.a[2].b is not a finite number.", "field:traits.a[].b/bad_number",
                 id="places inside lists"),
    pytest.param(None, "This could not be kept: DataError: 7", "not_kept/DataError", id="refused by the database"),
    pytest.param("all", "It makes no sense, for 'you' or 7", "field:all/it_makes_no_sense_for_or", id="words"),
    pytest.param(None, "7", "unsorted", id="no words"),
    pytest.param("x" * 500, "It must be text.", ("field:" + "x" * 500)[:LONGEST], id="long"),
])  # fmt: skip
def test_is_made_of_field_and_sense(field: str | None, reason: str, kind: str) -> None:
    assert kind_of(reason, field=field) == kind


@pytest.mark.parametrize(("one", "other"), [
    ("type is 'dance'; x", "type is 'sing'; x"), ("It has 5 legs", "It has 6,000 legs"),
    ("Sent at 2026-01-01T00:00:00Z by you", "Sent at 2025-05-05T01:01:01Z by you"),
])  # fmt: skip
def test_values_make_no_difference(one: str, other: str) -> None:
    assert kind_of(one) == kind_of(other)


@pytest.mark.parametrize(("stated", "kind"), [
    ("event_too_large", "event_too_large"), ("field:a[].b/c-d", "field:a[].b/c-d"), ("no spaces", "it_is_wrong"),
    ("x" * 200, "it_is_wrong"), ("", "it_is_wrong"),
])  # fmt: skip
def test_a_plugin_may_state_it(stated: str, kind: str) -> None:
    assert kind_of("It is wrong", stated=stated) == kind
