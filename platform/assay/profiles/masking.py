"""Raw messages, and beginnings of them, as far as they may be seen."""

import json
from typing import Any

from assay.profiles.marks import Marks
from assay_tenants.errors import Forbidden

#: In place of a text of which nobody can tell what in it is kept out of sight.
UNSEEN = "Fields of this account are kept out of sight, and it can't be told which part of this holds them."


class HoldsHiddenFields(Forbidden):
    code = "holds_hidden_fields"

    def __init__(self) -> None:
        super().__init__(
            "The message holds fields that are kept out of sight, so its bytes are not given out. Unmark them first."
        )


def masked_excerpt(text: str, marks: Marks) -> str:
    """The beginning of an item; only a whole one can be masked, of another nothing is shown."""
    if not marks or not text:
        return text
    try:
        return json.dumps(marks.masked_tree(json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return UNSEEN


def refuse_hidden(body: bytes, marks: Marks) -> None:
    """Raises HoldsHiddenFields unless all of the message may be seen."""
    if not marks:
        return
    try:
        tree: Any = json.loads(body)
        whole = bool(marks.masked_tree(tree) == tree)
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        raise HoldsHiddenFields
