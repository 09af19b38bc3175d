"""Tenants connect their accounts at other services, and see how the connections fare.

``begin`` ``finish`` ``complete``                  to the vendor and back
``change`` ``disconnect`` ``show_address``         what people do with a connection
``reload`` ``change_push``                         have it work otherwise
``overview`` ``list_overviews`` ``list_dead``      how it fares
"""

from assay.connecting.overviews import CONDITIONS, PHASES, Overview, list_overviews, overview
from assay.connecting.queries import DeadPage, list_dead, list_ended
from assay.connecting.service import (
    Begun,
    begin,
    change,
    change_push,
    complete,
    disconnect,
    finish,
    reload,
    show_address,
)

__all__ = [
    "CONDITIONS",
    "PHASES",
    "Begun",
    "DeadPage",
    "Overview",
    "begin",
    "change",
    "change_push",
    "complete",
    "disconnect",
    "finish",
    "list_dead",
    "list_ended",
    "list_overviews",
    "overview",
    "reload",
    "show_address",
]
