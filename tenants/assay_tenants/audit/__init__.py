"""The audit log: who did what, from where, before and after; only ever added to."""

from assay_tenants.audit.bounding import LONGEST
from assay_tenants.audit.recording import lock, record

__all__ = ["LONGEST", "lock", "record"]
