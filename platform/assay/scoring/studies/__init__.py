"""A draft looked at in the background: a preview tells what it would change, a replay what it would have said."""

from assay.scoring.studies.changes import changes_file
from assay.scoring.studies.options import ReplayChoice, length, start_preview, start_replay
from assay.scoring.studies.queries import StudyReport, get_study, list_studies
from assay.scoring.studies.service import Kind, cancel

__all__ = [
    "Kind",
    "ReplayChoice",
    "StudyReport",
    "cancel",
    "changes_file",
    "get_study",
    "length",
    "list_studies",
    "start_preview",
    "start_replay",
]
