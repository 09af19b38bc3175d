"""A folder of models beside those of a server: what would change, checked as a whole before anything does."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Literal

from assay.cli.score_input import Problems
from assay.scoring.diffing import compare
from assay.scoring.drafts import failing_examples, taken_name
from assay.scoring.engine import CompiledModel, compile_model
from assay.scoring.language import InvalidModel, Model, find_cycle, missing_stages, parse, references

LARGEST = 1_000_000
_ENDINGS = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Filed:
    """A model as a file has it."""

    path: Path
    text: str
    model: Model


@dataclass(frozen=True)
class Stored:
    """A model as the server has it."""

    name: str
    draft: str
    revision: int
    draft_by: str | None
    version: int | None
    #: Of the version that scores.
    source: str | None
    archived: bool


@dataclass(frozen=True)
class Step:
    """What happens to one model; ``words`` say it in lines."""

    name: str
    action: Literal["create", "update", "publish", "unchanged"]
    words: tuple[str, ...] = ()


def read_folder(folder: Path, problems: Problems) -> dict[str, Filed]:
    """Every model in the folder and the folders in it, by name; hidden ones are not looked into."""
    found: dict[str, Filed] = {}
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in _ENDINGS and path.is_file()]
    for path in paths:
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        text = _read(path, problems)
        if text is None:
            continue
        try:
            model = parse(text)
        except InvalidModel as error:
            for problem in error.problems:
                problems.add(path, str(problem))
            continue
        if model.name in found:
            problems.add(path, f"model: {model.name!r} is the model of {found[model.name].path} already")
        found[model.name] = Filed(path, text, model)
    if not paths:
        problems.add(folder, "holds no model: no file ends in .yaml, .yml or .json")
    return found


def _read(path: Path, problems: Problems) -> str | None:
    try:
        with path.open("rb") as file:
            body = file.read(LARGEST + 1)
        if len(body) > LARGEST:
            problems.add(path, f"is too large: a model's document has at most {LARGEST:,} bytes")
            return None
        # A text area, a browser and git on Windows end lines each in their way; a model means the same.
        return body.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        problems.add(path, f"is not UTF-8 text: byte {error.start + 1} can't be read")
    except OSError as error:
        problems.add(path, f"can't be read: {error.strerror}")
    return None


def check(files: Mapping[str, Filed], stored: Mapping[str, Stored], problems: Problems) -> None:
    """As the server would once all files are applied: models that ask one another, examples, models that follow."""
    live = {name: parse(model.source) for name, model in stored.items() if model.source is not None}
    final = live | {name: filed.model for name, filed in files.items()}
    asked = {name: references(model) for name, model in final.items()}
    for name, filed in files.items():
        if name not in stored and (taken := taken_name(filed.model)):
            problems.add(filed.path, str(taken))
        if name in stored and stored[name].archived:
            problems.add(filed.path, f"the model {name!r} is archived on the server; take it back there first")
        for other in sorted(asked[name] - final.keys()):
            problems.add(filed.path, f"asks for the model {other!r}, which is neither in the folder nor published")
        if (way := find_cycle(name, asked)) is not None:
            problems.add(filed.path, f"the models would ask one another in a circle: {' → '.join(way)}")
    if problems.found:
        return
    compiled: dict[str, CompiledModel] = {}
    for name in _in_order(final):
        place = files[name].path if name in files else f"model {name!r} on the server"
        if not asked[name] <= compiled.keys():
            continue  # What it asks is told already.
        try:
            compiled[name] = compile_model(final[name], {other: compiled[other] for other in asked[name]})
        except InvalidModel as error:
            for problem in error.problems:
                problems.add(place, str(problem))
            continue
        if name in files:
            for problem in missing_stages(final[name], {other: final[other] for other in asked[name]}):
                problems.add(place, str(problem))
        if name in files or asked[name] & files.keys():
            for problem in failing_examples(compiled[name]):
                problems.add(place, str(problem))


def plan(files: Mapping[str, Filed], stored: Mapping[str, Stored]) -> list[Step]:
    """In the order in which they can be applied: whoever is asked comes first."""
    return [_step(files[name], stored.get(name)) for name in _in_order({n: f.model for n, f in files.items()})]


def left_alone(files: Collection[str], stored: Mapping[str, Stored]) -> list[str]:
    return sorted(name for name, model in stored.items() if name not in files and not model.archived)


def _step(filed: Filed, stored: Stored | None) -> Step:
    name = filed.model.name
    if stored is None:
        return Step(name, "create", (f"{len(filed.model.rules)} rules, from {filed.path.name}",))
    before = parse(stored.source) if stored.source is not None else None
    words: Sequence[str] = [change.sentence for change in compare(before, filed.model)] if before else []
    if stored.draft != filed.text:
        if stored.draft != stored.source:
            words = [*words, f"replaces a draft saved by {stored.draft_by or 'somebody'}"]
        return Step(name, "update", tuple(words) or ("spelling and remarks alone",))
    if before is None or words:
        return Step(name, "publish", tuple(words) or ("the draft is the file's, and not published yet",))
    return Step(name, "unchanged")


def _in_order(models: Mapping[str, Model]) -> list[str]:
    graph = {name: sorted(references(model) & models.keys()) for name, model in sorted(models.items())}
    return list(TopologicalSorter(graph).static_order())
