"""Requests that are sent again: the header Idempotency-Key, for every POST."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from hashlib import blake2b
from io import BytesIO
from typing import Any, ParamSpec

from flask import Response, make_response, request

from assay.api.access import tenant_id
from assay.api.errors import BodyTooLarge
from assay.intake import idempotency
from assay.intake.idempotency import LEASE, LONGEST_KEY, Answer
from assay_tenants.errors import BadInput

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
#: Of a body that is read whole to be compared; no route takes a larger one.
LARGEST_BODY = 2_000_000
#: How the header is described.
PARAMETER: dict[str, Any] = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "description": "Names the request: sent again with it within 24 hours, it is not done again but answered as before",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
}

_PRINTABLE = re.compile(rf"[\x20-\x7e]{{1,{LONGEST_KEY}}}")
# Made anew for each answer.
_NOT_KEPT = frozenset({"content-length", "set-cookie", "date"})

P = ParamSpec("P")


def stated_key() -> str | None:
    """The key of this request; raises BadInput for what is none."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _PRINTABLE.fullmatch(key) or key.isspace():
        raise BadInput(
            f"{HEADER} must have 1 to {LONGEST_KEY} printable ASCII characters, such as a UUID; not {key[:60]!r}.",
            field=HEADER,
        )
    return key


def fingerprint(body: bytes) -> bytes:
    """What tells a request from another one with the same key."""
    asked = f"{request.method} {request.full_path.rstrip('?')}\n".encode()
    return blake2b(asked + body, digest_size=32).digest()


def once(view: Callable[P, Any], *, streamed: bool = False, secret: bool = False) -> Callable[P, Any]:
    """The view, done once for each key that comes with its requests.

    Of a body that is ``streamed`` to the view only the stated length is compared: it may be gigabytes. A ``secret`` in
    the answer is not kept: whoever repeats the request finds null in its place.
    """

    @wraps(view)
    def done_once(*args: P.args, **kwargs: P.kwargs) -> Any:
        key = stated_key()
        if key is None:
            return view(*args, **kwargs)
        body = _length() if streamed else _whole_body()
        lease = LEASE * 15 if streamed else LEASE
        kept = _without_secret if secret else bytes
        return answered_once(
            key, fingerprint(body), lambda: make_response(view(*args, **kwargs)), lease=lease, kept=kept
        )

    return done_once


def _without_secret(body: bytes) -> bytes:
    return json.dumps({**json.loads(body), "secret": None}).encode()


def answered_once(
    key: str | None,
    fingerprint: bytes,
    act: Callable[[], Response],
    *,
    lease: timedelta = LEASE,
    kept: Callable[[bytes], bytes] = bytes,
) -> Response:
    """What ``act`` answers, or what it answered when the same request came before.

    What it refuses, or fails with, is not remembered: nothing was done. Raises StillUnderWay and AnotherRequest.
    """
    if key is None:
        return act()
    claim = idempotency.claim(tenant_id(), key, fingerprint, lease=lease)
    if isinstance(claim, Answer):
        return Response(claim.body, claim.status, [*claim.headers, (REPLAYED, "true")])
    try:
        response = act()
    except BaseException:
        claim.release()
        raise
    if response.status_code >= 400 or response.is_streamed:
        claim.release()
    else:
        headers = [(name, value) for name, value in response.headers if name.lower() not in _NOT_KEPT]
        claim.remember(Answer(response.status_code, headers, kept(response.get_data())))
    return response


def _length() -> bytes:
    # The boundaries of a form differ each time, and so may its length.
    return b"" if request.mimetype == "multipart/form-data" else str(request.content_length).encode()


def _whole_body() -> bytes:
    body = request.stream.read(LARGEST_BODY + 1)
    if len(body) > LARGEST_BODY:
        raise BodyTooLarge(f"The body is over the limit: {LARGEST_BODY:,} bytes.")
    # The view reads it again.
    request.stream = BytesIO(body)
    return body
