"""Which models ask which, and whether they ask in a circle."""

import pytest

from assay.scoring.language import content_hash, find_cycle, load, references

ASKS = {"model": "a", "applies": True}
TRAIT = {"trait": "x", "is": 1}


def test_references_are_found_wherever_conditions_stand() -> None:
    model = load(
        {
            "model": "m",
            "audience": {"any": [TRAIT, {"not": ASKS}]},
            "rules": [
                {"id": "r", "when": {"model": "b", "score": {"gte": 1}, "stage": "x"}, "points": 1},
                {"id": "s", "on": "a.done", "where": {"property": "model", "is": "z"}, "points": 1},
            ],
            "overrides": [{"id": "o", "when": {"all": [{"model": "c", "grade": "A1"}]}, "set": 0, "reason": "r"}],
        }
    )
    assert references(model) == {"a", "b", "c"}


def test_the_hash_tells_what_others_were() -> None:
    model = load({"model": "m", "rules": [{"id": "r", "when": ASKS, "points": 1}]})
    hashes = {content_hash(model), content_hash(model, {"a": "1"}), content_hash(model, {"a": "2"})}
    assert len(hashes) == 3
    assert content_hash(model, {}) == content_hash(model)


@pytest.mark.parametrize(
    ("asked", "cycle"),
    [
        pytest.param({}, None, id="nobody"),
        pytest.param({"a": ["b", "c"], "b": ["c"]}, None, id="none"),
        pytest.param({"a": ["a"]}, ["a", "a"], id="itself"),
        pytest.param({"a": ["b"], "b": ["a"]}, ["a", "b", "a"], id="two"),
        pytest.param({"a": {"b"}, "b": {"c"}, "c": {"a"}}, ["a", "b", "c", "a"], id="three"),
        pytest.param({"a": ["b", "d"], "b": ["c"], "c": ["a"], "d": ["a"]}, ["a", "d", "a"], id="the shortest"),
        pytest.param({"a": ["b"], "b": ["c"], "c": ["b"]}, None, id="one that others form"),
        pytest.param({f"{n}": [f"{n + 1}"] for n in range(5000)} | {"a": ["0"]}, None, id="long"),
    ],
)
def test_cycles(asked: dict[str, list[str]], cycle: list[str] | None) -> None:
    assert find_cycle("a", asked) == cycle
