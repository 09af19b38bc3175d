"""What a sender may say about a file when sending it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from assay_tenants.errors import BadInput

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_LONGEST = 200
#: Of a mapping, and said in brief.
HOW = ("type", "dates", "time_zone", "numbers")
_NAMES = ("name", "id_column", "email_column", "time_column", "delimiter", *HOW)


@dataclass(frozen=True)
class Options:
    #: Rows without any id are told apart by this and their row number; default: the file's name.
    name: str | None = None
    #: The column with the sender's own id of the lead.
    id_column: str | None = None
    email_column: str | None = None
    #: When a lead's traits were stated, or when an event happened.
    time_column: str | None = None
    #: ``,`` ``;`` ``|`` or a tab; None: found out.
    delimiter: str | None = None
    #: As in a mapping.
    type: str | None = None
    dates: str | None = None
    time_zone: str | None = None
    numbers: str | None = None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Raises BadInput. Empty texts count as not given, as forms send them."""
        options: dict[str, str] = {}
        for name, value in given.items():
            if name not in _NAMES:
                raise BadInput(f"There is no option {name!r}. Options are {', '.join(_NAMES)}.", field=name)
            if value is None or value == "":
                continue
            if not isinstance(value, str) or len(value) > _LONGEST or "\0" in value:
                raise BadInput(f"The option {name} must be a text of at most {_LONGEST} characters.", field=name)
            options[name] = value
        if "delimiter" in options:
            options["delimiter"] = delimiter_named(options["delimiter"]) or ","
        return cls(**options)

    @property
    def columns(self) -> list[str]:
        """Those that were asked for by name."""
        return [name for name in (self.id_column, self.email_column, self.time_column) if name]

    @property
    def how(self) -> dict[str, str]:
        """What a mapping would say, as far as it was said."""
        return {name: getattr(self, name) for name in HOW if getattr(self, name) is not None}


def delimiter_named(text: str | None) -> str | None:
    """Raises BadInput for what can't separate cells."""
    if text is None:
        return None
    delimiter = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if delimiter not in DELIMITERS:
        raise BadInput("The delimiter must be a comma, a semicolon, a tab or a bar.", field="delimiter")
    return delimiter
