"""Fields kept out of scoring, and which signs of machines are looked for: changed, and all leads scored anew."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from assay.profiles.machines import NAMES
from assay.profiles.marks import Marks, SensitiveField, UnwatchedSignal, read_marks, read_unwatched
from assay.profiles.naming import TELLING
from assay.scoring import language, rescoring
from assay.scoring.models import ModelRow
from assay.scoring.queries import read_live_versions, read_version
from assay_tenants import audit
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput
from assay_tenants.models import Tenant

MOST_PATTERNS = 200
LONGEST_PATTERN = 200


@dataclass(frozen=True)
class Kept:
    """What stands, and the rescore that a change began; None: nothing changed, or nothing is published."""

    marks: Marks
    #: Signals by name, and whether each is looked for.
    signals: Mapping[str, bool]
    rescore_id: int | None = None


def standing(tenant_id: int) -> Kept:
    with tenant_session(tenant_id) as session:
        return _standing(session, tenant_id, None)


def keep_out(tenant_id: int, patterns: Iterable[str], *, by: str) -> Kept:
    """These names and no others are kept out from now on; raises BadInput for one that can't be."""
    wanted = _checked(patterns)
    return _keep_out(tenant_id, lambda _: wanted, by)


def mark(tenant_id: int, pattern: str, *, by: str) -> Kept:
    """Raises BadInput, as ``keep_out``."""
    (wanted,) = _checked([pattern])
    return _keep_out(tenant_id, lambda before: before | {wanted}, by)


def unmark(tenant_id: int, pattern: str, *, by: str) -> Kept:
    return _keep_out(tenant_id, lambda before: before - {pattern}, by)


def _keep_out(tenant_id: int, change: Callable[[set[str]], set[str]], by: str) -> Kept:
    with _changing(tenant_id) as session:
        before = set(read_marks(session, tenant_id).patterns)
        wanted = change(before)
        if len(wanted) > MOST_PATTERNS:
            raise BadInput(f"There are {len(wanted)} names; at most {MOST_PATTERNS} are accepted.", field="sensitive")
        if wanted == before:
            return _standing(session, tenant_id, None)
        gone = SensitiveField.pattern.in_(before - wanted)
        session.execute(delete(SensitiveField).where(SensitiveField.tenant_id == tenant_id, gone))
        now = datetime.now(UTC)
        session.add_all(
            SensitiveField(tenant_id=tenant_id, pattern=pattern, marked_by=by, marked_at=now)
            for pattern in sorted(wanted - before)
        )
        session.flush()
        told = ({"sensitive": sorted(names)} for names in (before, wanted))
        audit.record(session, tenant_id, "fields.kept_out", before=next(told), after=next(told))
        return _standing(session, tenant_id, _rescore(session, tenant_id, "change of fields kept out", by))


def watch(tenant_id: int, signals: Mapping[str, bool], *, by: str) -> Kept:
    """From now on these signs of machines are looked for, or not; those that are not named stay as they are."""
    for name in signals:
        if name not in NAMES:
            accepted = ", ".join(sorted(NAMES))
            raise BadInput(f"There is no signal {name!r}. Accepted: {accepted}.", field=f"signals.{name}")
    with _changing(tenant_id) as session:
        before = read_unwatched(session, tenant_id)
        after = {name for name in NAMES if not signals.get(name, name not in before)}
        if after == before:
            return _standing(session, tenant_id, None)
        again = UnwatchedSignal.signal.in_(before - after)
        session.execute(delete(UnwatchedSignal).where(UnwatchedSignal.tenant_id == tenant_id, again))
        session.add_all(UnwatchedSignal(tenant_id=tenant_id, signal=name) for name in sorted(after - before))
        session.flush()
        told = ({"not_looked_for": sorted(names)} for names in (before, after))
        audit.record(session, tenant_id, "signals.changed", before=next(told), after=next(told))
        return _standing(session, tenant_id, _rescore(session, tenant_id, "change of signs of machines", by))


def asked_in_vain(tenant_id: int) -> dict[str, list[str]]:
    """The live models that ask for fields which are kept out, and for which."""
    with tenant_session(tenant_id) as session:
        marks = read_marks(session, tenant_id)
        if not marks:
            return {}
        found = {}
        for live in read_live_versions(session, tenant_id):
            source = read_version(session, tenant_id, live.model_id, live.number).source
            names = sorted(marks.hidden(language.fields(language.parse(source))))
            if names:
                found[live.name] = names
        return found


def _checked(patterns: Iterable[str]) -> set[str]:
    found = set()
    for place, given in enumerate(patterns):
        pattern = given.strip()
        problem = _problem(pattern)
        if problem:
            raise BadInput(problem, field=f"sensitive[{place}]")
        found.add(pattern)
    return found


def _problem(pattern: str) -> str | None:
    if not pattern or len(pattern) > LONGEST_PATTERN:
        return f"A name has 1 to {LONGEST_PATTERN} characters, not {len(pattern)}."
    if "*" in pattern[:-1]:
        return f"{pattern!r}: a * may stand at the end alone, for all names that begin so."
    if not pattern.isprintable():
        return "A name holds no line breaks or other signs that can't be seen."
    known = sorted(Marks((pattern,)).hidden(TELLING))
    if known:
        return f"{pattern!r} covers {_listed(known)}: what people find a lead by can't be kept out of sight."
    return None


def _listed(names: Collection[str]) -> str:
    return ", ".join(names)


@contextmanager
def _changing(tenant_id: int) -> Iterator[Session]:
    """No score that rests on what stood before is written once the change is."""
    with tenant_session(tenant_id) as session:
        # Scoring batches hold this row shared.
        session.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(key_share=True))
        yield session


def _standing(session: Session, tenant_id: int, rescore_id: int | None) -> Kept:
    unwatched = read_unwatched(session, tenant_id)
    return Kept(read_marks(session, tenant_id), {name: name not in unwatched for name in sorted(NAMES)}, rescore_id)


def _rescore(session: Session, tenant_id: int, reason: str, by: str) -> int | None:
    models = session.scalars(
        select(ModelRow.id).where(ModelRow.tenant_id == tenant_id, ModelRow.published_version.is_not(None))
    ).all()
    return rescoring.start(session, tenant_id, models, reason, by) if models else None
