from assay_tenants.errors import AssayError, BadInput


class WrongFactor(AssayError):
    """What was given proves nothing: a wrong code, one that was used, a passkey that is not this person's."""

    status = 422
    code = "wrong_second_factor"

    def __init__(self, message: str, *, field: str = "code") -> None:
        super().__init__(message, field=field)


class NoPasskeysHere(BadInput):
    """Passkeys belong to a name; an address of numbers alone has none."""

    code = "no_passkeys_here"

    def __init__(self, host: str) -> None:
        super().__init__(
            f"Passkeys belong to a host name, and {host} is none. Open this page at its name; on this machine, "
            "at http://localhost with the same port."
        )
