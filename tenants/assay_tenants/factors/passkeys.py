"""Passkeys (WebAuthn): beside the password, or alone where the device made sure who holds it."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import parse_authentication_credential_json, parse_registration_credential_json
from webauthn.helpers.options_to_json_dict import options_to_json_dict
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from assay_tenants.database import directory_session
from assay_tenants.errors import BadInput, Conflict, NotFound
from assay_tenants.factors import challenges, firsts
from assay_tenants.factors.errors import WrongFactor
from assay_tenants.factors.models import Passkey, Purpose
from assay_tenants.factors.queries import lock_person, person_of
from assay_tenants.factors.sites import Site
from assay_tenants.factors.telling import note, tell
from assay_tenants.mailing import quoted

NAME_LENGTH = range(1, 81)
MOST = 20
#: Bytes of what a browser may answer; certificates of a maker take a few thousand.
LARGEST_ANSWER = 20_000
_HANDLE_BYTES = 32
_TIMEOUT_MS = int(challenges.LIFETIME.total_seconds() * 1000)

T = TypeVar("T")
Options = dict[str, Any]


@dataclass(frozen=True)
class Holder:
    """Who has proven a passkey, and whether the device made sure that it is its owner who holds it."""

    person_id: int
    passkey_id: int
    verified: bool


def ask_to_register(person_id: int, site: Site) -> Options:
    """What the browser needs to make a passkey; raises Conflict when there are too many."""
    with directory_session() as session:
        person = lock_person(session, person_id)
        firsts.refuse_unverified(person)
        held = _held(session, person_id)
        _refuse_beyond(len(held))
    handle = held[0].user_handle if held else secrets.token_bytes(_HANDLE_BYTES)
    return options_to_json_dict(
        generate_registration_options(
            rp_id=site.rp_id,
            rp_name="Assay",
            user_id=handle,
            user_name=person.email,
            user_display_name=person.name,
            challenge=challenges.make("register", bound_to=of_person(person_id), user_handle=handle),
            timeout=_TIMEOUT_MS,
            exclude_credentials=_described(held, site),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
            ),
        )
    )


def register(person_id: int, *, answer: str, name: str, site: Site, token: str) -> tuple[str, ...]:
    """Keeps the passkey. Returns recovery codes to be shown once, none when there were some before.

    ``token`` is the session's in which this happens: with a first factor the person's other sessions end.
    """
    name = _named(name)
    credential = _read(parse_registration_credential_json, answer)
    taken = challenges.take(credential.response.client_data_json, "register", bound_to=of_person(person_id))
    made = _checked(
        lambda: verify_registration_response(
            credential=credential,
            expected_challenge=taken.challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
        )
    )
    now = datetime.now(UTC)
    try:
        with directory_session() as session:
            person = lock_person(session, person_id)
            held = _held(session, person_id)
            _refuse_beyond(len(held))
            codes = firsts.welcome(session, person, token)
            session.execute(
                insert(Passkey).values(
                    person_id=person_id,
                    credential_id=made.credential_id,
                    public_key=made.credential_public_key,
                    user_handle=taken.user_handle,
                    rp_id=site.rp_id,
                    name=name,
                    sign_count=made.sign_count,
                    transports=[each.value for each in credential.response.transports or []],
                    synced=made.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
                    created_at=now,
                )
            )
            sentence = f"The passkey {quoted(name)} was added to your login to Assay."
            tell(session, person, "second_factor.added", sentence, after={"kind": "passkey", "name": name})
    except IntegrityError as error:
        raise Conflict("This passkey is registered already.", field="name") from error
    return codes


def ask(purpose: Purpose, site: Site, *, bound_to: str, person_id: int | None = None) -> Options:
    """What the browser needs to use a passkey: one of this person's, or with None whichever its owner chooses."""
    held: list[Passkey] = []
    if person_id is not None:
        with directory_session() as session:
            held = _held(session, person_id)
    alone = person_id is None
    return options_to_json_dict(
        generate_authentication_options(
            rp_id=site.rp_id,
            challenge=challenges.make(purpose, bound_to=bound_to),
            timeout=_TIMEOUT_MS,
            allow_credentials=_described(held, site),
            user_verification=(
                UserVerificationRequirement.REQUIRED if alone else UserVerificationRequirement.PREFERRED
            ),
        )
    )


def prove(person_id: int, *, answer: str, site: Site) -> None:
    """Beside a password; raises WrongFactor unless a passkey of this very person signed."""
    _prove(answer, "second_step", site, bound_to=of_person(person_id), person_id=person_id)


def find_holder(*, answer: str, site: Site, browser: str) -> Holder:
    """Instead of a password: raises WrongFactor unless a passkey signed whose device made sure who holds it."""
    return _prove(answer, "log_in", site, bound_to=of_browser(browser), person_id=None)


def rename(person_id: int, passkey_id: int, name: str) -> None:
    with directory_session() as session:
        person = lock_person(session, person_id)
        passkey = _own(session, person_id, passkey_id)
        before, passkey.name = passkey.name, _named(name)
        note(
            session,
            person,
            "second_factor.renamed",
            before={"kind": "passkey", "name": before},
            after={"kind": "passkey", "name": passkey.name},
        )


def remove(person_id: int, passkey_id: int) -> None:
    """Raises Conflict for the last factor of somebody whose company asks for one."""
    with directory_session() as session:
        person = lock_person(session, person_id)
        name = _own(session, person_id, passkey_id).name
        session.execute(delete(Passkey).where(Passkey.person_id == person_id, Passkey.id == passkey_id))
        firsts.part(session, person)
        sentence = f"The passkey {quoted(name)} was removed from your login to Assay."
        tell(session, person, "second_factor.removed", sentence, before={"kind": "passkey", "name": name})


def of_person(person_id: int) -> str:
    return f"person:{person_id}"


def of_browser(browser: str) -> str:
    return f"browser:{browser}"


def _prove(answer: str, purpose: Purpose, site: Site, *, bound_to: str, person_id: int | None) -> Holder:
    credential = _read(parse_authentication_credential_json, answer)
    taken = challenges.take(credential.response.client_data_json, purpose, bound_to=bound_to)
    with directory_session() as session:
        passkey = _signer(session, credential, site, person_id)
        alone = person_id is None
        proof = _checked(
            lambda: verify_authentication_response(
                credential=credential,
                expected_challenge=taken.challenge,
                expected_rp_id=site.rp_id,
                expected_origin=site.origin,
                credential_public_key=passkey.public_key,
                # The counter is looked at below: one that went back is to be told, and not just refused.
                credential_current_sign_count=0,
                require_user_verification=alone,
            )
        )
        copied = _went_back(passkey.sign_count, proof.new_sign_count)
        if copied:
            _lock_copy(session, passkey)
        else:
            passkey.sign_count = proof.new_sign_count
            passkey.last_used_at = datetime.now(UTC)
    if copied:
        raise WrongFactor(_COPIED, field="credential")
    return Holder(passkey.person_id, passkey.id, proof.user_verified)


_NOT_KNOWN = "This passkey is not registered here, or it was removed. Prove it is you in another way."
_COPIED = (
    "There seem to be two copies of this passkey, so it opens nothing any more. Prove it is you in another way, "
    "remove it and register another."
)


def _signer(session: Session, credential: AuthenticationCredential, site: Site, person_id: int | None) -> Passkey:
    """Locked, so that of two answers with the same counter one is seen to be a copy."""
    wanted = select(Passkey).where(Passkey.credential_id == credential.raw_id, Passkey.rp_id == site.rp_id)
    if person_id is not None:
        wanted = wanted.where(Passkey.person_id == person_id)
    passkey = session.scalars(wanted.with_for_update()).one_or_none()
    handle = credential.response.user_handle
    if passkey is None or (not handle and person_id is None) or (handle and handle != passkey.user_handle):
        raise WrongFactor(_NOT_KNOWN, field="credential")
    if passkey.copied_at is not None:
        raise WrongFactor(_COPIED, field="credential")
    return passkey


def _went_back(known: int, told: int) -> bool:
    # Authenticators without a counter say 0 for ever.
    return (known > 0 or told > 0) and told <= known


def _lock_copy(session: Session, passkey: Passkey) -> None:
    passkey.copied_at = datetime.now(UTC)
    tell(
        session,
        person_of(session, passkey.person_id),
        "second_factor.copied",
        f"There seem to be two copies of your passkey {quoted(passkey.name)}, so it does not log you in any more.",
        after={"kind": "passkey", "name": passkey.name},
    )


def _held(session: Session, person_id: int) -> list[Passkey]:
    return list(session.scalars(select(Passkey).where(Passkey.person_id == person_id).order_by(Passkey.id)))


def _own(session: Session, person_id: int, passkey_id: int) -> Passkey:
    passkey = session.scalars(
        select(Passkey).where(Passkey.person_id == person_id, Passkey.id == passkey_id)
    ).one_or_none()
    if passkey is None:
        raise NotFound("passkey")
    return passkey


def _described(held: list[Passkey], site: Site) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=each.credential_id, transports=[AuthenticatorTransport(way) for way in each.transports] or None
        )
        for each in held
        if each.rp_id == site.rp_id
    ]


def _refuse_beyond(count: int) -> None:
    if count >= MOST:
        raise Conflict(f"There are {count} passkeys already, which is as many as one person can have. Remove one.")


def _named(name: str) -> str:
    name = " ".join(name.split())
    if len(name) not in NAME_LENGTH or not name.isprintable():
        raise BadInput(
            f"A passkey needs a name of {NAME_LENGTH.start} to {NAME_LENGTH.stop - 1} letters, such as My phone.",
            field="name",
        )
    return name


def _read(parse: Callable[[str], T], answer: str) -> T:
    if len(answer) > LARGEST_ANSWER:
        raise WrongFactor("The browser's answer is too long.", field="credential")
    return _checked(lambda: parse(answer))


def _checked(check: Callable[[], T]) -> T:
    """The library raises whatever it stumbles over in an answer that somebody has made up."""
    try:
        return check()
    except Exception as error:  # see above; nothing of ours runs inside
        raise WrongFactor(
            "The passkey could not be checked. Try again, or prove it is you in another way.", field="credential"
        ) from error
