"""A stand-in of Intercom, to try Assay against: workspaces, their lists, and notifications."""

from assay_intercom.simulator.server import IntercomSimulator
from assay_intercom.simulator.workspaces import Workspace

__all__ = ["IntercomSimulator", "Workspace"]
