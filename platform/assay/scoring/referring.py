"""Models that ask other models: where a document does, and whether those can be asked."""

from collections.abc import Mapping

from sqlalchemy.orm import Session

from assay.profiles.marks import read_marks
from assay.scoring import language
from assay.scoring.language import Model, Problem, questions
from assay.scoring.language.hiding import problems
from assay.scoring.model_queries import Standing, standings
from assay.scoring.queries import LiveVersion


def find_problems(session: Session, tenant_id: int, model: Model, live: Mapping[str, LiveVersion]) -> list[Problem]:
    """Why the model can't be published beside what is live; empty when it can."""
    wanted = places(model)
    missing = {name for name in wanted if name not in live}
    known = standings(session, tenant_id, missing) if missing else {}
    found = [Problem(path, _missing(name, known.get(name))) for name, path in wanted.items() if name in missing]
    graph = {name: set(version.pins) for name, version in live.items()} | {model.name: set(wanted)}
    way = language.find_cycle(model.name, graph)
    if way is not None:
        path = wanted[way[1]]
        found.append(Problem(path, f"The models would ask one another in a circle: {' → '.join(way)}."))
    return found


def kept_out(session: Session, tenant_id: int, text: str) -> list[Problem]:
    """Where a document names a field that is kept out of scoring."""
    return problems(text, read_marks(session, tenant_id).hides)


def _missing(name: str, standing: Standing | None) -> str:
    if standing is None:
        return f"There is no model named {name!r}."
    if standing.archived:
        return f"The model {name!r} is archived, so it can't be asked. Take it back first."
    return f"The model {name!r} is not published yet, so it can't be asked. Publish it first."


def places(model: Model) -> dict[str, str]:
    """Each model that this one asks, and the path in its document where it first does."""
    found: dict[str, str] = {}
    for path, asked in questions(model):
        found.setdefault(asked.model, f"{path}.model")
    return found
