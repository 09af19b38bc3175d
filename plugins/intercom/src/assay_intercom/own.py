"""Our own attributes of Intercom's contacts: written by the destination, left out by the source."""

from assay_sdk import Field

FIELDS = (
    Field("assay_score", "Assay score", "score"),
    Field("assay_grade", "Assay grade", "grade"),
    Field("assay_stage", "Assay stage", "stage"),
    Field("assay_reasons", "Assay reasons", "reasons"),
    Field("assay_scored_at", "Assay scored at", "scored_at"),
)
OWN_FIELDS = frozenset(field.name for field in FIELDS)
