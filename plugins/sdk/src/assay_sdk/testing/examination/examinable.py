"""What a simulator may offer to the examination, beyond being a stand-in of its vendor."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from assay_sdk.records import Identifiers
from assay_sdk.source import Request


class NotOffered(Exception):
    """Raised by what a simulator can't do: the drill that asks for it is then "not applicable", with this reason."""


class Examinable:
    """Mix this into a ``Simulator`` and override what the vendor has: ``class Acme(Examinable, Simulator)``.

    Whatever is left as it is makes the drills that need it "not applicable", which is counted apart and never a fault.
    All methods concern the first of ``Simulator.accounts()`` unless they are given one, and take the time from
    ``self.clock``. They do at the vendor's what a person or a machine of the customer's would do there: webhooks that
    follow from it are sent as always, with ``self.post``.
    """

    #: How many people ``fill`` has to make for every stream to come in at least three pages.
    enough_people: ClassVar[int] = 250
    #: How old a signature may be, for vendors that sign the instant too; None: no instant is signed.
    tolerance: ClassVar[timedelta | None] = None

    # Webhooks.

    def hooks(self, account: str, *, url: str, signed_at: datetime) -> Sequence[Request]:
        """One request of each kind that the vendor posts, signed for ``url`` at ``signed_at``, about ``account``.

        Two calls tell of different happenings. ``Request.received_at`` is ``signed_at``.
        """
        raise NotOffered("The simulator offers no samples of webhooks (hooks).")

    def mixed(self, accounts: Sequence[str], *, url: str, signed_at: datetime) -> Sequence[Request]:
        """What the vendor posts when something happens in each of these accounts: one request with parts of all of
        them, where it mixes them."""
        return [request for account in accounts for request in self.hooks(account, url=url, signed_at=signed_at)[:1]]

    def signature_headers(self, request: Request) -> Sequence[str]:
        """Names of the headers that prove who sent it; none where the proof is in the body or the address."""
        return [name for name in request.headers if "signature" in name]

    def unsigned(self, request: Request) -> Request:
        """The same without its proof."""
        proofs = set(self.signature_headers(request))
        if not proofs:
            raise NotOffered("The vendor's requests carry no signature in a header.")
        return replace(request, headers={name: value for name, value in request.headers.items() if name not in proofs})

    def tampered(self, request: Request) -> Request:
        """The same with one byte changed of what is signed."""
        middle = len(request.body) // 2
        changed = bytes([request.body[middle] ^ 1])
        return replace(request, body=request.body[:middle] + changed + request.body[middle + 1 :])

    def garbled(self, request: Request) -> Request:
        """The same with letters in its proof that no signature has."""
        proofs = self.signature_headers(request)
        if not proofs:
            raise NotOffered("The vendor's requests carry no signature in a header.")
        return replace(request, headers={**request.headers, **{name: request.headers[name] + "é€" for name in proofs}})

    def redelivered(self, request: Request) -> Request:
        """The same happening as the vendor posts it again, when nobody answered the first time."""
        return request

    def rotate_secret(self) -> Mapping[str, str]:
        """Replaces the secret that webhooks are signed with. From now on ``hooks`` uses the new one.

        Gives what changes among the connection's secrets; nothing where the secret is one of the app's settings, which
        ``app_settings`` tells anew.
        """
        raise NotOffered("The simulator can't replace the secret of its webhooks (rotate_secret).")

    def point_hooks_at(self, url: str) -> None:
        """Where webhooks go, for vendors that are told so in their developers' pages and not by a call."""

    def settle(self) -> None:
        """Returns when all webhooks on their way were sent, for simulators that send them in the background."""

    # People.

    def people(self) -> Sequence[Identifiers]:
        """Everybody there is, as the plugin should know them: the vendor's id where it has one, else the address."""
        raise NotOffered("The simulator doesn't tell whom it knows (people).")

    def add_someone(self) -> Identifiers:
        """Somebody new, at this instant."""
        raise NotOffered("Nobody can be added in the simulator (add_someone).")

    def change_someone(self) -> tuple[Identifiers, str]:
        """Changes something of somebody, at this instant, to a text that nobody had before; gives who and the text.

        The text has to become a trait's value, or part of one. Each call takes somebody else, and first those who were
        listed on the first page.
        """
        raise NotOffered("Nobody can be changed in the simulator (change_someone).")

    def remove_someone(self) -> Identifiers:
        """Deletes somebody, at this instant: one who was listed on the first page."""
        raise NotOffered("Nobody can be removed in the simulator (remove_someone).")

    # Scores.

    def pushed(self, ids: Identifiers) -> Mapping[str, Any]:
        """What the vendor holds of ours about somebody: the values of our fields, by their names."""
        raise NotOffered("The simulator doesn't tell what was written to it (pushed).")
