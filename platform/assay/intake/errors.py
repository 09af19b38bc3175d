"""Why a call was not accepted. Old Segment libraries want both ``code`` and ``message`` in every error.

AssayError
+ BadCall              400: which field or byte is at fault, what was wrong, what is accepted
+ WriteKeyRefused      401: says how to send a key
+ NoSuchCall           404: another path under /v1/
+ CallNotAllowed       405
+ CannotKeep           503: not on disk, so not accepted; says when to try again
"""

from datetime import timedelta

from assay_tenants.errors import AssayError


class BadCall(AssayError):
    status = 400
    code = "bad_input"

    def __init__(self, message: str, *, code: str = "bad_input", field: str | None = None) -> None:
        self.code = code
        super().__init__(message, field=field)


class WriteKeyRefused(AssayError):
    status = 401
    code = "wrong_write_key"

    def __init__(self, wrong: str) -> None:
        super().__init__(
            f"{wrong} Send a write key as the user name of HTTP Basic authentication with an empty password, "
            'as "Authorization: Bearer <write key>", or as "writeKey" in the body.',
            field="writeKey",
        )


class NoSuchCall(AssayError):
    status = 404
    code = "no_such_call"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"There is no call at {path[:100]}. Send a POST to /v1/batch, or to /v1/ followed by identify, track, "
            "page, screen, group or alias."
        )


class CallNotAllowed(AssayError):
    status = 405
    code = "method_not_allowed"

    def __init__(self, method: str) -> None:
        super().__init__(f"{method} is not accepted here; send a POST.")


class CannotKeep(AssayError):
    status = 503
    code = "unavailable"

    def __init__(self, *, after: timedelta) -> None:
        self.after = after
        super().__init__(
            f"The message could not be stored just now and was not accepted. Send it again in "
            f"{after.total_seconds():.0f} seconds."
        )
