"""The authorization server's door: OAuth 2.1 and OpenID Connect over HTTP, consent and devices as pages."""

from assay.oauth.door import register

__all__ = ["register"]
