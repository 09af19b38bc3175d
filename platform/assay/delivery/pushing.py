"""One call to a plugin's destination, and what came of it: a mistake over one lead costs its neighbours nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from rq.timeouts import BaseTimeoutException

from assay_sdk import Destination, Link, NeedsReconnect, PluginError, Receipt, Refused, ScoreUpdate, TryLater

#: Steps to find out which of many updates is refused.
SEARCHES = 16
LONGEST = 500
#: Refusals of whoever asks, whatever it is; None: the plugin's own, which did not even ask.
_OF_ALL = (None, 401, 402, 403)

log = structlog.get_logger()


@dataclass
class Pushed:
    """What is known after a push. ``failure`` is what kept the rest from being tried, or written."""

    receipts: dict[str, Receipt] = field(default_factory=dict)
    failure: PluginError | None = None
    #: Updates that were refused alone.
    blamed: dict[str, PluginError] = field(default_factory=dict)


class Stopped(TryLater):
    """It is no vendor's fault that the rest was not tried: it is read anew, and tried then."""


class PluginFailed(PluginError):
    """A plugin raised what it should not, or gave what is no receipt."""

    def __init__(self, plugin: str, error: Exception) -> None:
        super().__init__(f"The plugin {plugin} failed: {type(error).__name__}: {str(error)[:200]}")


def prepare(destination: Destination, link: Link, plugin: str) -> PluginError | None:
    """Makes sure of the vendor's fields; gives what kept it from that."""
    try:
        destination.prepare(link)
    except (TryLater, NeedsReconnect, Refused) as error:
        return error
    except BaseTimeoutException:
        raise
    except Exception as error:  # noqa: BLE001 # whatever a partner's plugin does, others' scores must go on
        return _failed(plugin, error)
    return None


def push(destination: Destination, link: Link, plugin: str, updates: Sequence[ScoreUpdate]) -> Pushed:
    """All of them, as many at once as the destination takes.

    Where many are refused together, those are looked for that others can do without. Refused one and all, it is no
    update's fault: then ``failure`` tells why.
    """
    done = Pushed()
    size = max(1, destination.batch)
    for start in range(0, len(updates), size):
        part = updates[start : start + size]
        error = _once(destination, link, plugin, part, done)
        if error is None:
            continue
        if _is_of_all(error):
            done.failure = error
            break
        done.failure = _search(destination, link, plugin, part, error, done)
        if len(done.blamed) > 1 and not done.receipts:
            done.failure = done.failure or error
            done.blamed.clear()
        if done.failure is not None:
            break
    done.receipts |= {key: Receipt(key, error=str(why)[:LONGEST]) for key, why in done.blamed.items()}
    return done


def _search(
    destination: Destination,
    link: Link,
    plugin: str,
    part: Sequence[ScoreUpdate],
    error: PluginError,
    done: Pushed,
) -> PluginError | None:
    """Halves a part that was refused until it is known which are; what is not found soon waits, without blame."""
    refused = [(part, error)]
    for _ in range(SEARCHES):
        if not refused:
            break
        few, why = refused.pop()
        if len(few) == 1:
            done.blamed[few[0].key] = why
            continue
        middle = len(few) // 2
        for half in (few[:middle], few[middle:]):
            further = _once(destination, link, plugin, half, done)
            if further is not None and _is_of_all(further):
                return further
            if further is not None:
                refused.append((half, further))
    return None


def _once(
    destination: Destination, link: Link, plugin: str, updates: Sequence[ScoreUpdate], done: Pushed
) -> PluginError | None:
    try:
        given = list(destination.push(link, updates))
        found = {receipt.key: receipt for receipt in given if _is_receipt(receipt)}
    except (TryLater, NeedsReconnect, Refused) as error:
        return error
    except BaseTimeoutException:
        raise
    except Exception as error:  # noqa: BLE001 # whatever a partner's plugin does, others' scores must go on
        return _failed(plugin, error)
    for update in updates:
        missing = Receipt(update.key, error=f"The plugin {plugin} did not say what became of it.")
        done.receipts[update.key] = found.get(update.key, missing)
    return None


def _is_of_all(error: PluginError) -> bool:
    """Whatever is asked for now would be answered so: no single update is at fault."""
    return isinstance(error, TryLater | NeedsReconnect) or (isinstance(error, Refused) and error.status in _OF_ALL)


def _is_receipt(receipt: object) -> bool:
    if not isinstance(receipt, Receipt):
        raise TypeError(f"{type(receipt).__name__} is no receipt")
    return True


def _failed(plugin: str, error: Exception) -> PluginFailed:
    log.warning("delivery.plugin_failed", plugin=plugin, exc_info=error)
    return PluginFailed(plugin, error)
