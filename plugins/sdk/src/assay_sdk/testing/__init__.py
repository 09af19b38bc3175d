"""For those who write plugins: a stand-in of a vendor to try them against, and an examination that looks for faults.

``Simulator``    a vendor's stand-in: a WSGI application with its logins, lists, limits and faults
``running``      serves one over real HTTP
``LocalVault`` ``LocalNotebook`` ``local_link``  a connection without Assay
``connect``      the whole OAuth dance against a simulator, as a person's browser would do it
``examine``      holds the drills of the examination, and reports; ``Examinable`` is what a simulator may offer to it
"""

from assay_sdk.testing.clock import SetClock
from assay_sdk.testing.examination import Examinable, NotOffered, Report, examine
from assay_sdk.testing.local import LocalNotebook, LocalVault, connect, local_link
from assay_sdk.testing.serving import running
from assay_sdk.testing.simulator import Faults, Posted, Simulator, answer_json, route

__all__ = [
    "Examinable",
    "Faults",
    "LocalNotebook",
    "LocalVault",
    "NotOffered",
    "Posted",
    "Report",
    "SetClock",
    "Simulator",
    "answer_json",
    "connect",
    "examine",
    "local_link",
    "route",
    "running",
]
