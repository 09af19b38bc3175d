"""Compiled models at hand: a version never changes, so each is compiled once in a process."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from assay.scoring import engine, language

_MOST = 256

_kept: OrderedDict[str, engine.CompiledModel] = OrderedDict()
_lock = Lock()


def compiled(content_hash: str, source: Callable[[], str]) -> engine.CompiledModel:
    """``source`` is asked only when this hash was not compiled lately. Equal hash, equal model, whosever it is."""
    with _lock:
        if content_hash in _kept:
            _kept.move_to_end(content_hash)
            return _kept[content_hash]
    model = engine.compile_model(language.parse(source()))
    with _lock:
        _kept[content_hash] = model
        while len(_kept) > _MOST:
            _kept.popitem(last=False)
    return model
