"""Why a call was not accepted. Old Segment libraries want both ``code`` and ``message`` in every error.

None may be 408, 410 or 460: the libraries send again what gets those, for hours.

AssayError
+ BadCall              400: which field or byte is at fault, what was wrong, what is accepted
+ WriteKeyRefused      401: says how to send a key
+ OriginRefused        403: a page that the key's owner has not allowed; says where to allow it
+ NoSuchCall           404: another path under /v1/
+ NoSuchFile           404: a file of the library, which is not handed out here
+ NoSuchProject        404: settings were asked for with a key that opens nothing
+ CallNotAllowed       405: says which method is accepted
+ TooFast              429: more than this account may send; says when it may again
  + Backlog            429: too much of this account waits to be understood
+ PlanUsedUp           429: the account's plan holds no more this month, or its trial is over
+ NoRoom               503: nobody's messages are accepted now, and why; says when to try again
+ CannotKeep           503: not on disk, so not accepted; says when to try again
+ CannotTell           503: settings that can't be looked up now; says when to try again
"""

from datetime import timedelta

from assay_tenants.errors import AssayError

_SHOWN = 100


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


class OriginRefused(AssayError):
    status = 403
    code = "origin_not_allowed"

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"This write key may not be used by pages of {origin[:_SHOWN]}. Add that origin to the key's allowed "
            "origins on the settings page, or use the key on a page of one that stands there."
        )


class NoSuchCall(AssayError):
    status = 404
    code = "no_such_call"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"There is no call at {path[:_SHOWN]}. Send a POST to /v1/batch, or to /v1/ followed by identify, track, "
            "page, screen, group or alias."
        )


class NoSuchFile(AssayError):
    status = 404
    code = "no_such_file"

    def __init__(self) -> None:
        super().__init__(
            "The library's own files are not handed out here. Bundle the npm package @segment/analytics-next with your "
            "page's code, or copy its dist/umd/standalone.js to your site."
        )


class NoSuchProject(AssayError):
    status = 404
    code = "no_such_project"

    def __init__(self) -> None:
        super().__init__(
            "There are no settings for this write key: it is unknown or was revoked. Put a write key that is listed "
            "on the settings page into the page's code."
        )


class CallNotAllowed(AssayError):
    status = 405
    code = "method_not_allowed"

    def __init__(self, method: str, *, accepted: str) -> None:
        self.allow = f"{accepted}, OPTIONS"
        super().__init__(f"{method[:_SHOWN]} is not accepted here; send a {accepted.partition(',')[0]}.")


class TooFast(AssayError):
    status = 429
    code = "too_fast"

    def __init__(self, limit: str, *, after: timedelta) -> None:
        self.after = after
        super().__init__(
            f"{limit}; this was not accepted. Send it again in {after.total_seconds():.0f} seconds, or less at a time."
        )


class Backlog(TooFast):
    code = "backlog"

    def __init__(self, most: int, *, after: timedelta) -> None:
        super().__init__(
            f"{most:,} messages of this account wait to be understood, which is as many as may", after=after
        )


class PlanUsedUp(AssayError):
    """The account's plan holds no more; its owners were told."""

    status = 429
    code = "plan_limit"

    def __init__(self, reason: str, *, after: timedelta) -> None:
        self.after = after
        super().__init__(f"{reason}; this was not accepted. Send it again once an owner has chosen a larger plan.")


class NoRoom(AssayError):
    status = 503
    code = "no_room"

    def __init__(self, reason: str, *, after: timedelta) -> None:
        self.after = after
        super().__init__(
            f"Nothing more is accepted at the moment: {reason}. What was accepted is safe. Send this again in "
            f"{after.total_seconds():.0f} seconds."
        )


class CannotKeep(AssayError):
    status = 503
    code = "unavailable"

    def __init__(self, *, after: timedelta, reason: str | None = None) -> None:
        self.after = after
        because = f": {reason}" if reason else ""
        super().__init__(
            f"The message could not be stored just now and was not accepted{because}. Send it again in "
            f"{after.total_seconds():.0f} seconds."
        )


class CannotTell(AssayError):
    status = 503
    code = "unavailable"

    def __init__(self, *, after: timedelta) -> None:
        self.after = after
        super().__init__(
            f"The settings could not be looked up just now. Ask again in {after.total_seconds():.0f} seconds."
        )
