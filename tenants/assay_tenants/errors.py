"""Expected refusals. Each carries the HTTP status and the stable code that a client may rely on.

AssayError
+ BadInput          a field was wrong: says which, what was wrong and what is accepted
+ NotSignedIn       no valid session or key came with the request
+ Forbidden         known, but not allowed to do this
+ NotFound          not there, or not yours: the answer is the same
+ Conflict          something of that name or state is already there
+ TooManyAttempts   slow down; says for how long
"""

from datetime import timedelta


class AssayError(Exception):
    status = 500
    code = "internal_error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        self.message = message
        self.field = field
        super().__init__(message)


class BadInput(AssayError):
    status = 422
    code = "bad_input"


class NotSignedIn(AssayError):
    status = 401
    code = "not_signed_in"


class Forbidden(AssayError):
    status = 403
    code = "forbidden"


class NotFound(AssayError):
    status = 404
    code = "not_found"

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no such {what}.")


class Conflict(AssayError):
    status = 409
    code = "conflict"


class TooManyAttempts(AssayError):
    status = 429
    code = "too_many_attempts"

    def __init__(self, message: str, *, after: timedelta) -> None:
        self.after = after
        super().__init__(message)
