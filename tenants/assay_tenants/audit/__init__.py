"""The audit log: who did what, from where, before and after; only ever added to."""

from assay_tenants.audit.recording import record

__all__ = ["record"]
