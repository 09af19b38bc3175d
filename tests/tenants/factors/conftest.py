"""Somebody with an authenticator app, and an authenticator that makes passkeys of its own."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cbor2
import pyotp
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from assay_tenants import access
from assay_tenants.access.service import SignedUp
from assay_tenants.database import directory_session
from assay_tenants.factors import Site, passkeys, totp
from assay_tenants.mailing.models import Mail
from assay_tenants.models import Person

SITE = Site("https://assay.example.test", "assay.example.test")
PRESENT, VERIFIED, NEW_CREDENTIAL = 0x01, 0x04, 0x40


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


@dataclass
class Authenticator:
    """What a browser and a device do together, with every part of it open to be wrong."""

    site: Site = SITE
    counter: int = 1
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    handle: bytes = b""

    def registers(self, options: dict[str, Any], **wrong: Any) -> str:
        self.handle = decoded(options["user"]["id"])
        public = self.key.public_key().public_numbers()
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32, "big"), -3: public.y.to_bytes(32, "big")})
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cose
        data = self._data(PRESENT | VERIFIED | NEW_CREDENTIAL, self.counter, wrong) + attested
        response = {
            "clientDataJSON": encoded(self._client_data("webauthn.create", options, wrong)),
            "attestationObject": encoded(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            "transports": ["internal"],
        }
        return self._answer(response)

    def signs(self, options: dict[str, Any], **wrong: Any) -> str:
        self.counter = wrong.pop("counter", self.counter + 1)
        data = self._data(wrong.pop("flags", PRESENT | VERIFIED), self.counter, wrong)
        client_data = self._client_data("webauthn.get", options, wrong)
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        handle = wrong.pop("handle", self.handle)
        response = {
            "clientDataJSON": encoded(client_data),
            "authenticatorData": encoded(data),
            "signature": encoded(wrong.pop("signature", signature)),
            "userHandle": encoded(handle) if handle else None,
        }
        assert not wrong, wrong
        return self._answer(response)

    def _data(self, flags: int, counter: int, wrong: dict[str, Any]) -> bytes:
        rp_id = wrong.pop("rp_id", self.site.rp_id)
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + counter.to_bytes(4, "big")

    def _client_data(self, kind: str, options: dict[str, Any], wrong: dict[str, Any]) -> bytes:
        challenge, origin = wrong.pop("challenge", options["challenge"]), wrong.pop("origin", self.site.origin)
        return json.dumps({"type": kind, "challenge": challenge, "origin": origin}).encode()

    def _answer(self, response: dict[str, Any]) -> str:
        return json.dumps(
            {"id": encoded(self.id), "rawId": encoded(self.id), "type": "public-key", "response": response}
        )


@dataclass
class Somebody:
    person_id: int
    tenant_id: int
    email: str
    token: str

    def adds_app(self) -> pyotp.TOTP:
        totp.start(self.person_id)
        enrolment = totp.enrolment(self.person_id)
        assert enrolment is not None
        app = pyotp.TOTP(enrolment.secret)
        totp.confirm(self.person_id, app.now(), token=self.token)
        return app

    def adds_passkey(self, name: str = "My phone") -> Authenticator:
        device = Authenticator()
        answer = device.registers(passkeys.ask_to_register(self.person_id, SITE))
        passkeys.register(self.person_id, answer=answer, name=name, site=SITE, token=self.token)
        return device

    def is_asked(self) -> dict[str, Any]:
        return passkeys.ask("second_step", SITE, bound_to=passkeys.of_person(self.person_id), person_id=self.person_id)

    def mails(self) -> list[str]:
        with directory_session() as session:
            return list(session.scalars(select(Mail.subject).where(Mail.recipient == self.email).order_by(Mail.id)))


@pytest.fixture
def make_somebody(make_tenant: Callable[[], SignedUp]) -> Callable[[], Somebody]:
    def make() -> Somebody:
        new = make_tenant()
        with directory_session() as session:
            email = session.scalars(select(Person.email).where(Person.id == new.person_id)).one()
        token = access.open_session(new.person_id, proven_by=("password",))
        return Somebody(new.person_id, new.tenant_id, email, token)

    return make


@pytest.fixture
def somebody(make_somebody: Callable[[], Somebody]) -> Somebody:
    return make_somebody()


@pytest.fixture
def other(make_somebody: Callable[[], Somebody]) -> Somebody:
    return make_somebody()


@pytest.fixture
def make_device() -> Callable[[], Authenticator]:
    return Authenticator


@pytest.fixture
def site() -> Site:
    return SITE
