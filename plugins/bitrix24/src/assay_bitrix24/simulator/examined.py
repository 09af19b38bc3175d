"""What the stand-in does for the examination: somebody comes, changes or goes, and events are posted about it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from secrets import token_hex
from typing import Any, ClassVar
from urllib.parse import urlencode

from assay_bitrix24 import forms
from assay_bitrix24.simulator.portals import ACTIVITY, CONTACT, DEAL, LEAD, reached
from assay_bitrix24.simulator.server import Bitrix24Server
from assay_sdk import Identifiers, Request
from assay_sdk.testing import Examinable

_NOTICES = (
    ("ONCRMLEADADD", LEAD),
    ("ONCRMLEADUPDATE", LEAD),
    ("ONCRMCONTACTUPDATE", CONTACT),
    ("ONCRMDEALUPDATE", DEAL),
    ("ONCRMACTIVITYADD", ACTIVITY),
)
_HEADERS = {"content-type": "application/x-www-form-urlencoded"}


class Bitrix24Simulator(Examinable, Bitrix24Server):
    """``oauth.bitrix.info`` and two portals behind one address."""

    enough_people: ClassVar[int] = 450
    _told: int = 0

    def hooks(self, account: str, *, url: str, signed_at: datetime) -> Sequence[Request]:
        """Without deletions: those are refused until the first of these has made the token known."""
        portal = next(portal for portal in self.portals.values() if portal.member_id == account)
        found = []
        for event, kind in _NOTICES:
            if ids := portal.ids[kind]:
                self._told += 1
                id_ = ids[self._told % len(ids)]
                form = portal.form(event, id_, signed_at, access_token=self.somebodys_token())
                found.append(Request("POST", url, _HEADERS, form, signed_at))
        return found

    def unsigned(self, request: Request) -> Request:
        return self._with(request, "auth[application_token]", lambda token: "")

    def tampered(self, request: Request) -> Request:
        return self._with(request, "auth[member_id]", lambda id_: id_[:-1] + ("0" if id_[-1] != "0" else "1"))

    def garbled(self, request: Request) -> Request:
        return self._with(request, "auth[member_id]", lambda id_: id_ + "é€")

    def _with(self, request: Request, name: str, change: Any) -> Request:
        fields = [(key, change(value) if key == name else value) for key, value in forms.pairs(request.body)]
        return replace(request, body=urlencode(fields).encode())

    def people(self) -> Sequence[Identifiers]:
        return [_known("lead", id_) for id_ in self.portal.ids[LEAD]] + [
            _known("contact", id_) for id_ in self.portal.ids[CONTACT]
        ]

    def add_someone(self) -> Identifiers:
        now = self.clock.now()
        email = f"new.{token_hex(4)}@example.test"
        with self.lock:
            id_ = self.portal.add(LEAD, now, title="New request", name="Noor", fm=reached(email=email))
            self.portal.happened("ONCRMLEADADD", id_, now, access_token=self.somebodys_token())
        self.deliver()
        return _known("lead", id_)

    def change_someone(self) -> tuple[Identifiers, str]:
        now, text = self.clock.now(), f"Post {token_hex(6)}"
        with self.lock:
            own = [id_ for id_ in self.portal.ids[LEAD] if not self.portal.rows[LEAD][id_]["contactId"]]
            id_ = own[self._told % len(own)]
            self._told += 1
            self.portal.change(LEAD, id_, now, {"post": text})
            self.portal.happened("ONCRMLEADUPDATE", id_, now, access_token=self.somebodys_token())
        self.deliver()
        return _known("lead", id_), text

    def remove_someone(self) -> Identifiers:
        now = self.clock.now()
        with self.lock:
            id_ = self.portal.ids[LEAD][min(30, len(self.portal.ids[LEAD]) - 1)]
            self.portal.remove(LEAD, id_)
            self.portal.happened("ONCRMLEADDELETE", id_, now, access_token=self.somebodys_token())
        self.deliver()
        return _known("lead", id_)

    def pushed(self, ids: Identifiers) -> Mapping[str, Any]:
        kind, _, id_ = ids.vendor[self.name].partition(":")
        row = self.portal.rows[LEAD if kind == "lead" else CONTACT][int(id_)]
        return {name: value for name, value in row.items() if name.startswith("UF_CRM_ASSAY")}


def _known(kind: str, id_: int) -> Identifiers:
    return Identifiers(vendor={"bitrix24": f"{kind}:{id_}"})
