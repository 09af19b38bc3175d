"""Keys of programs: their scopes, expiry and last use."""

from assay.api.door import Part

part = Part("API keys", "Keys of programs: their scopes, expiry and last use.")
