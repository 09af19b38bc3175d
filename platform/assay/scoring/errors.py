"""Expected refusals of this stage.

AssayError
+ NoSuchModel        NotFound: not there, or another tenant's
+ NoSuchVersion      NotFound
+ NoSuchLead         NotFound
+ NotPublished       Conflict: the model has no version that could score
+ ModelNameTaken     Conflict
+ WrongModelName     BadInput: the document names another model
"""

from assay_tenants.errors import BadInput, Conflict, NotFound


class NoSuchModel(NotFound):
    def __init__(self) -> None:
        super().__init__("model")


class NoSuchVersion(NotFound):
    def __init__(self) -> None:
        super().__init__("version of this model")


class NoSuchLead(NotFound):
    def __init__(self) -> None:
        super().__init__("lead")


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


class WrongModelName(BadInput):
    def __init__(self, *, name: str, written: str) -> None:
        super().__init__(
            f"The document is of the model {written!r}, but this is the draft of {name!r}. A model keeps its name.",
            field="model",
        )
