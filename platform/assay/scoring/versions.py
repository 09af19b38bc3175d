"""Which version of a model scores: published, rolled back, archived, taken back.

All of a tenant's changes happen one after the other, each in one transaction with what follows from it: models that
ask the changed one follow it, the change is written down, and the leads are scored anew.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from graphlib import TopologicalSorter

from sqlalchemy import select
from sqlalchemy.orm import Session

from assay.scoring import engine, language, rescoring
from assay.scoring.compiled import compiled_version
from assay.scoring.diffing import Change, compare
from assay.scoring.drafts import check_revision, failing_examples, outline
from assay.scoring.errors import Archived, ReferredTo
from assay.scoring.model_queries import count_models, find_version_of, last_number, number_before_archiving
from assay.scoring.models import ModelRow, ModelVersion, Publication
from assay.scoring.queries import LiveVersion, read_live_versions, read_model, read_version
from assay.scoring.referring import find_problems, kept_out
from assay_tenants import audit, plans
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput
from assay_tenants.models import Tenant

LONGEST_NOTE = 500
_RECORDED = {
    "publish": "model.published",
    "rollback": "model.rolled_back",
    "archive": "model.archived",
    "restore": "model.restored",
    "follow": "model.followed",
}


def publish(tenant_id: int, name: str, *, by: str, note: str | None = None, revision: int | None = None) -> int:
    """The draft becomes a version, and that version scores; a draft of contents published before is that version again.

    Raises InvalidModel while an example fails or a model is asked that isn't published; with ``revision``, DraftChanged
    when the draft is at another one.
    """
    with _changing(tenant_id, by, note) as changes:
        row = changes.model(name)
        if row.archived_at is not None:
            raise Archived(name)
        check_revision(row, revision)
        model = language.parse(row.draft)
        changes.check_fields(row.draft)
        changes.check_stages(model)
        version = changes.version_of(row, model, row.draft, with_examples=True)
        if version.number != row.published_version:
            changes.point(row, version, "publish")
            changes.follow(row, with_examples=True)
    return version.number


def rollback(tenant_id: int, name: str, number: int, *, by: str, note: str | None = None) -> None:
    """A version published before scores again, under its own number; the draft stays as it is."""
    with _changing(tenant_id, by, note) as changes:
        row = changes.model(name)
        if row.archived_at is not None:
            raise Archived(name)
        version = read_version(changes.session, tenant_id, row.id, number)
        if version.number != row.published_version:
            changes.check_references(version)
            changes.point(row, version, "rollback")
            # A way back must not be barred by an example: what follows once passed with these very versions.
            changes.follow(row, with_examples=False)


def archive(tenant_id: int, name: str, *, by: str, note: str | None = None) -> None:
    """The model scores nobody, and keeps its versions; refused while others that score ask for it."""
    with _changing(tenant_id, by, note) as changes:
        row = changes.model(name)
        if row.archived_at is None:
            asking = [live.name for live in changes.live.values() if name in live.pins]
            if asking:
                raise ReferredTo(name, asking)
            row.archived_at = changes.at
            changes.point(row, None, "archive")


def restore(tenant_id: int, name: str, *, by: str, note: str | None = None) -> int | None:
    """Takes a model back from the archive, with the version that scored before; None: it was a mere draft."""
    with _changing(tenant_id, by, note) as changes:
        row = changes.model(name)
        if row.archived_at is None:
            return row.published_version
        plans.require_place(
            changes.session, tenant_id, "models", count=lambda: count_models(changes.session, tenant_id)
        )
        row.archived_at = None
        number = number_before_archiving(changes.session, tenant_id, row.id)
        version = read_version(changes.session, tenant_id, row.id, number) if number is not None else None
        if version is not None:
            changes.check_references(version)
        changes.point(row, version, "restore")
    return number


def difference(tenant_id: int, name: str, old: int | None, new: int | None) -> list[Change]:
    """What leads from one version to another; None stands for the draft."""
    with tenant_session(tenant_id) as session:
        row = read_model(session, tenant_id, name)
        texts = [
            row.draft if number is None else read_version(session, tenant_id, row.id, number).source
            for number in (old, new)
        ]
    return compare(language.parse(texts[0]), language.parse(texts[1]))


@dataclass
class _Changes:
    """What one transaction changes about the versions that score."""

    session: Session
    tenant_id: int
    by: str
    note: str | None
    at: datetime
    #: By name; kept up to date while it changes.
    live: dict[str, LiveVersion]
    changed: list[int] = field(default_factory=list)
    #: What was done, in a few words.
    reason: str = ""

    def model(self, name: str) -> ModelRow:
        return read_model(self.session, self.tenant_id, name, lock=True)

    def check_references(self, version: ModelVersion) -> None:
        self._refuse(find_problems(self.session, self.tenant_id, language.parse(version.source), self.live))

    def check_fields(self, source: str) -> None:
        """Of the document that is published; versions that were before stay, with what they ask of them unknown."""
        self._refuse(kept_out(self.session, self.tenant_id, source))

    def check_stages(self, model: language.Model) -> None:
        """Of the model that is published; whoever follows another is not held up by a stage that has gone."""
        asked = language.references(model) & self.live.keys()
        others = {name: compiled_version(self.session, self.tenant_id, self.live[name]).model for name in asked}
        self._refuse(language.missing_stages(model, others))

    def version_of(self, row: ModelRow, model: language.Model, source: str, *, with_examples: bool) -> ModelVersion:
        """The stored version of this document beside what is live; made when there is none yet."""
        self._refuse(find_problems(self.session, self.tenant_id, model, self.live))
        asked = sorted(language.references(model))
        pins = {name: self.live[name].hash for name in asked}
        content_hash = language.content_hash(model, pins)
        known = find_version_of(self.session, self.tenant_id, row.id, content_hash)
        if known is not None:
            return known
        references = {name: compiled_version(self.session, self.tenant_id, self.live[name]) for name in asked}
        compiled = engine.compile_model(model, references)
        if with_examples:
            self._refuse(failing_examples(compiled))
        version = ModelVersion(
            tenant_id=self.tenant_id,
            model_id=row.id,
            number=last_number(self.session, self.tenant_id, row.id) + 1,
            hash=content_hash,
            source=source,
            document=language.dump(model),
            pins=pins,
            published_at=self.at,
            published_by=self.by,
        )
        self.session.add(version)
        self.session.flush()
        return version

    def point(self, row: ModelRow, version: ModelVersion | None, action: str, note: str | None = None) -> None:
        """From here on this version scores."""
        before, row.updated_at = row.published_version, self.at
        row.published_version = version.number if version else None
        self.live.pop(row.name, None)
        if version is not None:
            row.precedence = version.document.get("precedence", 0)
            self.live[row.name] = LiveVersion(row.id, row.name, version.number, version.hash, version.pins)
        self.session.add(
            Publication(
                tenant_id=self.tenant_id,
                model_id=row.id,
                at=self.at,
                by=self.by,
                action=action,
                from_version=before,
                to_version=row.published_version,
                note=note or self.note,
            )
        )
        self.session.flush()
        self._record(row, before, action)
        if before != row.published_version:
            self.changed.append(row.id)
            # The others only follow the first one.
            self.reason = self.reason or f"{action} {row.name}"

    def _record(self, row: ModelRow, before: int | None, action: str) -> None:
        after: dict[str, object] = {"version": row.published_version}
        if action in ("publish", "rollback") and before is not None and row.published_version is not None:
            old, new = (
                read_version(self.session, self.tenant_id, row.id, number).source
                for number in (before, row.published_version)
            )
            after["changes"] = outline(old, language.parse(new))
        audit.record(self.session, self.tenant_id, _RECORDED[action], row.name, before={"version": before}, after=after)

    def follow(self, row: ModelRow, *, with_examples: bool) -> None:
        """Models that ask a changed one are published again, those that ask nobody who changed stay."""
        changed = {row.name}
        for name in TopologicalSorter(_asked(self.live)).static_order():
            live = self.live[name]
            if name in changed or not changed & live.pins.keys():
                continue
            source = read_version(self.session, self.tenant_id, live.model_id, live.number).source
            following = self.model(name)
            try:
                version = self.version_of(following, language.parse(source), source, with_examples=with_examples)
            except language.InvalidModel as error:
                raise _cannot_follow(name, row.name, error) from error
            if version.number != live.number:
                self.point(following, version, "follow", f"Follows {row.name}")
                changed.add(name)

    def _refuse(self, problems: list[language.Problem]) -> None:
        if problems:
            raise language.InvalidModel(problems)


def _asked(live: Mapping[str, LiveVersion]) -> dict[str, set[str]]:
    return {name: set(version.pins) & live.keys() for name, version in live.items()}


def _cannot_follow(name: str, changed: str, error: language.InvalidModel) -> language.InvalidModel:
    return language.InvalidModel(
        [
            language.Problem(
                "", f"The model {name!r} asks for the score of {changed!r} and could not follow: {problem}"
            )
            for problem in error.problems
        ]
    )


@contextmanager
def _changing(tenant_id: int, by: str, note: str | None) -> Iterator[_Changes]:
    _check_note(note)
    with tenant_session(tenant_id) as session:
        # Scoring batches hold this row too. One that began before cannot give a lead, new since, the version before.
        session.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(key_share=True))
        live = {version.name: version for version in read_live_versions(session, tenant_id)}
        changes = _Changes(session, tenant_id, by, note, datetime.now(UTC), live)
        yield changes
        if changes.changed:
            rescoring.start(session, tenant_id, changes.changed, changes.reason, by)


def _check_note(note: str | None) -> None:
    if note is None:
        return
    if len(note) > LONGEST_NOTE:
        raise BadInput(f"The note has {len(note):,} characters; at most {LONGEST_NOTE} are accepted.", field="note")
    if "\0" in note:
        raise BadInput("The note holds the character U+0000, which can't be stored.", field="note")
