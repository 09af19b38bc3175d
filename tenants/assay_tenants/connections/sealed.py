"""Credentials between a JSON object and what the database keeps."""

import json
from collections.abc import Mapping
from typing import Any

from assay_tenants import sealing
from assay_tenants.connections.models import PURPOSE
from assay_tenants.errors import BadInput

LARGEST = 64_000


def sealed_for(tenant_id: int, connection_id: int, credentials: Mapping[str, Any]) -> bytes:
    plain = json.dumps(dict(credentials), ensure_ascii=False, allow_nan=False).encode()
    if not credentials or len(plain) > LARGEST:
        raise BadInput(f"Credentials are needed, of at most {LARGEST:,} bytes.", field="credentials")
    return sealing.seal(tenant_id, PURPOSE, plain, row=connection_id)


def opened(tenant_id: int, connection_id: int, sealed: bytes) -> dict[str, Any]:
    """Raises SealingError when the key is missing or the bytes are another row's."""
    values: dict[str, Any] = json.loads(sealing.unseal(tenant_id, PURPOSE, sealed, row=connection_id))
    return values
