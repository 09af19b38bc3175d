"""Refresh tokens: each is used once and leaves a successor; all that came of one authorization end together.

Answers get lost, and programs ask twice at once. So for ten seconds a used token may be shown again and brings the same
successor, as long as that was not used itself. The successor is not stored for that: it is made of the token and of a
salt in its row, and neither is enough alone. Any other second use means that somebody holds a copy: the family ends.
"""

import hmac
import secrets as random
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from assay_tenants import mailing, secrets
from assay_tenants.audit import record
from assay_tenants.cuts import cut
from assay_tenants.database import tenant_session
from assay_tenants.models import Membership
from assay_tenants.oauth import identity
from assay_tenants.oauth.catalogue import AppView
from assay_tenants.oauth.members import role_of
from assay_tenants.oauth.models import Grant, RefreshToken, TokenFamily
from assay_tenants.oauth.scopes import for_role
from assay_tenants.oauth.tokens import LIFETIME, last_death, mint_access_token

PREFIX = "rt"
#: From the authorization on, however often it is refreshed.
LONGEST: Final = timedelta(days=90)
#: Without being refreshed.
IDLE: Final = timedelta(days=30)
#: For this long a used token brings the same successor once more.
GRACE: Final = timedelta(seconds=10)
_LENGTH = 44
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class GrantRefused(Exception):
    """What was shown brings no token; the sentence is for whoever writes the client, in plain ASCII."""


class ScopeRefused(Exception):
    """More was asked for than was granted."""


@dataclass(frozen=True)
class Issued:
    access_token: str = field(repr=False)
    #: Seconds.
    expires_in: int
    scopes: tuple[str, ...]
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)


def start(
    session: Session,
    grant: Grant,
    app: AppView,
    *,
    scopes: Collection[str],
    auth_time: datetime,
    methods: Collection[str],
    nonce: str = "",
) -> tuple[int, Issued]:
    """The first tokens of an authorization, in the transaction that uses it up; the family's id, and the tokens.

    ``methods`` are how the person had proven who they are. Raises GrantRefused when the grant ended meanwhile.
    """
    now = datetime.now(UTC)
    given = _still_given(session, grant, app, scopes)
    refreshing = "refresh_token" in app.grant_types
    family = TokenFamily(
        tenant_id=grant.tenant_id,
        grant_id=grant.id,
        scopes=list(scopes),
        resource=grant.resource,
        auth_time=auth_time,
        methods=list(methods),
        started_at=now,
        ends_at=now + (LONGEST if refreshing else LIFETIME),
    )
    session.add(family)
    session.flush()
    refresh_token = None
    if refreshing:
        refresh_token = secrets.issue(PREFIX, grant.tenant_id)
        _keep(session, family, refresh_token, now)
    grant.last_used_at = now
    issued = _mint(grant, family, app, given, refresh_token)
    id_token = identity.mint_id_token(
        session, grant, scopes=given, auth_time=auth_time, methods=methods, nonce=nonce, access=issued.access_token
    )
    return family.id, Issued(issued.access_token, issued.expires_in, issued.scopes, refresh_token, id_token)


def refresh(token: str, app: AppView, *, wanted: Collection[str] | None) -> Issued:
    """New tokens for a refresh token of this app; ``wanted`` may leave scopes out of the access token.

    Raises GrantRefused, and ScopeRefused for more than was granted. Of uses of one token at the same time, all get the
    same successor.
    """
    parsed = secrets.parse(token)
    if parsed is None or parsed.prefix != PREFIX:
        raise GrantRefused("This is no refresh token of ours.")
    with tenant_session(parsed.tenant_id) as session:
        answer = _refresh(session, parsed.tenant_id, token, parsed.hash, app, wanted)
    if isinstance(answer, str):
        # Raised only here: what it was refused for has to be committed.
        raise GrantRefused(answer)
    return answer


def revoke_token(token: str, client_id: str) -> bool:
    """Ends the family of a refresh token at the wish of its own app; whether there was one."""
    parsed = secrets.parse(token)
    if parsed is None or parsed.prefix != PREFIX:
        return False
    with tenant_session(parsed.tenant_id) as session:
        found = _lock(session, parsed.tenant_id, parsed.hash)
        if found is None or found[1].client_id != client_id:
            return False
        end_family(session, found[0], "grant.tokens_revoked")
    return True


def find_token(token: str, client_id: str) -> tuple[Grant, TokenFamily, datetime] | None:
    """The grant and family of a refresh token that can still be used, and until when; None for any other."""
    parsed = secrets.parse(token)
    if parsed is None or parsed.prefix != PREFIX:
        return None
    now = datetime.now(UTC)
    with tenant_session(parsed.tenant_id) as session:
        row = session.execute(
            select(Grant, TokenFamily, RefreshToken.expires_at)
            .join(TokenFamily, (TokenFamily.tenant_id == Grant.tenant_id) & (TokenFamily.grant_id == Grant.id))
            .join(
                RefreshToken,
                (RefreshToken.tenant_id == TokenFamily.tenant_id) & (RefreshToken.family_id == TokenFamily.id),
            )
            .where(
                Grant.tenant_id == parsed.tenant_id,
                Grant.client_id == client_id,
                Grant.revoked_at.is_(None),
                TokenFamily.revoked_at.is_(None),
                RefreshToken.token_hash == parsed.hash,
                RefreshToken.used_at.is_(None),
                RefreshToken.expires_at > now,
            )
        ).one_or_none()
        if row is None or role_of(session, parsed.tenant_id, row[0].person_id) is None:
            return None
    return row[0], row[1], row[2]


def end_family(session: Session, family: TokenFamily, action: str) -> None:
    """No token of it is good from now on. ``action`` is what the audit log says."""
    if family.revoked_at is not None:
        return
    now = datetime.now(UTC)
    family.revoked_at = now
    cut(session, family.tenant_id, f"family:{family.id}", last_death(now))
    record(session, family.tenant_id, action, family.grant_id, after={"family": family.id})


def _refresh(
    session: Session, tenant_id: int, token: str, token_hash: bytes, app: AppView, wanted: Collection[str] | None
) -> Issued | str:
    """The new tokens, or why there are none."""
    found = _lock(session, tenant_id, token_hash)
    if found is None or found[1].client_id != app.client_id:
        return "This refresh token is unknown, has expired, or belongs to another client."
    family, grant = found
    # Read only once the family is locked: who waited must see what the other left behind.
    row = session.scalars(
        select(RefreshToken).where(RefreshToken.tenant_id == tenant_id, RefreshToken.token_hash == token_hash)
    ).one()
    now = datetime.now(UTC)
    if family.revoked_at is not None or grant.revoked_at is not None:
        return "This authorization was revoked."
    if wanted is not None and not set(wanted) <= set(family.scopes):
        raise ScopeRefused
    successor = _successor(tenant_id, token, row.salt)
    if row.used_at is not None and not _may_repeat(session, tenant_id, row.used_at, successor, now):
        end_family(session, family, "grant.token_reused")
        _tell_of_reuse(session, grant, app)
        return "This refresh token was used before. All tokens of its authorization are revoked."
    if row.expires_at <= now:
        return "This refresh token has expired."
    try:
        given = _still_given(session, grant, app, family.scopes)
    except GrantRefused as refused:
        return str(refused)
    if row.used_at is None:
        row.used_at = now
        _keep(session, family, successor, now)
    grant.last_used_at = now
    return _mint(grant, family, app, given if wanted is None else [one for one in given if one in wanted], successor)


def _lock(session: Session, tenant_id: int, token_hash: bytes) -> tuple[TokenFamily, Grant] | None:
    family_id = session.scalars(
        select(RefreshToken.family_id).where(RefreshToken.tenant_id == tenant_id, RefreshToken.token_hash == token_hash)
    ).one_or_none()
    if family_id is None:
        return None
    family = session.scalars(
        select(TokenFamily).where(TokenFamily.tenant_id == tenant_id, TokenFamily.id == family_id).with_for_update()
    ).one_or_none()
    if family is None:
        return None
    grant = session.scalars(select(Grant).where(Grant.tenant_id == tenant_id, Grant.id == family.grant_id)).one()
    return family, grant


def _may_repeat(session: Session, tenant_id: int, used_at: datetime, successor: str, now: datetime) -> bool:
    if now - used_at > GRACE:
        return False
    unused = session.scalars(
        select(RefreshToken.used_at.is_(None)).where(
            RefreshToken.tenant_id == tenant_id, RefreshToken.token_hash == secrets.digest(successor)
        )
    ).one_or_none()
    return bool(unused)


def _still_given(session: Session, grant: Grant, app: AppView, scopes: Collection[str]) -> list[str]:
    """Of ``scopes``, what app, grant and the person's role have at this moment."""
    if grant.revoked_at is not None:
        raise GrantRefused("This authorization was revoked.")
    role = role_of(session, grant.tenant_id, grant.person_id)
    if role is None:
        raise GrantRefused("Whoever gave this authorization is no member any more.")
    given = for_role(role, [one for one in scopes if one in app.scopes and one in grant.scopes])
    if not given:
        raise GrantRefused("Nothing is left of what was granted.")
    return given


def _keep(session: Session, family: TokenFamily, token: str, now: datetime) -> None:
    session.execute(
        insert(RefreshToken).values(
            tenant_id=family.tenant_id,
            token_hash=secrets.digest(token),
            family_id=family.id,
            salt=random.token_bytes(32),
            created_at=now,
            expires_at=min(now + IDLE, family.ends_at),
        )
    )


def _successor(tenant_id: int, token: str, salt: bytes) -> str:
    """262 bits that nobody can tell who has not both; the same each time."""
    number = int.from_bytes(hmac.digest(salt, token.encode(), "sha512"))
    letters = []
    for _ in range(_LENGTH):
        number, place = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[place])
    return f"{PREFIX}_{tenant_id:x}_{''.join(letters)}"


def _mint(
    grant: Grant, family: TokenFamily, app: AppView, scopes: Collection[str], refresh_token: str | None
) -> Issued:
    minted = mint_access_token(
        tenant_id=grant.tenant_id,
        client_id=app.client_id,
        app_name=app.name,
        scopes=scopes,
        audience=family.resource,
        person_id=grant.person_id,
        grant_id=grant.id,
        family_id=family.id,
        auth_time=family.auth_time,
    )
    return Issued(minted.token, minted.expires_in, tuple(scopes), refresh_token)


def _tell_of_reuse(session: Session, grant: Grant, app: AppView) -> None:
    to = session.scalars(
        select(Membership.email).where(Membership.tenant_id == grant.tenant_id, Membership.person_id == grant.person_id)
    ).one_or_none()
    if to is None:
        return
    mailing.send(
        session,
        to=to,
        subject=f"{app.name} was disconnected from Assay",
        text=f"A token that {mailing.quoted(app.name)} stays connected by was used twice, so somebody may hold a copy "
        "of it. We have revoked all tokens of that authorization.\n\nIf you still use it, connect it again. If this "
        "happens once more, ask its maker.\n",
        tenant_id=grant.tenant_id,
    )
