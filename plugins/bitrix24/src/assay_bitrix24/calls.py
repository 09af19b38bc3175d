"""Calls of the REST API: one method, or up to fifty in one request; and what its errors mean."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from assay_bitrix24 import forms, portal
from assay_sdk import Link, NeedsReconnect, PluginError, Refused, TokenExpired, TryLater
from assay_sdk.service import LONGEST_PAUSE
from assay_sdk.values import instant

#: Parts of a batch.
MOST_PARTS = 50
#: The bucket leaks two requests a second: after this there is room again.
PAUSE = timedelta(seconds=1)
#: The budget of execution time is that of ten minutes; half of it where the answer does not say how long is left.
BUDGET_PAUSE = timedelta(minutes=5)
BLOCKED_PAUSE = timedelta(hours=1)
#: Key of our own changes in offline events: with it the portal does not queue them back to us.
CONNECTOR = "assay"

_TAG = re.compile(r"<[^>]{0,100}>")
_RECONNECT = frozenset({"no_auth_found", "invalid_token", "invalid_grant", "authorization_error", "error_oauth"})
_IN_WORDS = {
    "insufficient_scope": "The app lacks the right crm: its card in Bitrix24 has to ask for it.",
    "access_denied": "The user who connected may not do this in Bitrix24: connect as an administrator of the portal.",
    "invalid_credentials": "The user who connected may not do this in Bitrix24: connect as an administrator of the "
    "portal.",
    "user_access_error": "The portal lets only some of its users use the app: let in the user who connected.",
    "payment_required": "The portal's subscription, or that of the app, has ended.",
    "portal_deleted": "The portal is gone.",
}


class Moved(Refused):
    """The portal has another domain now; ``headers["location"]`` tells which."""


def call(link: Link, method: str, parameters: Mapping[str, Any] | None = None, *, safe: bool = True) -> dict[str, Any]:
    """One method; gives the whole answer, whose ``result`` is there.

    A portal whose domain changed answers 302, which would make a GET of the POST: so it is not followed. The call is
    made again at the new host, which is kept once it has answered.
    """
    body = dict(parameters or {})
    try:
        return _object(link.http.post(f"/{method}", json=body, safe=safe))
    except Moved as error:
        endpoint = portal.moved(
            str(link.secrets["client_endpoint"]), method, error.headers.get("location", ""), link.app
        )
    answer = _object(link.http.post(endpoint + method, json=body, safe=safe))
    link.keep(client_endpoint=endpoint)
    link.log.info("bitrix24.moved", endpoint=endpoint)
    return answer


def batch(link: Link, parts: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
    """At most fifty methods in one request: for each its result, or the error it met, not raised.

    The answer is 200 even if all of them failed. What concerns all of them is raised: TryLater, NeedsReconnect.
    """
    commands = {f"p{place}": f"{method}?{forms.query(given)}" for place, (method, given) in enumerate(parts)}
    answer = call(link, "batch", {"halt": 0, "cmd": commands})
    results, errors = _named(answer["result"], "result"), _named(answer["result"], "result_error")
    found: list[Any] = []
    for name in commands:
        if name in errors:
            error = judged(400, errors[name] if isinstance(errors[name], dict) else {}, httpx.Headers())
            if isinstance(error, TokenExpired):
                # It ended while the batch was under way: the next call is refused as a whole, and renews it.
                raise TryLater("Bitrix24's access token ended in the middle of a batch.")
            if not isinstance(error, Refused):
                raise error
            found.append(error)
        elif name in results:
            found.append(results[name])
        else:
            found.append(Refused("Bitrix24 left this part of a batch unanswered."))
    return found


def judge(answer: httpx.Response) -> PluginError | None:
    """What an answer means; an error may come with status 200, too."""
    if 300 <= answer.status_code < 400:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Moved("The portal answered with a redirect.", status=answer.status_code, headers=headers)
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        if answer.is_success or answer.status_code in (408, 425, 429) or answer.status_code >= 500:
            return TryLater(f"Bitrix24 answered {answer.status_code} without JSON.", after=_stated(answer.headers))
        body = {}
    if answer.is_success and "result" in body and not body.get("error"):
        return None
    return judged(answer.status_code, body, answer.headers)


def judged(status: int, body: Mapping[str, Any], headers: httpx.Headers) -> PluginError:
    """An error of a call, or of a part of a batch."""
    code = str(body.get("error") or "")
    known = code.lower()
    if known == "expired_token":
        return TokenExpired("Bitrix24 says that the access token is too old.")
    if known in _RECONNECT or status == 401:
        return NeedsReconnect("Bitrix24 no longer accepts the access that was granted: connect the portal again.")
    if known == "overload_limit":
        reason = "Bitrix24 has blocked the portal's calls by hand: its support opens them again."
        return TryLater(reason, after=BLOCKED_PAUSE, overloaded=True)
    if known == "operation_time_limit":
        reason = "The portal has used up the time that Bitrix24 gives it for such calls in ten minutes."
        return TryLater(reason, after=_until_reset(body, headers), overloaded=True)
    if known == "query_limit_exceeded" or status == 429:
        return TryLater("Bitrix24 asks us to wait.", after=_stated(headers) or PAUSE, overloaded=True)
    if status >= 500 or status in (408, 425) or known == "internal_server_error":
        return TryLater(f"Bitrix24 answered {status}.", after=_stated(headers))
    said = _TAG.sub(" ", str(body.get("error_description") or "")).strip()[:200]
    reason = _IN_WORDS.get(known) or f"Bitrix24 refused the call: {said or code or status}."
    return Refused(reason, status=status, code=known, answer=dict(body))


def _until_reset(body: Mapping[str, Any], headers: httpx.Headers) -> timedelta:
    """By the portal's own clock, which stands in the same answer."""
    stated = body.get("time")
    time = stated if isinstance(stated, dict) else {}
    reset, now = _moment(time.get("operating_reset_at")), _moment(time.get("finish")) or _moment(time.get("start"))
    if now is None and "Date" in headers:
        try:
            now = parsedate_to_datetime(headers["Date"])
        except ValueError:
            now = None
    if reset is None or now is None:
        return BUDGET_PAUSE
    return min(max(reset - now, timedelta(seconds=1)), LONGEST_PAUSE)


def _moment(value: object) -> datetime | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError):
            return None
    return instant(value)


def _stated(headers: httpx.Headers) -> timedelta | None:
    text = headers.get("Retry-After", "").strip()
    return min(timedelta(seconds=int(text)), LONGEST_PAUSE) if text.isdecimal() and len(text) < 7 else None


def _object(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    return body


def _named(result: Any, name: str) -> Mapping[str, Any]:
    """PHP writes an empty object as an empty list."""
    found = result.get(name) if isinstance(result, dict) else None
    return found if isinstance(found, dict) else {}
