"""Compiled models at hand: a version never changes, so each is compiled once in a process."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import Protocol

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from assay.scoring import engine, language
from assay.scoring.models import ModelRow, ModelVersion
from assay.scoring.queries import LiveVersion, read_live_versions, read_version

log = structlog.get_logger()

_MOST = 256

_kept: OrderedDict[str, engine.CompiledModel] = OrderedDict()
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
    for live in read_live_versions(session, tenant_id):
        try:
            found.append((live, compiled_version(session, tenant_id, live)))
        except Exception:  # one model's mistake must not stop the others
            log.exception("scoring.model_failed", tenant_id=tenant_id, model=live.name, version=live.number)
            found.append((live, None))
    return found


def compiled_version(session: Session, tenant_id: int, version: Version) -> engine.CompiledModel:
    """With the versions it was published with. Equal hash, equal model, whosever it is."""
    kept = _find(version.hash)
    if kept is not None:
        return kept
    references = {name: _pinned(session, tenant_id, name, hash_) for name, hash_ in sorted(version.pins.items())}
    source = read_version(session, tenant_id, version.model_id, version.number).source
    # A later release may spell the same document otherwise; a version keeps the name it was published under.
    model = replace(engine.compile_model(language.parse(source), references), hash=version.hash)
    _keep(version.hash, model)
    return model


def compiled_draft(
    session: Session, tenant_id: int, source: str, content_hash: str, pins: Mapping[str, str]
) -> engine.CompiledModel:
    """A document that is no version, beside versions of the models it asks."""
    kept = _find(content_hash)
    if kept is not None:
        return kept
    references = {name: _pinned(session, tenant_id, name, hash_) for name, hash_ in sorted(pins.items())}
    model = engine.compile_model(language.parse(source), references)
    _keep(content_hash, model)
    return model


def _pinned(session: Session, tenant_id: int, name: str, hash_: str) -> engine.CompiledModel:
    kept = _find(hash_)
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
    return compiled_version(session, tenant_id, version)


def _find(content_hash: str) -> engine.CompiledModel | None:
    with _lock:
        if content_hash in _kept:
            _kept.move_to_end(content_hash)
        return _kept.get(content_hash)


def _keep(content_hash: str, model: engine.CompiledModel) -> None:
    with _lock:
        _kept[content_hash] = model
        while len(_kept) > _MOST:
            _kept.popitem(last=False)
