"""Intercom over HTTP: its login, its lists and its limits."""

import json
import math
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, ClassVar
from uuid import uuid4

from werkzeug.http import http_date
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from assay_intercom.simulator.happenings import Happenings
from assay_intercom.simulator.notifying import Notifier, iso_contact
from assay_intercom.simulator.offers import Offers
from assay_intercom.simulator.searching import BadSearch, compiled, opened, paged, sealed
from assay_intercom.simulator.workspaces import Workspace
from assay_sdk.clock import Clock
from assay_sdk.testing import answer_json, route
from assay_sdk.testing.simulator import Grant

SLICE = 10
_SCROLL_ENDS = timedelta(minutes=1)
_SCROLL_PAGE = 100
_TYPES = frozenset(["string", "integer", "float", "boolean", "date", "datetime"])
_SEALED_HEADERS = "assay.limits"


def failed(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error as Intercom words it."""
    errors = [{"code": code, "message": message}]
    return answer_json({"type": "error.list", "request_id": str(uuid4()), "errors": errors}, status, headers)


class IntercomSimulator(Offers):
    """Two workspaces that share one app."""

    name = "intercom"
    access_lifetime: ClassVar[timedelta | None] = None

    def __init__(self, *, clock: Clock | None = None, seed: int = 7) -> None:
        super().__init__(clock=clock, seed=seed)
        first = Workspace("a1b2c3d4", "Quartz")
        second = Workspace("e5f6a7b8", "Feldspar", region="EU", timezone="Asia/Ho_Chi_Minh")
        self.workspaces = {first.id: first, second.id: second}
        self.notifier = Notifier(self.clock, lambda: self.client_secret, self.post)
        #: Requests of one workspace in a slice of ten seconds.
        self.most = 1667
        #: How long a contact is there before searches find it.
        self.searchable_after = timedelta(0)
        self._taken: dict[tuple[str, int], int] = {}

    # What tests and demonstrations do with it.

    def app_settings(self) -> dict[str, str]:
        login, api = f"{self.address}/oauth", self.address
        hosts = {"api": api, "api_eu": api, "api_au": api}
        logins = {"authorize": login, "authorize_eu": login, "authorize_au": login}
        secrets = {"client_secret": self.client_secret, "previous_client_secret": ""}
        return {"client_id": self.client_id, **secrets, **hosts, **logins}

    def form(self) -> dict[str, str]:
        return {"region": "US"}

    def accounts(self) -> Mapping[str, str]:
        return {workspace.id: workspace.name for workspace in self.workspaces.values()}

    def listen(self, url: str, topics: Collection[str] | None = None) -> None:
        """Notifications of all workspaces go there from now on."""
        self.notifier.listen(url, topics)

    def at(self, workspace_id: str = "") -> Happenings:
        """What people do in a workspace, by default the first."""
        workspace = self.workspaces[workspace_id or next(iter(self.workspaces))]
        return Happenings(workspace, self.clock, self.notifier)

    def fill(self, people: int) -> None:
        with self.lock:
            next(iter(self.workspaces.values())).fill(people, self.dice, self._now())

    def live(self) -> None:
        self.notifier.retry()
        happens = self.at()
        with self.lock:
            known = [id_ for id_, kept in happens.workspace.contacts.items() if kept.get("email")]
        if not known or self.dice.random() < 0.2:
            number = self.dice.randrange(10**6)
            happens.arrive(name=f"Visitor {number}", email=f"visitor{number}@example.test")
            return
        whose, what = self.dice.choice(known), self.dice.random()
        if what < 0.4:
            happens.mail(whose, "open")
        elif what < 0.6:
            happens.mail(whose, "click")
        elif what < 0.8:
            happens.chat(whose)
        else:
            happens.track(whose, "viewed-pricing", plan="growth")

    # Login and limits.

    @route("GET", "/oauth", guarded=False)
    def show_consent(self, request: Request) -> Response:
        return self.consent_page(request)

    @route("POST", "/oauth", guarded=False)
    def take_consent(self, request: Request) -> Response:
        back, state = request.args.get("redirect_uri", ""), request.args.get("state", "")
        allowed = self.consent(request)
        query = f"code={allowed[0]}&state={state}" if allowed else f"error=access_denied&state={state}"
        return redirect(f"{back}{'&' if '?' in back else '?'}{query}")

    @route("POST", "/auth/eagle/token", guarded=False)
    def give_token(self, request: Request) -> Response:
        form = request.form
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            return failed(401, "unauthorized", "The app is unknown.")
        grant = self.redeem(form.get("code", ""))
        if grant is None:
            return failed(404, "not_found", "Could not find the code.")
        return answer_json({"token_type": "Bearer", "token": grant.access_token, "access_token": grant.access_token})

    def refuse_unauthorised(self) -> Response:
        return failed(401, "unauthorized", "Access Token Invalid")

    def limit(self, request: Request, grant: Grant) -> Response | None:
        now = self.clock.now().timestamp()
        ends = (math.floor(now / SLICE) + 1) * SLICE
        with self.lock:
            taken = self._taken[grant.account, ends] = self._taken.get((grant.account, ends), 0) + 1
        left = max(0, self.most - taken)
        request.environ[_SEALED_HEADERS] = {
            "X-RateLimit-Limit": str(self.most),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": str(ends),
        }
        if taken <= self.most:
            return None
        return failed(429, "rate_limit_exceeded", f"Exceeded rate limit of {self.most} in 10_seconds")

    def _answer(self, request: Request) -> Response:
        answer = super()._answer(request)
        answer.headers.update(request.environ.get(_SEALED_HEADERS, {}))
        answer.headers["Date"] = http_date(self.clock.now())
        return answer

    def _now(self) -> int:
        return int(self.clock.now().timestamp())

    def _of(self, grant: Grant) -> Workspace:
        return self.workspaces[grant.account]

    # Lists.

    @route("GET", "/me")
    def me(self, request: Request, grant: Grant) -> Response:
        here = self._of(grant)
        app = {"type": "app", "id_code": here.id, "name": here.name, "region": here.region, "timezone": here.timezone}
        return answer_json({"type": "admin", "id": "991", "email": "admin@example.test", "app": app})

    @route("GET", "/contacts")
    def list_contacts(self, request: Request, grant: Grant) -> Response:
        here, size = self._of(grant), int(request.args.get("per_page", 10))
        if not 1 <= size <= 150:
            return failed(400, "parameter_invalid", "per_page must be a number between 1 and 150")
        try:
            after = opened(request.args["starting_after"])[1] if "starting_after" in request.args else ""
        except BadSearch as error:
            return failed(400, "parameter_invalid", str(error))
        with self.lock:
            # Their ids grow, so a place among them stays one whatever happens meanwhile.
            found = [id_ for id_ in sorted(here.contacts) if id_ > after]
            page = [here.contact(id_) for id_ in found[:size]]
            total = len(here.contacts)
        pages: dict[str, Any] = {"type": "pages", "page": 1, "per_page": size, "total_pages": -(-total // size)}
        if len(found) > size:
            pages["next"] = {"per_page": size, "starting_after": sealed(0, found[size - 1])}
        return answer_json({"type": "list", "data": page, "total_count": total, "pages": pages})

    @route("POST", "/contacts/search")
    def search_contacts(self, request: Request, grant: Grant) -> Response:
        here, asked = self._of(grant), json.loads(request.get_data() or b"{}")
        with_merges, found_until = request.args.get("include_merge_history") == "true", self.clock.now()
        newest = (found_until - self.searchable_after).timestamp()
        with self.lock:
            try:
                test = compiled(asked.get("query"), here.zone)
                known = [kept for kept in list(here.contacts.values()) if kept["created_at"] <= newest]
                page, pages, total = paged(known, asked, test)
            except BadSearch as error:
                return failed(400, "parameter_invalid", str(error))
            shown = [here.contact(row["id"], merge_history=with_merges) for row in page]
        return answer_json({"type": "list", "data": shown, "total_count": total, "pages": pages})

    @route("GET", "/contacts/<contact_id>")
    def one_contact(self, request: Request, grant: Grant, contact_id: str) -> Response:
        here = self._of(grant)
        if (missing := self._missing(here, contact_id)) is not None:
            return missing
        history = request.args.get("include_merge_history") == "true"
        return answer_json(here.contact(contact_id, merge_history=history))

    def _missing(self, here: Workspace, contact_id: str) -> Response | None:
        if contact_id in here.merged:
            link = f'</contacts/{here.canonical(contact_id)}>; rel="canonical"'
            said = "This contact has been merged. See the 'Link' header for the canonical contact."
            return failed(410, "contact_merged", said, {"Link": link})
        return None if contact_id in here.contacts else failed(404, "not_found", "User Not Found")

    @route("PUT", "/contacts/<contact_id>")
    def update_contact(self, request: Request, grant: Grant, contact_id: str) -> Response:
        here, wanted = self._of(grant), json.loads(request.get_data())
        if (missing := self._missing(here, contact_id)) is not None:
            return missing
        attributes = wanted.get("custom_attributes") or {}
        for name in attributes:
            if here.attributes.get(name, {"archived": True})["archived"]:
                return failed(400, "parameter_invalid", f"Custom attribute '{name}' does not exist")
        with self.lock:
            kept = here.contacts[contact_id]
            merged = {**kept["custom_attributes"], **attributes}
            kept |= {**wanted, "custom_attributes": merged, "updated_at": self._now()}
            shown = here.contact(contact_id)
        self.notifier.notify(here.id, f"contact.{kept['role']}.updated", iso_contact(shown))
        return answer_json(shown)

    @route("GET", "/contacts/<contact_id>/companies")
    def companies_of(self, request: Request, grant: Grant, contact_id: str) -> Response:
        here = self._of(grant)
        if (missing := self._missing(here, contact_id)) is not None:
            return missing
        found = [here.companies[id_] for id_ in here.contacts[contact_id].get("companies", ())]
        pages = {"type": "pages", "next": None, "page": 1, "per_page": 50, "total_pages": 1}
        return answer_json({"type": "list", "data": found, "pages": pages, "total_count": len(found)})

    @route("POST", "/conversations/search")
    def search_conversations(self, request: Request, grant: Grant) -> Response:
        here, asked = self._of(grant), json.loads(request.get_data() or b"{}")
        with self.lock:
            try:
                page, pages, total = paged(
                    list(here.conversations.values()), asked, compiled(asked.get("query"), here.zone)
                )
            except BadSearch as error:
                return failed(400, "parameter_invalid", str(error))
        # What was said is only in the conversation itself.
        shown = [{name: row[name] for name in row if name != "conversation_parts"} for row in page]
        body = {"type": "conversation.list", "conversations": shown, "total_count": total, "pages": pages}
        return answer_json(body)

    @route("GET", "/conversations/<conversation_id>")
    def one_conversation(self, request: Request, grant: Grant, conversation_id: str) -> Response:
        found = self._of(grant).conversations.get(conversation_id)
        return answer_json(found) if found else failed(404, "not_found", "Conversation not found")

    @route("GET", "/companies/scroll")
    def scroll_companies(self, request: Request, grant: Grant) -> Response:
        here, stated, now = self._of(grant), request.args.get("scroll_param"), self.clock.now()
        with self.lock:
            scroll, start, until = here.scroll or ("", 0, now)
            is_open = until > now
            if not stated:
                if is_open:
                    return failed(400, "scroll_exists", "scroll already exists for this workspace")
                scroll, start = str(uuid4()), 0
            elif not is_open or stated != scroll:
                return failed(404, "not_found", "scroll parameter not found")
            page = list(here.companies.values())[start : start + _SCROLL_PAGE]
            here.scroll = (scroll, start + len(page), now + _SCROLL_ENDS) if page else None
        body = {"type": "list", "data": page, "pages": None, "total_count": None, "scroll_param": scroll}
        return answer_json(body)

    @route("GET", "/data_attributes")
    def list_attributes(self, request: Request, grant: Grant) -> Response:
        archived_too = request.args.get("include_archived") == "true"
        built_in = {"type": "data_attribute", "model": "contact", "name": "email", "custom": False, "archived": False}
        own = [row for row in self._of(grant).attributes.values() if archived_too or not row["archived"]]
        return answer_json({"type": "list", "data": [built_in, *own]})

    @route("POST", "/data_attributes")
    def create_attribute(self, request: Request, grant: Grant) -> Response:
        here, wanted = self._of(grant), json.loads(request.get_data())
        name = wanted.get("name", "")
        if wanted.get("data_type") not in _TYPES:
            return failed(400, "parameter_invalid", "Data Type isn't an option")
        with self.lock:
            if name in here.attributes:
                said = f"You already have '{name}' in your contact data. To save this as new people data, "
                return failed(400, "parameter_invalid", said + "use a different name.")
            row = {"type": "data_attribute", "id": len(here.attributes) + 1, "custom": True, "archived": False}
            here.attributes[name] = {**row, **wanted, "full_name": f"custom_attributes.{name}", "label": name}
        return answer_json(here.attributes[name])

    @route("PUT", "/data_attributes/<int:attribute_id>")
    def update_attribute(self, request: Request, grant: Grant, attribute_id: int) -> Response:
        for row in self._of(grant).attributes.values():
            if row["id"] == attribute_id:
                row |= json.loads(request.get_data())
                return answer_json(row)
        return failed(404, "field_not_found", "We couldn't find that data attribute to update")

    @route("GET", "/events")
    def list_events(self, request: Request, grant: Grant) -> Response:
        whose = request.args.get("intercom_user_id")
        found = [event for event in self._of(grant).events if event["intercom_user_id"] == whose]
        return answer_json({"type": "event.list", "events": found, "pages": {}})

    @route("GET", "/tags")
    def list_tags(self, request: Request, grant: Grant) -> Response:
        found = [{"type": "tag", "id": id_, "name": name} for id_, name in self._of(grant).tags.items()]
        return answer_json({"type": "list", "data": found})
