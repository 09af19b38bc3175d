"""Models to begin with: published frameworks as templates, with numbers to fill in and words in four languages."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from marshmallow import ValidationError

from assay.scoring import language
from assay.scoring.engine import compile_model
from assay.scoring.errors import NoSuchTemplate
from assay.scoring.examples import run_examples
from assay.scoring.language.parameters import Value, outside, quantity
from assay.scoring.templating import Document
from assay_tenants.errors import BadInput

ENGLISH = "en"
#: Each by the name its speakers give it.
LANGUAGES = {ENGLISH: "English", "vi": "Tiếng Việt", "ro": "Română", "zh": "中文"}

_WHOLE = re.compile(r"[-+]?[0-9]{1,15}")


@dataclass(frozen=True)
class Parameter:
    """A number or a duration somebody may choose; values are spelt as in a document."""

    name: str
    title: str
    value: Value
    min: Value | None
    max: Value | None

    @property
    def accepts(self) -> str:
        what = "a duration such as 60d" if isinstance(self.value, str) else "a number"
        return what if self.min is None or self.max is None else f"{what}, from {self.min} to {self.max}"


@dataclass(frozen=True)
class TemplateModel:
    name: str
    title: str
    description: str


@dataclass(frozen=True)
class Template:
    name: str
    title: str
    about: str
    models: tuple[TemplateModel, ...]
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class Rendered:
    """A document of a template; `left_out` names the examples that do not hold with the numbers chosen."""

    name: str
    title: str
    text: str
    left_out: tuple[str, ...]


def templates(tongue: str = ENGLISH) -> list[Template]:
    """All of them, with what people read in a language of LANGUAGES."""
    return [template(name, tongue) for name in _names()]


def template(name: str, tongue: str = ENGLISH) -> Template:
    """One of them; raises NoSuchTemplate."""
    if name not in _names():
        raise NoSuchTemplate
    documents, words = _documents(name), _words(name, tongue)
    said = _told(name, "framework") if tongue == ENGLISH else _told(name, tongue)
    return Template(
        name=name,
        title=said["title"],
        about=said["about"],
        models=tuple(_model(document, words) for document in documents),
        parameters=tuple(_parameters(documents, words)),
    )


def render(
    name: str,
    tongue: str = ENGLISH,
    values: Mapping[str, object] | None = None,
    *,
    models: Iterable[str] | None = None,
) -> list[Rendered]:
    """The template's documents, or some of them, filled in; raises NoSuchTemplate or BadInput.

    Texts for people are in the language, comments stay, and examples that do not hold with other numbers are left out.
    """
    chosen = template(name, tongue)
    wanted = [model.name for model in chosen.models] if models is None else list(models)
    for model in wanted:
        if model not in [known.name for known in chosen.models]:
            accepted = ", ".join(known.name for known in chosen.models)
            raise BadInput(f"This template has no model {model!r}. Accepted: {accepted}.", field="model")
    given = _checked(chosen.parameters, values or {})
    words = _words(name, tongue)
    return [_rendered(document, words, given) for document in _documents(name) if document.name in wanted]


def _rendered(document: Document, words: Mapping[str, str], given: Mapping[str, Value]) -> Rendered:
    changed = {
        name: str(given[name])
        for name, said in document.parameters.items()
        if name in given and given[name] != _read(said["value"])
    }
    text = document.filled(words, changed)
    failing: tuple[str, ...] = ()
    if changed:
        failing = tuple(_failing(text))
        text = Document(text).without_examples(failing)
    return Rendered(document.name, words.get(document.title, document.title), text, failing)


def _failing(text: str) -> Iterator[str]:
    """The examples of a document that do not hold."""
    try:
        model = compile_model(language.parse(text))
    except language.InvalidModel as error:
        problem = error.problems[0]
        raise BadInput(f"These values make no model: {problem.path} {problem.message}", field="parameters") from None
    return (outcome.example for outcome in run_examples(model) if not outcome.holds)


def _checked(parameters: Iterable[Parameter], values: Mapping[str, object]) -> dict[str, Value]:
    known = {parameter.name: parameter for parameter in parameters}
    given = {}
    for name, value in values.items():
        if name not in known:
            accepted = ", ".join(known) or "none"
            raise BadInput(f"This template has no parameter {name!r}. Accepted: {accepted}.", field=name)
        given[name] = _accepted(known[name], value)
    return given


def _accepted(parameter: Parameter, value: object) -> Value:
    """The value in its one spelling; text from a form may be a number."""
    try:
        found = quantity(_read(value) if isinstance(value, str) else value)
        if isinstance(found, str) != isinstance(parameter.value, str) or outside(found, parameter.min, parameter.max):
            raise ValueError("of another kind, or out of bounds")
    except (ValueError, ValidationError):
        message = f"{parameter.title}: must be {parameter.accepts}, not {value!r}."
        raise BadInput(message, field=parameter.name) from None
    return found


def _read(text: str) -> Value:
    """As YAML would: a number where it is one."""
    bare = text.strip()
    return float(bare) if "." in bare else int(bare) if _WHOLE.fullmatch(bare) else bare


def _model(document: Document, words: Mapping[str, str]) -> TemplateModel:
    title, description = document.title, document.description
    return TemplateModel(document.name, words.get(title, title), words.get(description, description))


def _parameters(documents: Iterable[Document], words: Mapping[str, str]) -> Iterator[Parameter]:
    """Of all models, each once."""
    seen = set()
    for document in documents:
        for name, said in document.parameters.items():
            if name not in seen:
                seen.add(name)
                low, high = (None if bound is None else _read(bound) for bound in (said.get("min"), said.get("max")))
                yield Parameter(name, words.get(said["title"], said["title"]), _read(said["value"]), low, high)


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(folder.name for folder in _folder().iterdir() if folder.joinpath("framework.yaml").is_file()))


@cache
def _documents(name: str) -> tuple[Document, ...]:
    files = [_folder().joinpath(name, f"{model}.yaml") for model in _told(name, "framework")["models"]]
    return tuple(Document(file.read_text(encoding="utf-8")) for file in files)


def _words(name: str, tongue: str) -> Mapping[str, str]:
    """English texts of the template's documents, each in the language."""
    if tongue == ENGLISH:
        return {}
    words: dict[str, str] = _told(name, tongue)["texts"]
    return words


@cache
def _told(name: str, file: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(_folder().joinpath(name, f"{file}.yaml").read_text(encoding="utf-8"))
    return found


def _folder() -> Traversable:
    return resources.files("assay.scoring").joinpath("frameworks")
