"""What can go wrong on the way through a tenant's own provider, each in a sentence for who logs in or sets it up."""

from assay_tenants.errors import AssayError, BadInput, Conflict, Forbidden


class LoginRefused(AssayError):
    """Somebody came back from the provider and is not let in."""

    status = 403
    code = "single_sign_on_refused"


class OwnersWord(Forbidden):
    """Whoever chooses the provider chooses who may come in as whom: as an owner, only an owner."""

    code = "owners_word"

    def __init__(self) -> None:
        super().__init__(
            "Owners of your account have addresses in these domains, so the provider could let anybody in as them. "
            "Ask one of them to do this."
        )


class OwnersProvider(Conflict):
    """A provider that no owner chose could let anybody in as this owner-to-be, or owner."""

    code = "owners_provider"

    def __init__(self, email: str) -> None:
        super().__init__(
            f"Single sign-on was last saved by somebody who is no owner, and would let {email} in as an owner. First "
            "an owner saves the provider once more, under Settings, Single sign-on; then do this again."
        )


class LoginGone(LoginRefused):
    """No such login is under way in this browser: used already, too old, another browser's, or never begun."""

    def __init__(self) -> None:
        super().__init__(
            "This login is not under way in this browser: it took over ten minutes, was used already, or began in "
            "another one. Log in again."
        )


class ProviderAway(AssayError):
    """The provider could not be asked; nobody knows whether it would have said yes."""

    status = 502
    code = "provider_away"


class NotSetUp(AssayError):
    status = 404
    code = "no_single_sign_on"

    def __init__(self) -> None:
        super().__init__("No company logs in with single sign-on under this address. Log in with your password.")


class BadProvider(BadInput):
    """What was typed of a provider does not lead to one that we can use."""

    code = "bad_provider"
