"""Which identifiers belong to somebody who was erased: asked by their keyed hashes, the identifiers are not kept."""

import hmac
import secrets
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import any_, delete, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, insert
from sqlalchemy.orm import Session

from assay.profiles.erasing.models import KEY_PURPOSE, Erasure, ErasureKey, Tombstone
from assay.profiles.matching import Key
from assay_tenants import sealing

_KEY_BYTES = 32
# Hashes in one question.
_PART = 10_000
_ANY = text("SELECT EXISTS (SELECT FROM profiles.tombstones WHERE tenant_id = :tenant_id)")


def are_any(session: Session, tenant_id: int) -> bool:
    """Asked of each batch; most tenants have none. To be right it is asked after ``knowing.learn``."""
    return bool(session.execute(_ANY, {"tenant_id": tenant_id}).scalar_one())


def find(session: Session, tenant_id: int, keys: Iterable[Key]) -> dict[Key, int]:
    """Of these identifiers those that were erased, each with its erasure."""
    secret = _key(session, tenant_id)
    if secret is None:
        return {}
    digests = {digest(secret, key): key for key in keys}
    found: dict[Key, int] = {}
    asked = list(digests)
    for start in range(0, len(asked), _PART):
        part = literal(asked[start : start + _PART], ARRAY(BYTEA))
        rows = session.execute(
            select(Tombstone.digest, Tombstone.erasure_id).where(
                Tombstone.tenant_id == tenant_id, Tombstone.digest == any_(part)
            )
        )
        found.update({digests[row.digest]: row.erasure_id for row in rows})
    return found


def put(session: Session, tenant_id: int, erasure_id: int, keys: Collection[Key]) -> bytes:
    """From the commit on these are turned away; gives a hash of all of them together."""
    secret = _key(session, tenant_id) or _drawn(session, tenant_id)
    digests = {digest(secret, key): key[0] for key in keys}
    rows = [
        {"tenant_id": tenant_id, "digest": each, "kind": kind, "erasure_id": erasure_id}
        for each, kind in sorted(digests.items())
    ]
    if rows:
        statement = insert(Tombstone)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant_id", "digest"], set_={"erasure_id": statement.excluded.erasure_id}
            ),
            rows,
        )
    return hmac.digest(secret, b"".join(sorted(digests)), "sha256")


def lift(session: Session, tenant_id: int, erasure_id: int) -> int:
    """What names this person is taken in again; tells how many hashes went."""
    gone = session.scalars(
        delete(Tombstone)
        .where(Tombstone.tenant_id == tenant_id, Tombstone.erasure_id == erasure_id)
        .returning(Tombstone.kind)
    ).all()
    return len(gone)


def count_turned_away(session: Session, tenant_id: int, numbers: Mapping[int, int]) -> None:
    """By erasure."""
    for erasure_id, number in sorted(numbers.items()):
        session.execute(
            update(Erasure)
            .where(Erasure.tenant_id == tenant_id, Erasure.id == erasure_id)
            .values(turned_away=Erasure.turned_away + number)
        )


def count(session: Session, tenant_id: int) -> int:
    query = select(func.count()).select_from(Tombstone).where(Tombstone.tenant_id == tenant_id)
    return session.execute(query).scalar_one()


def digest(secret: bytes, key: Key) -> bytes:
    kind, value = key
    return hmac.digest(secret, f"{kind}\0{value}".encode(errors="surrogatepass"), "sha256")


def _key(session: Session, tenant_id: int) -> bytes | None:
    sealed = session.scalars(select(ErasureKey.sealed).where(ErasureKey.tenant_id == tenant_id)).one_or_none()
    return None if sealed is None else sealing.unseal(tenant_id, KEY_PURPOSE, sealed)


def _drawn(session: Session, tenant_id: int) -> bytes:
    sealed = sealing.seal(tenant_id, KEY_PURPOSE, secrets.token_bytes(_KEY_BYTES))
    statement = insert(ErasureKey).values(tenant_id=tenant_id, id=1, sealed=sealed)
    session.execute(statement.on_conflict_do_nothing(index_elements=["tenant_id", "id"]))
    secret = _key(session, tenant_id)
    assert secret is not None  # noqa: S101 # it is there now, drawn by us or by somebody faster
    return secret
