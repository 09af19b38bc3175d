"""A raw message becomes records in our vocabulary; plugins do the work."""

from assay.normalise.checking import OURS, find_fault
from assay.normalise.ids import event_id
from assay.normalise.service import plugin_names, reader, refuse, take
from assay.normalise.understanding import Normalised

__all__ = ["OURS", "Normalised", "event_id", "find_fault", "plugin_names", "reader", "refuse", "take"]
