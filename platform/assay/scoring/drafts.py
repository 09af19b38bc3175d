"""Drafts: made, saved, checked. They score nobody."""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from assay.scoring import engine, language
from assay.scoring.compiled import compiled_version
from assay.scoring.diffing import compare
from assay.scoring.errors import DraftChanged, ModelNameTaken, WrongModelName
from assay.scoring.examples import Outcome, run_examples
from assay.scoring.model_queries import count_models
from assay.scoring.models import ModelRow
from assay.scoring.queries import read_live_versions, read_model
from assay.scoring.referring import find_problems, kept_out
from assay_tenants import audit, plans
from assay_tenants.database import tenant_session

#: Where GET /api/v1/models/<name> answers something else.
RESERVED = frozenset({"overlaps", "schema"})


def validate(text: str, *, tenant_id: int | None = None) -> list[language.Problem]:
    """Everything that keeps this document from being published, examples that fail too; empty when nothing does.

    Without a tenant, nobody knows the models that it asks, and whatever rests on them is left unsaid.
    """
    try:
        model = language.parse(text)
        if taken := taken_name(model):
            return [taken]
        if tenant_id is not None:
            with tenant_session(tenant_id) as session:
                return [*kept_out(session, tenant_id, text), *_problems(session, tenant_id, model)]
        return [] if language.references(model) else failing_examples(engine.compile_model(model))
    except language.InvalidModel as error:
        return error.problems


def _problems(session: Session, tenant_id: int, model: language.Model) -> list[language.Problem]:
    live = {version.name: version for version in read_live_versions(session, tenant_id)}
    problems = find_problems(session, tenant_id, model, live)
    if problems:
        return problems
    asked = {name: compiled_version(session, tenant_id, live[name]) for name in language.references(model)}
    compiled = engine.compile_model(model, asked)
    problems = language.missing_stages(model, {name: other.model for name, other in asked.items()})
    return problems or failing_examples(compiled)


def failing_examples(compiled: engine.CompiledModel) -> list[language.Problem]:
    """What the model's own examples expect and don't find."""
    outcomes = run_examples(compiled)
    return [
        problem
        for index, (example, outcome) in enumerate(zip(compiled.model.examples, outcomes, strict=True))
        for problem in _failures(f"examples[{index}].expect", example, outcome)
    ]


def _failures(path: str, example: language.Example, outcome: Outcome) -> Iterator[language.Problem]:
    checks = iter(outcome.checks)
    for index, expected in enumerate(example.expect):
        place = path if len(example.expect) == 1 else f"{path}[{index}]"
        for _ in (*expected.words, *expected.dimensions):
            check = next(checks)
            if not check.holds:
                word = check.word if check.dimension is None else f"dimensions.{check.dimension}"
                found = f"expected {_said(check.expected)}, found {_said(check.found)}"
                yield language.Problem(f"{place}.{word}", f"{found} (example {example.name!r})")


def _said(value: object) -> str:
    """As it is written in a document."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def create_model(tenant_id: int, text: str, *, by: str | None = None) -> ModelRow:
    """A new, unpublished model named by its document; raises InvalidModel or ModelNameTaken."""
    model = language.parse(text)
    if problem := taken_name(model):
        raise language.InvalidModel([problem])
    now = datetime.now(UTC)
    row = ModelRow(tenant_id=tenant_id, name=model.name, draft=text, draft_by=by, created_at=now, updated_at=now)
    _label(row, model)
    try:
        with tenant_session(tenant_id) as session:
            plans.require_place(session, tenant_id, "models", count=lambda: count_models(session, tenant_id))
            session.add(row)
            audit.record(session, tenant_id, "model.created", model.name)
    except IntegrityError as error:
        raise ModelNameTaken(model.name) from error
    return row


def taken_name(model: language.Model) -> language.Problem | None:
    """What is wrong with the name of a new model, where the API has other things at its address."""
    if model.name not in RESERVED:
        return None
    sentence = f"cannot be {model.name!r}: /api/v1/models/{model.name} is an address of the API; choose another name"
    return language.Problem("model", sentence)


def save_draft(tenant_id: int, name: str, text: str, *, revision: int | None = None, by: str | None = None) -> ModelRow:
    """What the next publication will publish; raises InvalidModel, WrongModelName or NoSuchModel.

    With the ``revision`` that the text began as, a draft that somebody saved since is left alone: DraftChanged.
    """
    with tenant_session(tenant_id) as session:
        row = read_model(session, tenant_id, name, lock=True)
        model = language.parse(text)
        if model.name != name:
            raise WrongModelName(name=name, written=model.name)
        if row.draft == text:
            return row
        check_revision(row, revision, model)
        before = {"revision": row.draft_revision}
        changes = outline(row.draft, model)
        row.draft, row.draft_by, row.updated_at = text, by, datetime.now(UTC)
        row.draft_revision += 1
        _label(row, model)
        after = {"revision": row.draft_revision, "changes": changes}
        audit.record(session, tenant_id, "draft.saved", name, before=before, after=after)
    return row


def outline(old: str, new: language.Model) -> list[str]:
    """Which parts of a document changed, by their names: for the audit log, which holds no documents."""
    try:
        changes = compare(language.parse(old), new)
    except language.InvalidModel:
        # Written by a version that knew other words.
        return ["all of it"]
    return [f"{change.kind} {change.subject}" for change in changes]


def check_revision(row: ModelRow, revision: int | None, sent: language.Model | None = None) -> None:
    """Raises DraftChanged, with what leads from the stored draft to what was ``sent``."""
    if revision is None or revision == row.draft_revision:
        return
    changes = compare(language.parse(row.draft), sent) if sent is not None else []
    raise DraftChanged(row.name, revision=row.draft_revision, by=row.draft_by, stored=row.draft, changes=changes)


def _label(row: ModelRow, model: language.Model) -> None:
    row.title = model.title or model.name
    row.persona, row.product_line, row.business_unit = model.persona, model.product_line, model.business_unit
