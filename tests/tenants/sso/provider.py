"""A provider of OpenID Connect that does as it is told: properly, or with whatever a hostile one would send."""

import hmac
import json
import secrets
import threading
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from time import time
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

CLIENT_ID = "assay"
CLIENT_SECRET = "a secret / with + signs"
_RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
KEYS: dict[str, Key] = {
    "RS256": _RSA,
    "PS256": _RSA,
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
    **dict.fromkeys(("EdDSA", "Ed25519"), OKPKey.generate_key("Ed25519", {"kid": "ed"})),
}


@dataclass
class Provider:
    """Where it is, what it says of itself, and how often it was asked."""

    issuer: str = ""
    #: Over what the discovery document would say; None: left out.
    document: dict[str, Any] = field(default_factory=dict)
    published: list[Key] = field(default_factory=lambda: list({key.kid: key for key in KEYS.values()}.values()))
    asked: dict[str, int] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    #: By code: the ID token to answer with, and what the code is bound to.
    codes: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)

    def approve(
        self, address: str, *, algorithm: str = "RS256", key: Key | None = None, **claims: Any
    ) -> dict[str, str]:
        """What the browser is sent back with, after somebody logged in at ``address``. None leaves a claim out."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        now = int(time())
        told = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "subject-1",
            "nonce": asked["nonce"],
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "email_verified": True,
            **claims,
        }
        told = {name: value for name, value in told.items() if value is not None}
        code = secrets.token_urlsafe(16)
        self.codes[code] = (self.signed(told, algorithm, key), asked)
        return {"code": code, "state": asked["state"]}

    def signed(self, claims: dict[str, Any], algorithm: str, key: Key | None) -> str:
        if algorithm in ("none", "HS256"):
            # The last with the provider's public key as if it were a shared secret.
            unsigned = ".".join(
                _base64(json.dumps(part).encode()) for part in ({"alg": algorithm, "kid": "rsa"}, claims)
            )
            made = hmac.digest(_RSA.as_pem(private=False), unsigned.encode(), "sha256")
            return f"{unsigned}.{_base64(made) if algorithm == 'HS256' else ''}"
        key = key or KEYS[algorithm]
        return jwt.encode({"alg": algorithm, "kid": key.kid or "rsa"}, claims, key, algorithms=[algorithm])

    def answer(self, request: Request) -> Response:
        self.asked[request.path] = self.asked.get(request.path, 0) + 1
        if request.path == "/.well-known/openid-configuration":
            return _json(self._described())
        if request.path == "/keys":
            return _json({"keys": [key.as_dict(private=False) for key in self.published]})
        if request.path == "/token":
            return self._redeem(request)
        if request.path == "/userinfo":
            return _json(self.userinfo)
        return Response(status=404)

    def _described(self) -> dict[str, Any]:
        whole = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["RS256"],
            **self.document,
        }
        return {name: value for name, value in whole.items() if value is not None}

    def _redeem(self, request: Request) -> Response:
        kind, _, pair = request.headers.get("Authorization", "").partition(" ")
        client_id, _, secret = b64decode(pair).decode().partition(":") if kind == "Basic" else ("", "", "")
        if (unquote_plus(client_id), unquote_plus(secret)) != (CLIENT_ID, CLIENT_SECRET):
            return _json({"error": "invalid_client", "error_description": "who are you"}, 401)
        token, asked = self.codes.pop(request.form.get("code", ""), ("", {}))
        verifier = request.form.get("code_verifier", "").encode()
        challenge = _base64(sha256(verifier).digest())
        if not token or challenge != asked["code_challenge"] or request.form["redirect_uri"] != asked["redirect_uri"]:
            return _json({"error": "invalid_grant"}, 400)
        return _json({"id_token": token, "access_token": "at", "token_type": "Bearer"})


def forged() -> Key:
    """A key of the provider's name that is not the provider's."""
    return RSAKey.generate_key(2048, {"kid": "rsa"})


@contextmanager
def running() -> Iterator[Provider]:
    provider = Provider()

    @Request.application
    def application(request: Request) -> Response:
        return provider.answer(request)

    server = make_server("127.0.0.1", 0, application, threaded=True)
    provider.issuer = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content), status, content_type="application/json")


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
