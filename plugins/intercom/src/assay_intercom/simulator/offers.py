"""What the stand-in offers to Assay's examination of plugins."""

import json
import secrets as randomness
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, cast

from assay_intercom.simulator.happenings import Happenings
from assay_intercom.simulator.notifying import Notifier, signed
from assay_intercom.simulator.workspaces import Workspace
from assay_sdk import Identifiers, Request
from assay_sdk.testing import Posted
from assay_sdk.testing.examination.examinable import Examinable
from assay_sdk.testing.simulator import Simulator


class Offers(Examinable, Simulator):
    """Samples of notifications, and people who come, change and go."""

    enough_people: ClassVar[int] = 450
    workspaces: dict[str, Workspace]
    notifier: Notifier
    at: Callable[..., Happenings]
    _changed = 0

    def hooks(self, account: str, *, url: str, signed_at: datetime) -> Sequence[Request]:
        caught: list[Request] = []

        def catch(url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
            lower = {name.lower(): value for name, value in headers.items()}
            caught.append(Request("POST", url, lower, body, signed_at))
            return Posted(url, body, headers, 200, 0.0)

        catcher = Notifier(self.clock, lambda: self.client_secret, catch)
        catcher.url = url
        self._happen(Happenings(self.workspaces[account], self.clock, catcher), randomness.token_hex(4))
        return caught

    def _happen(self, here: Happenings, word: str) -> None:
        """One thing of each kind, except for what customers name themselves: no vocabulary could state that."""
        one = here.arrive(name=f"Sample {word}", email=f"sample-{word}@example.test")
        other = here.arrive(name=f"Other {word}", role="user", external_id=f"own-{word}")
        here.change(one, name=f"Sampled {word}")
        talk = here.chat(one)
        here.reply(talk, one, by_admin=True)
        here.reply(talk, one)
        here.rate(talk, one, 5)
        for did in ("open", "click", "reply", "soft_bounce", "spam_complaint", "unsubscribe"):
            here.mail(one, did)
        here.mail(one, "open", kind="chat")
        here.mail(one, "click", kind="chat")
        here.sign_up(one, f"new-{word}")
        here.archive(other)
        here.unarchive(other)
        here.merge(one, other)
        here.delete(other)

    def redelivered(self, request: Request) -> Request:
        """The second attempt says so, and is signed anew."""
        body, headers = signed({**json.loads(request.body), "delivery_attempts": 2}, self.client_secret)
        lower = {name.lower(): value for name, value in headers.items()}
        return Request(request.method, request.url, lower, body, request.received_at)

    def rotate_secret(self) -> Mapping[str, str]:
        self.client_secret = f"intercom-{randomness.token_hex(16)}"
        return {}

    def point_hooks_at(self, url: str) -> None:
        self.notifier.url = url

    def people(self) -> Sequence[Identifiers]:
        return [_ids(id_) for id_ in self._first.contacts]

    @property
    def _first(self) -> Workspace:
        return next(iter(self.workspaces.values()))

    def add_someone(self) -> Identifiers:
        return _ids(self.at().arrive(name="Newly Come", email=f"{randomness.token_hex(4)}@example.test"))

    def change_someone(self) -> tuple[Identifiers, str]:
        id_, word = sorted(self._first.contacts)[self._changed], f"Changed {randomness.token_hex(4)}"
        self._changed += 1
        self.at().change(id_, name=word)
        return _ids(id_), word

    def remove_someone(self) -> Identifiers:
        id_ = sorted(self._first.contacts)[self._changed]
        self.at().delete(id_)
        return _ids(id_)

    def pushed(self, ids: Identifiers) -> Mapping[str, Any]:
        kept = self._first.contacts[self._first.canonical(ids.vendor["intercom"])]
        return cast("Mapping[str, Any]", kept["custom_attributes"])


def _ids(contact_id: str) -> Identifiers:
    return Identifiers(vendor={"intercom": contact_id})
