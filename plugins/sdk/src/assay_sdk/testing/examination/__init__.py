"""Drills that any plugin is put through, offline, against its own stand-in of the vendor.

``examine(service, Simulator)`` holds them all and gives a ``Report``: its text is a table with a score per drill.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from time import perf_counter

from assay_sdk import addresses
from assay_sdk.service import Service
from assay_sdk.testing.examination import answers, connecting, content, hooks, scores, syncing
from assay_sdk.testing.examination.bench import Bench, Maker
from assay_sdk.testing.examination.examinable import Examinable, NotOffered
from assay_sdk.testing.examination.report import Checks, Impossible, Outcome, Report, told
from assay_sdk.testing.simulator import Simulator

__all__ = ["DRILLS", "Checks", "Examinable", "NotOffered", "Outcome", "Report", "examine", "simulator_of"]

Drill = Callable[[Bench, Checks], None]

DRILLS: tuple[Drill, ...] = (
    connecting.connecting,
    hooks.signatures,
    hooks.splitting,
    hooks.duplicates,
    hooks.shuffles,
    hooks.rotation,
    syncing.paging,
    syncing.cursors,
    syncing.expiry,
    answers.refusals,
    answers.throttling,
    answers.outages,
    answers.nonsense,
    content.poison,
    content.purity,
    content.vocabulary,
    scores.pushing,
    scores.loops,
    scores.secrets,
)


def simulator_of(service: Service) -> type[Simulator]:
    """The class that ``Service.simulator`` names; raises NotOffered when it names none, or none that there is."""
    module, _, name = service.simulator.partition(":")
    if not (module and name):
        raise NotOffered(f"The service {service.name!r} names no simulator (Service.simulator, as module:Class).")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise NotOffered(f"The simulator {service.simulator!r} can't be loaded: {error}.") from error
    if not (isinstance(found, type) and issubclass(found, Simulator)):
        raise NotOffered(f"{service.simulator!r} is no Simulator.")
    return found


def examine(service: Service, simulator: Maker | None = None, *, only: Sequence[str] = ()) -> Report:
    """Holds the drills, one after another.

    Args:
        simulator: the class of the vendor's stand-in, or what makes one; by default what ``Service.simulator`` names.
        only: names of drills, such as ``paging``; all of them unless stated.
    """
    if unknown := set(only) - {drill.__name__ for drill in DRILLS}:
        there = ", ".join(drill.__name__ for drill in DRILLS)
        raise ValueError(f"There is no drill {', '.join(sorted(unknown))}; there are {there}.")
    bench = Bench(service, simulator or simulator_of(service))
    with _on_this_machine():
        return Report(service.name, [_held(drill, bench) for drill in DRILLS if not only or drill.__name__ in only])


def _held(drill: Drill, bench: Bench) -> Outcome:
    checks, began = Checks(), perf_counter()
    try:
        drill(bench, checks)
    except NotOffered as reason:
        checks.skipped.append((drill.__name__, str(reason)))
    except Impossible:
        pass
    except Exception as error:  # noqa: BLE001 # whatever a plugin raises is its drill's result
        checks.holds("the drill as a whole", False, f"ended with {told(error)}.")
    words = (drill.__doc__ or "").strip()
    return Outcome(drill.__name__, words, checks, perf_counter() - began)


@contextmanager
def _on_this_machine() -> Iterator[None]:
    """Loopback may be called meanwhile."""
    before = addresses._allowed
    addresses.configure(["127.0.0.1"])
    addresses._allowed += before
    try:
        yield
    finally:
        addresses._allowed = before
