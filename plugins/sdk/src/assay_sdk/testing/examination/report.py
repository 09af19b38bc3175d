"""What an examination found: each drill with its checks, as a table for people and as JSON."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from assay_sdk.errors import PluginError
from assay_sdk.testing.examination.examinable import NotOffered

State = Literal["passed", "failed", "not applicable"]
_TOLD_AT_MOST = 8


class Impossible(Exception):
    """A drill can't go on after what it has just written down."""


@dataclass
class Checks:
    """One drill's checks, as they turn out."""

    passed: list[str] = field(default_factory=list)
    #: What was checked, and what was wrong with it.
    failed: list[tuple[str, str]] = field(default_factory=list)
    #: What was not checked, and why.
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def holds(self, name: str, truth: object, otherwise: str) -> bool:
        """Writes down a check; several of one name are one check, which holds when all of them do."""
        if any(failed == name for failed, _ in self.failed):
            return bool(truth)
        if truth:
            if name not in self.passed:
                self.passed.append(name)
        else:
            if name in self.passed:
                self.passed.remove(name)
            self.failed.append((name, otherwise))
        return bool(truth)

    def raises(self, name: str, wanted: tuple[type[PluginError], ...], act: Callable[[], object]) -> PluginError | None:
        """Checks that ``act`` raises one of these; gives what it raised."""
        words = " or ".join(kind.__name__ for kind in wanted)
        try:
            act()
        except NotOffered:
            raise
        except wanted as error:
            self.holds(name, truth=True, otherwise="")
            return error
        except Exception as error:  # noqa: BLE001 # whatever a plugin raises is what is being found out
            self.holds(name, False, f"raised {told(error)} instead of {words}.")
        else:
            self.holds(name, False, f"raised nothing; expected {words}.")
        return None

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What is raised in here is this check's failure, and the drill goes on after it."""
        try:
            yield
        except NotOffered as reason:
            self.skipped.append((name, str(reason)))
        except Impossible:
            pass
        except Exception as error:  # noqa: BLE001 # whatever a plugin raises is what is being found out
            self.holds(name, False, f"ended with {told(error)}.")


def told(error: BaseException) -> str:
    return f"{type(error).__name__} ({str(error)[:200]})"


@dataclass(frozen=True)
class Outcome:
    """One drill's result."""

    drill: str
    summary: str
    checks: Checks
    seconds: float

    @property
    def state(self) -> State:
        if self.checks.failed:
            return "failed"
        return "passed" if self.checks.passed else "not applicable"

    @property
    def score(self) -> tuple[int, int]:
        """Checks that hold, and all that were made."""
        good = len(self.checks.passed)
        return good, good + len(self.checks.failed)


@dataclass(frozen=True)
class Report:
    """One plugin's examination. Its text is a table: ``assert report.passed, report`` shows it where it matters."""

    service: str
    outcomes: Sequence[Outcome]

    @property
    def passed(self) -> bool:
        """True when no drill failed; those that are not applicable don't count."""
        return not any(outcome.state == "failed" for outcome in self.outcomes)

    @property
    def complete(self) -> bool:
        """True when every drill was held and passed: full marks."""
        return all(outcome.state == "passed" for outcome in self.outcomes)

    def outcome(self, drill: str) -> Outcome:
        return next(outcome for outcome in self.outcomes if outcome.drill == drill)

    def as_json(self) -> dict[str, Any]:
        return {
            "service": self.service,
            "passed": self.passed,
            "drills": [
                {
                    "drill": outcome.drill,
                    "state": outcome.state,
                    "passed": outcome.score[0],
                    "checks": outcome.score[1],
                    "failures": [{"check": name, "reason": reason} for name, reason in outcome.checks.failed],
                    "not_applicable": [{"check": name, "reason": reason} for name, reason in outcome.checks.skipped],
                    "seconds": round(outcome.seconds, 3),
                }
                for outcome in self.outcomes
            ],
        }

    def __str__(self) -> str:
        lines = [f"Examination of {self.service}"]
        for outcome in self.outcomes:
            good, made = outcome.score
            score = "  n/a" if outcome.state == "not applicable" else f"{good:>2}/{made}"
            lines.append(f"  {score:<7}{outcome.drill:<12}{outcome.summary}")
            failed = outcome.checks.failed
            lines += [f"{'':>9}FAILED {name}: {reason}" for name, reason in failed[:_TOLD_AT_MOST]]
            if len(failed) > _TOLD_AT_MOST:
                lines.append(f"{'':>9}… and {len(failed) - _TOLD_AT_MOST} more")
            lines += [f"{'':>9}n/a {name}: {reason}" for name, reason in outcome.checks.skipped]
        states = [outcome.state for outcome in self.outcomes]
        counted = ", ".join(f"{states.count(state)} {state}" for state in ("passed", "failed", "not applicable"))
        lines.append(f"{counted}; {sum(outcome.seconds for outcome in self.outcomes):.1f} seconds.")
        return "\n".join(lines)
