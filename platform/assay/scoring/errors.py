"""Expected refusals of this stage.

AssayError
+ NoSuchModel        NotFound: not there, or another tenant's
+ NoSuchVersion      NotFound
+ NoSuchLead         NotFound
+ NoSuchTemplate     NotFound
+ NoSuchJudgement    NotFound
+ NoSuchStudy        NotFound: no such preview or replay of this model
+ NoSuchRescore      NotFound
+ NotKnownThen       NotFound: the lead is known since a later instant
+ NotPublished       Conflict: the model has no version that could score
+ ModelNameTaken     Conflict
+ DraftChanged       Conflict: somebody saved the draft meanwhile; says what differs
+ Archived           Conflict: the model has to be taken back first
+ TooManyStudies     Conflict: so many previews and replays are under way already
+ RescoreOver        Conflict: it is done, so there is nothing to stop
+ RescoreRunning     Conflict: it was not stopped, so it can't be resumed
+ ReferredTo         Conflict: models that score ask this one
+ WrongModelName     BadInput: the document names another model
"""

from collections.abc import Sequence
from datetime import datetime

from assay.scoring.diffing import Change
from assay_tenants.errors import AssayError, BadInput, Conflict, NotFound


class NoSuchModel(NotFound):
    def __init__(self) -> None:
        super().__init__("model")


class NoSuchVersion(NotFound):
    def __init__(self) -> None:
        super().__init__("version of this model")


class NoSuchLead(NotFound):
    def __init__(self) -> None:
        super().__init__("lead")


class NoSuchTemplate(NotFound):
    def __init__(self) -> None:
        super().__init__("template")


class NoSuchJudgement(NotFound):
    def __init__(self) -> None:
        super().__init__("judgement of this lead")


class NoSuchStudy(NotFound):
    def __init__(self, kind: str) -> None:
        super().__init__(f"{kind} of this model")


class NotPublished(Conflict):
    code = "not_published"

    def __init__(self, name: str) -> None:
        super().__init__(f"The model {name!r} is not published yet, so it scores nobody.")


class ModelNameTaken(Conflict):
    code = "name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is already a model named {name!r}. Edit that one, or choose another name.", field="model"
        )


class DraftChanged(Conflict):
    """``changes`` lead from what is stored to what was sent."""

    code = "draft_changed"

    def __init__(self, name: str, *, revision: int, by: str | None, stored: str, changes: Sequence[Change]) -> None:
        self.revision = revision
        self.by = by
        self.stored = stored
        self.changes = list(changes)
        super().__init__(
            f"{by or 'Somebody'} saved the draft of {name!r} meanwhile: it is at revision {revision} now. Nothing of "
            "it was overwritten. Take over what you need from it, then save yours as a change of that revision."
        )


class Archived(Conflict):
    code = "archived"

    def __init__(self, name: str) -> None:
        super().__init__(f"The model {name!r} is archived. Take it back first.")


class TooManyStudies(Conflict):
    code = "too_many_studies"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} previews and replays are under way already, and more would only make each of them slower. "
            "Wait until one is done, or cancel one."
        )


class NotKnownThen(NotFound):
    def __init__(self, at: datetime) -> None:
        AssayError.__init__(self, f"This lead was not known yet at {at.isoformat()}.")


class NoSuchRescore(NotFound):
    def __init__(self) -> None:
        super().__init__("rescore")


class RescoreOver(Conflict):
    code = "rescore_over"

    def __init__(self, rescore_id: int) -> None:
        super().__init__(f"Rescore {rescore_id} is done: there is nothing left to cancel.")


class RescoreRunning(Conflict):
    code = "rescore_running"

    def __init__(self, rescore_id: int) -> None:
        super().__init__(f"Rescore {rescore_id} was not cancelled, so there is nothing to resume.")


class ReferredTo(Conflict):
    code = "referred_to"

    def __init__(self, name: str, by: Sequence[str]) -> None:
        self.by = list(by)
        named = ", ".join(repr(other) for other in by)
        super().__init__(
            f"{'These models ask' if len(by) > 1 else 'This model asks'} for the score of {name!r}: {named}. "
            "Archive them first, or publish them without asking for it."
        )


class WrongModelName(BadInput):
    def __init__(self, *, name: str, written: str) -> None:
        super().__init__(
            f"The document is of the model {written!r}, but this is the draft of {name!r}. A model keeps its name.",
            field="model",
        )
