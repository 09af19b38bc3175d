"""The operators' door to the database, for the command line."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay_tenants import audit
from assay_tenants.context import Actor, acting
from assay_tenants.database import LARGEST_ID, tenant_session
from assay_tenants.errors import BadInput
from assay_tenants.operators.service import NotOpen, get_access

_REFERENCE = re.compile(r"([0-9]{1,18})-([0-9]{1,18})", re.ASCII)


@contextmanager
def operator_session(reference: str) -> Iterator[Session]:
    """One transaction in one tenant's rows, as an access such as ``42-7`` lets an operator have it.

    Raises NotOpen unless the access is open; one that may only look can't write: the database refuses it. That the
    session was opened stands in the tenant's audit log before it begins, whatever becomes of it.
    """
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise BadInput(f"{reference!r} is no access: they look like 42-7.", field="access")
    access = get_access(int(found[1]), min(int(found[2]), LARGEST_ID))
    if access.state != "open":
        raise NotOpen(f"The access {reference} is not open.")
    with acting(Actor("operator", str(access.id), access.operator)):
        with tenant_session(access.tenant_id) as session:
            audit.record(session, access.tenant_id, "operator.session_opened", access.id)
        with tenant_session(access.tenant_id) as session:
            if not access.may_write:
                session.execute(text("SET TRANSACTION READ ONLY"))
            yield session
