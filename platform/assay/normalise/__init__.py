"""A raw message becomes records in our vocabulary; plugins do the work."""

from assay.normalise.checking import OURS, find_fault
from assay.normalise.ids import event_id
from assay.normalise.service import Named, plugin_names, reader, refuse, take, want
from assay.normalise.translating import ErasureWish
from assay.normalise.understanding import Normalised

__all__ = [
    "OURS",
    "ErasureWish",
    "Named",
    "Normalised",
    "event_id",
    "find_fault",
    "plugin_names",
    "reader",
    "refuse",
    "take",
    "want",
]
