"""Devices without a browser (RFC 8628): they show a code, and somebody types it where they are logged in."""

import re
import secrets as random
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from assay_tenants import secrets
from assay_tenants.database import directory_session, enter_tenant
from assay_tenants.errors import NotFound
from assay_tenants.oauth import families
from assay_tenants.oauth.catalogue import AppView
from assay_tenants.oauth.families import GrantRefused, Issued
from assay_tenants.oauth.issuer import issuer
from assay_tenants.oauth.models import DeviceCode, Grant

PREFIX = "dc"
LIFETIME: Final = timedelta(minutes=10)
#: Seconds between two questions at first, and what is added for each that came too early.
PAUSE: Final = 5
_LONGEST_PAUSE = 60
#: Neither vowels nor what looks like a digit: no words, easily told apart, typed without changing the keyboard.
ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH = 8

Outcome = Literal["authorization_pending", "slow_down", "access_denied", "expired_token", "invalid_grant"]


@dataclass(frozen=True)
class Started:
    device_code: str = field(repr=False)
    #: As it is shown: ``BCDF-GHJK``.
    user_code: str = field(repr=False)
    #: Seconds.
    expires_in: int
    interval: int


@dataclass(frozen=True)
class Waiting:
    """A device that somebody may let in."""

    client_id: str
    scopes: tuple[str, ...]
    #: Of the network that it asked from.
    address: str
    created_at: datetime


def start(app: AppView, *, scopes: Collection[str], address: str) -> Started:
    device_code = secrets.issue(PREFIX, app.tenant_id)
    now = datetime.now(UTC)
    with directory_session() as session:
        while True:
            user_code = "".join(random.choice(ALPHABET) for _ in range(_LENGTH))
            made = session.execute(
                postgresql.insert(DeviceCode)
                .values(
                    device_hash=secrets.digest(device_code),
                    user_code_hash=secrets.digest(user_code),
                    client_id=app.client_id,
                    app_tenant_id=app.tenant_id,
                    scopes=list(scopes),
                    resource=issuer().api,
                    address=address,
                    created_at=now,
                    expires_at=now + LIFETIME,
                    pause=PAUSE,
                    state="waiting",
                )
                .on_conflict_do_nothing(index_elements=[DeviceCode.user_code_hash])
                .returning(DeviceCode.device_hash)
            ).one_or_none()
            if made:
                break
    return Started(device_code, shown(user_code), int(LIFETIME.total_seconds()), PAUSE)


def find_waiting(user_code: str) -> Waiting:
    """Which device shows this code, however it was typed. Raises NotFound for one that is unknown, past or used."""
    with directory_session() as session:
        row = session.scalars(
            select(DeviceCode).where(
                DeviceCode.user_code_hash == _hash(user_code),
                DeviceCode.state == "waiting",
                DeviceCode.expires_at > datetime.now(UTC),
            )
        ).one_or_none()
    if row is None:
        raise NotFound("code on a device that waits; it may have expired")
    return Waiting(row.client_id, tuple(row.scopes), row.address, row.created_at)


def let_in(
    user_code: str,
    *,
    tenant_id: int,
    grant_id: int,
    scopes: Collection[str],
    auth_time: datetime,
    methods: Collection[str],
) -> None:
    """The device that shows this code gets its tokens when it asks next. Raises NotFound when it waits no more."""
    _decide(
        user_code,
        state="approved",
        granted_tenant_id=tenant_id,
        grant_id=grant_id,
        scopes=list(scopes),
        auth_time=auth_time,
        methods=list(methods),
    )


def turn_away(user_code: str) -> None:
    """The device is told no when it asks next. Raises NotFound when it waits no more."""
    _decide(user_code, state="denied")


def ask(device_code: str, app: AppView) -> Issued | Outcome:
    """What a device that asks again is to hear: its tokens, once, or one of RFC 8628's words."""
    parsed = secrets.parse(device_code)
    if parsed is None or parsed.prefix != PREFIX:
        return "invalid_grant"
    with directory_session() as session:
        row = session.scalars(
            select(DeviceCode)
            .where(DeviceCode.device_hash == parsed.hash, DeviceCode.client_id == app.client_id)
            .with_for_update()
        ).one_or_none()
        if row is None or row.state == "used":
            return "invalid_grant"
        now = datetime.now(UTC)
        if row.expires_at <= now:
            return "expired_token"
        if row.state == "denied":
            return "access_denied"
        early = row.polled_at is not None and now - row.polled_at < timedelta(seconds=row.pause)
        row.polled_at = now
        if early:
            row.pause = min(row.pause + PAUSE, _LONGEST_PAUSE)
            return "slow_down"
        if row.state == "waiting":
            return "authorization_pending"
        return _redeem(session, row, app)


def _redeem(session: Session, row: DeviceCode, app: AppView) -> Issued | Outcome:
    row.state = "used"
    session.flush()
    tenant_id, auth_time = row.granted_tenant_id, row.auth_time
    if tenant_id is None or auth_time is None:
        return "invalid_grant"
    enter_tenant(session, tenant_id)
    grant = session.scalars(select(Grant).where(Grant.tenant_id == tenant_id, Grant.id == row.grant_id)).one_or_none()
    if grant is None:
        return "invalid_grant"
    try:
        _, issued = families.start(
            session, grant, app, scopes=row.scopes, auth_time=auth_time, methods=row.methods or ()
        )
    except GrantRefused:
        return "access_denied"
    return issued


def _decide(user_code: str, **values: object) -> None:
    with directory_session() as session:
        decided = session.execute(
            update(DeviceCode)
            .where(
                DeviceCode.user_code_hash == _hash(user_code),
                DeviceCode.state == "waiting",
                DeviceCode.expires_at > datetime.now(UTC),
            )
            .values(**values)
            .returning(DeviceCode.device_hash)
        ).one_or_none()
    if decided is None:
        raise NotFound("code on a device that waits; it may have expired")


def shown(user_code: str) -> str:
    """As the device shows it, however it was typed."""
    letters = _letters(user_code)
    return f"{letters[:4]}-{letters[4:]}"


def _letters(user_code: str) -> str:
    return re.sub(r"[^A-Z]", "", user_code.upper())[:_LENGTH]


def _hash(user_code: str) -> bytes:
    return secrets.digest(_letters(user_code))
