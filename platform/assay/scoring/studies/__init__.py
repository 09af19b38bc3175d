"""A draft looked at in the background: a preview tells what it would change, a replay what it would have said."""

from assay.scoring.studies.options import ReplayChoice, length, start_preview, start_replay
from assay.scoring.studies.queries import StudyReport, changes_of, get_study, list_studies, names_of
from assay.scoring.studies.service import cancel

__all__ = [
    "ReplayChoice",
    "StudyReport",
    "cancel",
    "changes_of",
    "get_study",
    "length",
    "list_studies",
    "names_of",
    "start_preview",
    "start_replay",
]
