"""Why somebody may not come in, or not yet."""

from assay_tenants.errors import Conflict, Forbidden, NotFound, NotSignedIn


class WrongCredentials(NotSignedIn):
    """A wrong password, or whatever else was to prove who this is: it counts as a failed attempt."""

    code = "wrong_credentials"

    def __init__(self, message: str = "The e-mail address or the password is wrong.", field: str = "password") -> None:
        super().__init__(message, field=field)


class LogInElsewhere(NotSignedIn):
    """The password is not enough here: the company's own provider has to say who this is."""

    code = "log_in_elsewhere"


class ChallengeOver(NotSignedIn):
    code = "challenge_over"

    def __init__(self) -> None:
        super().__init__("That took more than ten minutes, or was done already. Log in again.")


class AddressTaken(Conflict):
    def __init__(self) -> None:
        super().__init__("There is already an account with this e-mail address. Log in instead.", field="email")


class NotAMember(Forbidden):
    code = "not_a_member"

    def __init__(self) -> None:
        super().__init__(
            "You are a member of no company any more. Ask to be invited, or sign up with the same e-mail address and "
            "password to make a company of your own."
        )


class NotVerified(Forbidden):
    code = "address_not_verified"

    def __init__(self) -> None:
        super().__init__(
            "First verify your e-mail address: open the link that we sent you, or have a new one sent from your "
            "account's page."
        )


class NotLoggedInHere(Forbidden):
    """An address is verified by the person alone whose account it is, or is to be, the address of."""

    code = "not_logged_in_here"

    def __init__(self) -> None:
        super().__init__(
            "First log in to the account that asked for this link, in this browser, then open the link again. If you "
            "did not ask for it, close this page: nothing happens."
        )


class OwnLoginNeeded(Forbidden):
    """A member, but not with what this session has proven."""

    code = "own_login_needed"


class LinkOver(NotFound):
    code = "link_over"

    def __init__(self, what: str = "link") -> None:
        super().__init__(what)
        self.message = f"This {what} was used already, is too old, or is not complete."
        self.args = (self.message,)
