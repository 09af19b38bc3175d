"""The keys that a provider signs with: kept for an hour in each process, fetched anew when one is unknown."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key

from assay_tenants.sso.discovery import fetch_document
from assay_tenants.sso.errors import BadProvider, ProviderAway

KEPT_SECONDS = 3600.0
#: Unknown key ids make us fetch at most this often: whoever invents them must not make us knock at the provider's door.
PAUSE_SECONDS = 30.0
_MOST_PROVIDERS = 500
_MOST_KEYS = 50
_TYPE_OF: Final = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP", "Ed25519": "OKP"}
_CURVE_OF: Final = {"ES256": "P-256", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}
#: RFC 9864 gave one algorithm a second name.
_NAMES: Final = dict.fromkeys(("EdDSA", "Ed25519"), ("EdDSA", "Ed25519"))
_LEAST_RSA_BITS = 2048


@dataclass(frozen=True)
class _Kept:
    keys: tuple[Key, ...]
    fetched_at: float


_kept: OrderedDict[tuple[int, str], _Kept] = OrderedDict()
_lock = Lock()


def signing_keys(tenant_id: int, url: str, *, algorithm: str, key_id: str | None) -> list[Key]:
    """The provider's keys that can have made such a signature; raises ProviderAway when they can't be fetched."""
    kept = _get(tenant_id, url)
    age = monotonic() - kept.fetched_at if kept else float("inf")
    found = _fitting(kept.keys, algorithm, key_id) if kept else []
    if kept and age < KEPT_SECONDS and (found or age < PAUSE_SECONDS):
        return found
    try:
        fetched = fetch_keys(url)
    except BadProvider as bad:
        # What was good an hour ago is, while the provider can't be asked.
        if found:
            return found
        raise ProviderAway(f"Your company's login service can't be asked for its keys at this moment: {bad}") from bad
    _keep(tenant_id, url, fetched)
    return _fitting(fetched, algorithm, key_id)


def fetch_keys(url: str) -> tuple[Key, ...]:
    """The public keys at ``url`` that could sign; raises BadProvider when there is none."""
    listed = fetch_document(url, "The key set").get("keys")
    keys = [key for one in (listed if isinstance(listed, list) else [])[:_MOST_KEYS] if (key := _read(one))]
    if not keys:
        raise BadProvider(f"The key set at {url} holds no key that we can check a signature with.", field="issuer")
    return tuple(keys)


def _read(one: Any) -> Key | None:
    if not isinstance(one, dict) or one.get("kty") not in _TYPE_OF.values() or one.get("use", "sig") != "sig":
        return None
    try:
        key = JWKRegistry.import_key(one)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    public = key.public_key
    return None if isinstance(public, RSAPublicKey) and public.key_size < _LEAST_RSA_BITS else key


def _fitting(keys: tuple[Key, ...], algorithm: str, key_id: str | None) -> list[Key]:
    return [
        key
        for key in keys
        if key.key_type == _TYPE_OF[algorithm]
        and key.get("alg", algorithm) in _NAMES.get(algorithm, (algorithm,))
        and (algorithm not in _CURVE_OF or key.get("crv") == _CURVE_OF[algorithm])
        and (key_id is None or key.get("kid") == key_id)
    ]


def _get(tenant_id: int, url: str) -> _Kept | None:
    with _lock:
        return _kept.get((tenant_id, url))


def _keep(tenant_id: int, url: str, keys: tuple[Key, ...]) -> None:
    with _lock:
        _kept[tenant_id, url] = _Kept(keys, monotonic())
        _kept.move_to_end((tenant_id, url))
        while len(_kept) > _MOST_PROVIDERS:
            _kept.popitem(last=False)


def forget(tenant_id: int) -> None:
    """After the tenant's provider was changed."""
    with _lock:
        for known in [key for key in _kept if key[0] == tenant_id]:
            del _kept[known]
