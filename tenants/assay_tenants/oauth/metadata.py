"""What we say of ourselves: RFC 8414 and OpenID discovery, RFC 9728 for the API."""

from typing import Any

from assay_tenants.oauth import identity, signing
from assay_tenants.oauth.apps import GRANT_TYPES
from assay_tenants.oauth.clients import ASSERTION_ALGORITHMS, METHODS
from assay_tenants.oauth.issuer import issuer
from assay_tenants.oauth.scopes import WORDS
from assay_tenants.permissions import IN_WORDS


def of_server() -> dict[str, Any]:
    """One document for OAuth and OpenID Connect: they name the same things by the same words."""
    us = issuer()
    at = f"{us.address}/oauth"
    authenticated = [method for method in METHODS if method != "none"]
    metadata: dict[str, Any] = {
        "issuer": us.address,
        "authorization_endpoint": f"{at}/authorize",
        "token_endpoint": f"{at}/token",
        "device_authorization_endpoint": f"{at}/device_authorization",
        "revocation_endpoint": f"{at}/revoke",
        "introspection_endpoint": f"{at}/introspect",
        "userinfo_endpoint": f"{at}/userinfo",
        "jwks_uri": f"{at}/jwks",
        "scopes_supported": list(WORDS),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "token_endpoint_auth_methods_supported": list(METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": authenticated,
        "introspection_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [signing.ALGORITHM],
        "claims_supported": [*identity.CLAIMS, "iss", "aud", "iat", "exp", "auth_time", "nonce", "amr", "at_hash"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "protected_resources": [us.api],
    }
    if us.registration != "off":
        metadata["registration_endpoint"] = f"{at}/register"
    return metadata


def of_resource(resource: str) -> dict[str, Any]:
    """Of the API, under the name by which it was asked for."""
    us = issuer()
    return {
        "resource": resource,
        "authorization_servers": [us.address],
        "jwks_uri": f"{us.address}/oauth/jwks",
        "scopes_supported": list(IN_WORDS),
        "bearer_methods_supported": ["header"],
        "resource_name": "Assay API",
    }
