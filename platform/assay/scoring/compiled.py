"""Compiled models at hand: a version never changes, so each is compiled once in a process."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import Protocol

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from assay.profiles.marks import Marks, read_marks
from assay.scoring import engine, language
from assay.scoring.models import ModelRow, ModelVersion
from assay.scoring.queries import LiveVersion, read_live_versions, read_version

log = structlog.get_logger()

_MOST = 256

# By the hash, and by what the tenant keeps out of scoring.
_Key = tuple[str, tuple[str, ...]]
_kept: OrderedDict[_Key, engine.CompiledModel] = OrderedDict()
_lock = Lock()


class Version(Protocol):
    """A stored version, or what is known of one without its text."""

    @property
    def model_id(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def hash(self) -> str: ...
    @property
    def pins(self) -> Mapping[str, str]: ...


def load_live(session: Session, tenant_id: int) -> list[tuple[LiveVersion, engine.CompiledModel | None]]:
    """What scores now. None stands for what can't be compiled: a mistake of ours, as it was when it was published."""
    found: list[tuple[LiveVersion, engine.CompiledModel | None]] = []
    marks = read_marks(session, tenant_id)
    for live in read_live_versions(session, tenant_id):
        try:
            found.append((live, compiled_version(session, tenant_id, live, marks)))
        except Exception:  # one model's mistake must not stop the others
            log.exception("scoring.model_failed", tenant_id=tenant_id, model=live.name, version=live.number)
            found.append((live, None))
    return found


def compiled_version(
    session: Session, tenant_id: int, version: Version, marks: Marks | None = None
) -> engine.CompiledModel:
    """With the versions it was published with, and without an answer to what it asks of fields that are kept out.

    Equal hash, equal model, whosever it is.
    """
    marks = read_marks(session, tenant_id) if marks is None else marks
    kept = _find(version.hash, marks)
    if kept is not None:
        return kept
    references = {name: _pinned(session, tenant_id, name, hash_, marks) for name, hash_ in sorted(version.pins.items())}
    source = read_version(session, tenant_id, version.model_id, version.number).source
    document = language.without(language.parse(source), marks.hides)
    # A later release may spell the same document otherwise; a version keeps the name it was published under.
    model = replace(engine.compile_model(document, references), hash=version.hash)
    _keep(version.hash, marks, model)
    return model


def compiled_draft(
    session: Session, tenant_id: int, source: str, content_hash: str, pins: Mapping[str, str]
) -> engine.CompiledModel:
    """A document that is no version, beside versions of the models it asks."""
    marks = read_marks(session, tenant_id)
    kept = _find(content_hash, marks)
    if kept is not None:
        return kept
    references = {name: _pinned(session, tenant_id, name, hash_, marks) for name, hash_ in sorted(pins.items())}
    document = language.without(language.parse(source), marks.hides)
    model = replace(engine.compile_model(document, references), hash=content_hash)
    _keep(content_hash, marks, model)
    return model


def _pinned(session: Session, tenant_id: int, name: str, hash_: str, marks: Marks) -> engine.CompiledModel:
    kept = _find(hash_, marks)
    if kept is not None:
        return kept
    version = session.scalars(
        select(ModelVersion)
        .join(ModelRow, (ModelRow.tenant_id == ModelVersion.tenant_id) & (ModelRow.id == ModelVersion.model_id))
        .where(
            ModelVersion.tenant_id == tenant_id,
            ModelRow.tenant_id == tenant_id,
            ModelRow.name == name,
            ModelVersion.hash == hash_,
        )
        .order_by(ModelVersion.number.desc())
        .limit(1)
    ).one()
    return compiled_version(session, tenant_id, version, marks)


def _find(content_hash: str, marks: Marks) -> engine.CompiledModel | None:
    key = (content_hash, marks.patterns)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
        return _kept.get(key)


def _keep(content_hash: str, marks: Marks, model: engine.CompiledModel) -> None:
    with _lock:
        _kept[content_hash, marks.patterns] = model
        while len(_kept) > _MOST:
            _kept.popitem(last=False)
