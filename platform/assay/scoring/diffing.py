"""What differs between two models, as a person would say it: by rule, dimension, stage, override and example."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from assay.scoring.language import Model, dump

Kind = Literal["added", "removed", "changed", "moved"]
Document = Mapping[str, Any]

#: Parts that have names of their own, and what one of them is called.
_NAMED = {"parameters": "parameter", "dimensions": "dimension"}
#: Lists of parts, what one of them is called, and the word that names it.
_LISTED = {"rules": ("rule", "id"), "overrides": ("override", "id"), "examples": ("example", "name")}
_LONGEST = 160


@dataclass(frozen=True)
class Change:
    """One difference; ``subject`` is what it is about, such as «rule pricing», and begins the sentence."""

    kind: Kind
    subject: str
    sentence: str


def compare(old: Model, new: Model) -> list[Change]:
    """Empty exactly when both mean the same."""
    before, after = dump(old), dump(new)
    told_below = {*_NAMED, *_LISTED, "stages", "grades"}
    return [
        *_words("model", _without(before, told_below), _without(after, told_below)),
        *_all_named(before, after),
        *_reordered(before.get("dimensions", {}), after.get("dimensions", {})),
        *_rules(before, after),
        *_listed("overrides", before, after, "the first override that holds decides"),
        *_stages(before.get("stages", []), after.get("stages", [])),
        *_parts("grade of", before.get("grades", {}), after.get("grades", {})),
        *_listed("examples", before, after, None),
    ]


def _all_named(before: Document, after: Document) -> Iterator[Change]:
    for word, noun in _NAMED.items():
        yield from _parts(noun, _by_name(before.get(word, {})), _by_name(after.get(word, {})))


def _reordered(old: Mapping[str, Document], new: Mapping[str, Document]) -> Iterator[Change]:
    """Dimensions, and groups of one: in their order parts are listed, and rounded so that they add up."""
    order = "stand in another order, in which receipts list and round them; no total changes."
    if _shared(old, new) != _shared(new, old):
        yield Change("moved", "dimensions", f"The dimensions {order}")
    for name in _shared(new, old):
        before, after = (part[name].get("groups", {}) for part in (old, new))
        if _shared(before, after) != _shared(after, before):
            yield Change("moved", f"dimension {name}", f"The groups of dimension {name} {order}")


def _by_name(parts: Mapping[str, Any]) -> dict[str, Document]:
    """A parameter that is a mere value says so as the others do."""
    return {name: part if isinstance(part, Mapping) else {"value": part} for name, part in parts.items()}


def _rules(before: Document, after: Document) -> Iterator[Change]:
    old, new = (_by_key(document.get("rules", []), "id") for document in (before, after))
    yield from _parts("rule", old, new)
    contests = {
        (name, group)
        for name, dimension in after.get("dimensions", {}).items()
        for group, words in dimension.get("groups", {}).items()
        if words.get("first_match")
    }
    moved = set()
    for place in sorted(contests):
        members = [[key for key, rule in part.items() if _place(rule) == place] for part in (old, new)]
        reason = f"of group {place[1]} only the first match counts"
        for change in _moved("rule", members[0], members[1], reason):
            moved.add(change.subject)
            yield change
    if _moved("rule", _shared(old, new), _shared(new, old), "") and not moved:
        yield Change("moved", "rules", "The rules stand in another order, which changes no score.")


def _place(rule: Document) -> tuple[str, str]:
    return rule.get("dimension", ""), rule.get("group", "")


def _listed(word: str, before: Document, after: Document, order: str | None) -> Iterator[Change]:
    noun, key = _LISTED[word]
    old, new = (_by_key(document.get(word, []), key) for document in (before, after))
    yield from _parts(noun, old, new)
    if order is not None:
        yield from _moved(noun, list(old), list(new), order)
    elif _shared(old, new) != _shared(new, old):
        yield Change("moved", word, f"The {word} stand in another order.")


def _by_key(parts: Iterable[Document], key: str) -> dict[str, Document]:
    """Of examples several may have one name: then each is named with its number."""
    found: dict[str, Document] = {}
    for part in parts:
        name, number = part[key], 2
        while name in found:
            name, number = f"{part[key]} ({number})", number + 1
        found[name] = _without(part, {key})
    return found


def _parts(noun: str, old: Mapping[str, Document], new: Mapping[str, Document]) -> Iterator[Change]:
    for name in old:
        if name not in new:
            yield Change("removed", f"{noun} {name}", f"{noun} {name} removed: it was {_said(old[name])}")
    for name, words in new.items():
        if name not in old:
            yield Change("added", f"{noun} {name}", f"{noun} {name} added: {_said(words)}")
        else:
            yield from _words(f"{noun} {name}", old[name], words)


def _words(subject: str, old: Document, new: Document) -> Iterator[Change]:
    for phrase in _phrases("", old, new):
        yield Change("changed", subject, f"{subject}: {phrase}")


def _phrases(path: str, old: Any, new: Any) -> Iterator[str]:
    """As deep as both have the same shape, so that the one number that changed in a long condition is what is told."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for word in [*old, *(word for word in new if word not in old)]:
            here = f"{path}.{word}" if path else word
            if word not in new:
                yield f"{here} {_said(old[word])} removed"
            elif word not in old:
                yield f"{here} {_said(new[word])} added"
            else:
                yield from _phrases(here, old[word], new[word])
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_phrases(path, old, new)
    else:
        yield f"{path} {_said(old)} → {_said(new)}"


def _list_phrases(path: str, old: list[Any], new: list[Any]) -> Iterator[str]:
    if len(old) == len(new) and any(isinstance(item, Mapping) for item in new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _phrases(f"{path}[{index}]", before, after)
        return
    gone, come = _missing(old, new), _missing(new, old)
    if gone:
        yield f"{path} {', '.join(map(_said, gone))} removed"
    if come:
        yield f"{path} {', '.join(map(_said, come))} added"
    if not gone and not come:
        yield f"{path} {_said(old)} → {_said(new)}"


def _missing(items: list[Any], others: list[Any]) -> list[Any]:
    return [item for item in items if item not in others]


def _stages(old: Sequence[Document], new: Sequence[Document]) -> Iterator[Change]:
    before, after = (_by_key(stages, "name") for stages in (old, new))
    for name, stage in before.items():
        if name not in after:
            yield Change("removed", f"stage {name}", f"stage {name} removed: it began {_beginning(stage)}")
    for name, stage in after.items():
        if name not in before:
            yield Change("added", f"stage {name}", f"stage {name} added: it begins {_beginning(stage)}")
        elif before[name] != stage:
            sentence = f"stage {name} now begins {_beginning(stage)} instead of {_beginning(before[name])}"
            yield Change("changed", f"stage {name}", sentence)
    if _shared(before, after) != _shared(after, before):
        yield Change("moved", "stages", "The stages stand in another order, which changes no score.")


def _beginning(stage: Document) -> str:
    return f"at {_said(stage['from'])}" if "from" in stage else f"above {_said(stage['above'])}"


def _moved(noun: str, old: Sequence[str], new: Sequence[str], reason: str) -> list[Change]:
    """As few as it takes: whatever keeps its order among the others has not moved."""
    before = [name for name in old if name in set(new)]
    after = [name for name in new if name in set(old)]
    stayed = set(_longest_rising(after, {name: place for place, name in enumerate(before)}))
    return [
        Change("moved", f"{noun} {name}", f"{noun} {name} moved {_after(after, place)}: {reason}")
        for place, name in enumerate(after)
        if name not in stayed
    ]


def _after(names: Sequence[str], place: int) -> str:
    return f"to stand after {names[place - 1]}" if place else "to the front"


def _longest_rising(names: Sequence[str], places: Mapping[str, int]) -> list[str]:
    """The most names that stand in the order of their places; patience sorting, n log n."""
    tops: list[int] = []
    chains: list[list[int]] = []
    before: list[int | None] = [None] * len(names)
    for index, name in enumerate(names):
        pile = bisect_left(tops, places[name])
        if pile == len(tops):
            tops.append(places[name])
            chains.append([])
        tops[pile] = places[name]
        chains[pile].append(index)
        before[index] = chains[pile - 1][-1] if pile else None
    chain: list[str] = []
    step = chains[-1][-1] if chains else None
    while step is not None:
        chain.append(names[step])
        step = before[step]
    return chain[::-1]


def _shared(names: Iterable[str], others: Iterable[str]) -> list[str]:
    among = set(others)
    return [name for name in names if name in among]


def _without(document: Document, words: Iterable[str]) -> dict[str, Any]:
    left_out = set(words)
    return {word: value for word, value in document.items() if word not in left_out}


def _said(value: Any) -> str:
    """In the words of the language itself, on one line."""
    if isinstance(value, str):
        text = value if value and value == value.strip() else json.dumps(value, ensure_ascii=False)
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, Mapping):
        text = ", ".join(f"{word}: {_inner(part)}" for word, part in value.items()) or "nothing"
    else:
        text = _inner(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _inner(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{word}: {_inner(part)}" for word, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_inner(part) for part in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)
