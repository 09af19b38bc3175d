"""Asks a vendor: with a connection's credentials, within its limits, patiently, and never an address of ours."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx

from assay_sdk import egress
from assay_sdk.auth import OAuth
from assay_sdk.errors import NeedsReconnect, Refused, TokenExpired, TryLater
from assay_sdk.limits import Limiter, RateLimit
from assay_sdk.link import Held, Link

if TYPE_CHECKING:
    from assay_sdk.service import Service

#: Tries of a call that is safe to repeat.
TRIES = 3
#: What a call waits for a limit of ours; longer waits are raised, so that the worker can serve others meanwhile.
PATIENCE = timedelta(seconds=2)
#: Waits between tries grow from the first, each by chance between none and all of it.
BACKOFF = timedelta(seconds=0.5)
_SAFE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})


@dataclass
class Call:
    """A request in the making, for ``Service.authorise``."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, Any] | None = None
    json: Any = None
    data: Mapping[str, Any] | None = None
    content: bytes | None = None


class Http:
    """A connection's way to its vendor.

    Every call: takes the limits of the service, which all workers share; carries the credentials, renewed in time by
    one worker at a time; is tried again after a failure where that is safe; and ends within 10 seconds a try.

    Raises TryLater, NeedsReconnect or Refused, and nothing else. ``Refused.status`` tells 404 from 409.
    """

    def __init__(
        self,
        service: "Service",
        link: Link,
        limiter: Limiter,
        *,
        client: httpx.Client | None = None,
        patience: timedelta = PATIENCE,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._service = service
        self._link = link
        self._limiter = limiter
        self._client = client
        self._patience = patience
        self._chance = chance

    @property
    def client(self) -> httpx.Client:
        """The guarded client beneath, without credentials and limits."""
        if self._client is None:
            self._client = egress.client(headers={"User-Agent": "Assay"})
        return self._client

    def close(self) -> None:
        """Ends the connections to the vendor; the next call opens new ones."""
        if self._client is not None:
            self._client.close()

    def get(self, path: str, **options: Any) -> httpx.Response:
        """As ``request``; tried again after a failure."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """As ``request``; not tried again when nobody knows whether it arrived, unless it is ``safe``."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        """As ``request``; tried again after a failure."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> httpx.Response:
        """As ``request``; not tried again when nobody knows whether it arrived, unless it is ``safe``."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        """As ``request``; tried again after a failure."""
        return self.request("DELETE", path, **options)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limits: Sequence[str] = ("api",),
        safe: bool | None = None,
    ) -> httpx.Response:
        """One call; gives an answer that ``Service.judge`` found good.

        Args:
            path: appended to ``Service.base_url``; or a whole address.
            limits: names of the service's rate limits that it takes.
            safe: whether it may be sent again after a failure in which nobody knows whether it arrived; by default what
                the method says. A search by POST is.
        """
        url = (
            path if path.startswith(("http://", "https://")) else self._service.base_url(self._link).rstrip("/") + path
        )
        may_repeat = method in _SAFE if safe is None else safe
        taken = [limit for limit in self._service.limits if limit.name in limits]
        held, renewed, tries = self._credentials(), False, 0
        while True:
            tries += 1
            self._take(taken)
            call = Call(
                method, url, dict(headers or {}), dict(params) if params else None, _copied(json), data, content
            )
            self._service.authorise(call, held.values)
            error = self._send(call)
            if isinstance(error, httpx.Response):
                if rest := self._service.spare(error):
                    self._pause(taken, rest)
                return error
            if isinstance(error, TokenExpired):
                if renewed or not isinstance(self._service.auth, OAuth):
                    raise NeedsReconnect(str(error))
                held, renewed, tries = self._renewed(held), True, tries - 1
                continue
            if isinstance(error, NeedsReconnect):
                raise error
            if not isinstance(error, TryLater):
                raise error
            self._wait_or_raise(error, tries, may_repeat, taken)

    def _send(self, call: Call) -> "httpx.Response | TokenExpired | NeedsReconnect | Refused | TryLater":
        try:
            answer = self.client.request(
                call.method,
                call.url,
                params=call.params,
                json=call.json,
                data=call.data,
                content=call.content,
                headers=call.headers,
            )
        except egress.AddressRefused as error:
            return Refused(str(error))
        except httpx.TimeoutException:
            return TryLater(f"{self._service.title} did not answer in time.")
        except httpx.HTTPError as error:
            return TryLater(f"{self._service.title} could not be reached ({type(error).__name__}).")
        verdict = self._service.judge(answer)
        if verdict is None:
            if _is_readable(answer):
                return answer
            return TryLater(f"{self._service.title} answered with JSON that can't be read.")
        if not isinstance(verdict, TokenExpired | NeedsReconnect | Refused | TryLater):
            return Refused(str(verdict), status=answer.status_code)
        return verdict

    def _wait_or_raise(self, error: TryLater, tries: int, may_repeat: bool, taken: Sequence[RateLimit]) -> None:
        if error.overloaded:
            after = error.after or timedelta(seconds=1)
            self._pause(taken, after)
            # Whoever waited here would come back in the same moment as all others that did.
            raise error
        if not may_repeat or tries >= TRIES:
            raise error
        self._link.clock.sleep(BACKOFF.total_seconds() * 2 ** (tries - 1) * (0.5 + self._chance()))

    def _pause(self, taken: Sequence[RateLimit], duration: timedelta) -> None:
        for limit in taken:
            # Those who wait must not all come back in the same moment.
            self._limiter.pause(self._key(limit), duration * (1 + self._chance() / 10))

    def _take(self, taken: Sequence[RateLimit]) -> None:
        for limit in taken:
            waited = timedelta(0)
            while (wait := self._limiter.take(self._key(limit), limit)) > timedelta(0):
                if waited + wait > self._patience:
                    raise TryLater(
                        f"{self._service.title} takes {limit.requests:,} requests in {limit.seconds:g} seconds, and "
                        "all of them are taken.",
                        after=wait,
                        overloaded=True,
                    )
                self._link.clock.sleep(wait.total_seconds())
                waited += wait

    def _key(self, limit: RateLimit) -> str:
        whose = {"app": "", "account": self._link.account, "connection": f"{self._link.account}#{self._link.id}"}
        return f"{self._service.name}:{limit.name}:{whose[limit.per]}"

    def _credentials(self) -> Held:
        held = self._link.vault.read()
        self._link.log.hide(held.values)
        auth = self._service.auth
        if not isinstance(auth, OAuth) or auth.early is None or held.expires_at is None:
            return held
        is_old = held.expires_at - self._link.clock.now() <= auth.early
        return self._renewed(held) if is_old else held

    def _renewed(self, held: Held) -> Held:
        auth = self._service.auth
        assert isinstance(auth, OAuth)  # noqa: S101 # who asks has looked
        fresh = self._link.vault.renew(
            held.renewal, lambda values: auth.renew(self.client, self._link.app, self._link.clock, values)
        )
        self._link.log.hide(fresh.values)
        return fresh


def _is_readable(answer: httpx.Response) -> bool:
    """Whether an answer that says that it is JSON is so: one that was cut short is no answer."""
    if not answer.content or "json" not in answer.headers.get("Content-Type", ""):
        return True
    try:
        answer.json()
    except (ValueError, RecursionError):
        return False
    return True


def _copied(json: Any) -> Any:
    """Whoever authorises a call may put a token into its body, which must not stay in the caller's."""
    return dict(json) if isinstance(json, dict) else json
