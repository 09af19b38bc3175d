"""What we write into Segment, and how it is known again when it comes back."""

from hashlib import blake2b

from assay_sdk import Field

LIBRARY = "assay-scores"
#: Each of our messages' ids begins so.
MESSAGE = "leadscore-"

FIELDS = (
    Field("assay_score", "Assay: score", "score"),
    Field("assay_grade", "Assay: grade", "grade"),
    Field("assay_stage", "Assay: stage", "stage"),
    Field("assay_reasons", "Assay: reasons", "reasons"),
    Field("assay_scored_at", "Assay: scored at", "scored_at"),
)
OWN_TRAITS = frozenset(field.name for field in FIELDS)


def is_ours(message_id: str | None, library: object) -> bool:
    return library == LIBRARY or (message_id or "").startswith(MESSAGE)


def account_of(write_key: str) -> str:
    """What stands for the account of a write key, which Segment tells nobody."""
    return blake2b(write_key.encode(), digest_size=12, person=b"segment").hexdigest()
