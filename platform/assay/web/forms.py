"""What a person filled in, with what was wrong beside each field."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from assay_tenants.errors import AssayError


@dataclass
class Form:
    values: dict[str, str] = field(repr=False, default_factory=dict)
    #: By field; what belongs to no field stands under "".
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(
        cls, sent: Mapping[str, str], *, needed: Mapping[str, str], unstripped: frozenset[str] | set[str] = frozenset()
    ) -> "Form":
        """``needed`` has, for each field that can't stay empty, what to say when it did."""
        form = cls({name: value if name in unstripped else value.strip() for name, value in sent.items()})
        form.errors = {name: sentence for name, sentence in needed.items() if not form[name]}
        return form

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")

    def refuse(self, error: AssayError) -> None:
        self.errors[error.field or ""] = error.message
