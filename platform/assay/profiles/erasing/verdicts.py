"""Whether a record is about somebody who was erased: pure.

A record goes when one of the identifiers that tell who it is was erased. A device tells that only where nothing else
does: of somebody else's record on a device of the person the record stays, without the device.
"""

from collections.abc import Iterator, Set
from dataclasses import replace

from assay.profiles.matching import Key, persona
from assay_sdk import Alias, CoreRecord, Fetch, Identifiers


def keys_of(record: CoreRecord | Fetch) -> Iterator[Key]:
    """All that could make a record one of an erased person."""
    for ids in _told(record):
        who = persona(ids)
        yield from who.strong
        if who.anonymous:
            yield who.anonymous
        if who.primary:
            yield who.primary


def is_theirs(record: CoreRecord | Fetch, erased: Set[Key]) -> bool:
    for ids in _told(record):
        who = persona(ids)
        if any(key in erased for key in who.strong) or (not who.strong and who.primary in erased):
            return True
    return False


def spared(record: CoreRecord, erased: Set[Key]) -> CoreRecord:
    """Of somebody else: without devices of the erased person."""
    ids = _without(record.ids, erased)
    if isinstance(record, Alias):
        previous = _without(record.previous, erased)
        same = ids is record.ids and previous is record.previous
        return record if same else replace(record, ids=ids, previous=previous)
    return record if ids is record.ids else replace(record, ids=ids)


def _without(ids: Identifiers, erased: Set[Key]) -> Identifiers:
    who = persona(ids)
    return replace(ids, anonymous_id=None) if who.anonymous in erased else ids


def _told(record: CoreRecord | Fetch) -> Iterator[Identifiers]:
    yield record.ids
    if isinstance(record, Alias):
        yield record.previous
