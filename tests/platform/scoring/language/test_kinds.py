"""Rules of plugins' kinds in a document."""

from types import SimpleNamespace
from typing import Any

import pytest

from assay.scoring.language import InvalidModel, content_hash, dump, kinds, load

RULE: dict[str, Any] = {"id": "autumn", "kind": "acme.seasonal", "with": {"months": [10, 11]}, "points": 10}


def document(**changes: Any) -> dict[str, Any]:
    rule = {word: value for word, value in (RULE | changes).items() if value is not ...}
    return {"model": "m", "rules": [rule]}


REFUSED = [
    ("an unknown kind", {"kind": "acme.seasonla"}, "rules[0].kind", "did you mean 'acme.seasonal'"),
    ("no text", {"kind": 7}, "rules[0].kind", "must be the name of a kind of rule"),
    ("parameters are missing", {"with": ...}, "rules[0].with.months", "Missing data"),
    ("a wrong parameter", {"with": {"months": [13]}}, "rules[0].with.months", "less than or equal to 12"),
    ("a parameter it has not", {"with": {"months": [1], "weeks": [2]}}, "rules[0].with.weeks", "Unknown field"),
    ("parameters that are no mapping", {"with": [1]}, "rules[0].with", "must be a mapping"),
    ("parameters of no kind", {"kind": ..., "on": "a.done"}, "rules[0].with", "belongs to rules of a plugin's kind"),
    ("two triggers", {"on": "a.done"}, "rules[0].kind", "cannot stand beside 'on'"),
    ("a count", {"count": "once"}, "rules[0].count", "belongs to event rules"),
    ("very many parameters", {"with": {"months": list(range(5000))}}, "rules[0].with", "characters; at most 10,000"),
]


@pytest.mark.parametrize(("changes", "path", "said"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED])
def test_refused(changes: dict[str, Any], path: str, said: str) -> None:
    with pytest.raises(InvalidModel) as refused:
        load(document(**changes))
    found = {problem.path: problem.message for problem in refused.value.problems}
    assert any(at.startswith(path) and said in message for at, message in found.items()), found


def test_without_the_plugin_it_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "installed", lambda: SimpleNamespace(rule_kinds={}))
    with pytest.raises(InvalidModel, match="no installed plugin brings kinds of rules"):
        load(document())


def test_one_spelling_and_one_hash() -> None:
    model, same = load(document(**{"with": {"months": [10, 11]}})), load(document())
    assert content_hash(model, {}) == content_hash(same, {})
    assert load(dump(model)) == model
    other = load(document(**{"with": {"months": [11]}}))
    assert content_hash(other, {}) != content_hash(model, {})
