"""The stand-in's forms, e-mail events and chats, and the settings of the app's webhooks."""

from itertools import islice
from typing import Any

from werkzeug.wrappers import Request, Response

from assay_hubspot.paths import EMAIL_EVENTS, FORMS, SUBMISSIONS, THREADS, WEBHOOKS
from assay_hubspot.simulator.answers import error, missing_scope
from assay_hubspot.simulator.people import FORMS as KNOWN_FORMS
from assay_hubspot.simulator.state import State
from assay_sdk.testing import answer_json, route
from assay_sdk.testing.simulator import Grant


class Marketing(State):
    """Views beside the CRM."""

    @route("GET", FORMS)
    def forms(self, request: Request, grant: Grant) -> Response:
        if "forms" not in grant.scopes:
            return missing_scope("forms")
        start, limit = request.args.get("after", 0, int), request.args.get("limit", 20, int)
        named = [{"id": guid, "name": name, "archived": False} for guid, name in KNOWN_FORMS.items()]
        return answer_json(_page({"results": named[start : start + limit]}, start + limit, len(named)))

    @route("GET", f"{SUBMISSIONS}/<guid>")
    def submissions(self, request: Request, grant: Grant, guid: str) -> Response:
        if "forms" not in grant.scopes:
            return missing_scope("forms")
        found = self.portal_of(grant).submissions.get(guid)
        limit = request.args.get("limit", 20, int)
        if found is None:
            return error(404, "OBJECT_NOT_FOUND", "No form with that id.")
        if not 1 <= limit <= 50:
            return error(400, "VALIDATION_ERROR", "limit must be between 1 and 50")
        start = request.args.get("after", 0, int)
        newest_first = list(islice(reversed(found), start, start + limit))
        return answer_json(_page({"results": newest_first}, start + limit, len(found)))

    @route("GET", EMAIL_EVENTS)
    def email_log(self, request: Request, grant: Grant) -> Response:
        if "content" not in grant.scopes:
            return missing_scope("content")
        limit = request.args.get("limit", 10, int)
        begin, end = request.args.get("startTimestamp", 0, int), request.args.get("endTimestamp", 2**53, int)
        if not 1 <= limit <= 1000:
            return error(400, "VALIDATION_ERROR", "limit must be between 1 and 1000")
        token, _, place = request.args.get("offset", "").partition(":")
        if token and token != f"{begin}-{end}":
            return error(400, "VALIDATION_ERROR", "The offset belongs to another query.")
        start = int(place or 0)
        log = self.portal_of(grant).email_events
        found = [event for event in reversed(log) if begin <= event["created"] <= end]
        more = start + limit < len(found)
        offset = f"{begin}-{end}:{start + limit}"
        return answer_json({"hasMore": more, "offset": offset, "events": found[start : start + limit]})

    @route("GET", f"{THREADS}/<int:thread>")
    def thread(self, request: Request, grant: Grant, thread: int) -> Response:
        found = self.portal_of(grant).threads.get(thread)
        if found is None:
            return error(404, "OBJECT_NOT_FOUND", "No such thread.")
        return answer_json({name: value for name, value in found.items() if name != "messages"})

    @route("GET", f"{THREADS}/<int:thread>/messages/<message>")
    def message(self, request: Request, grant: Grant, thread: int, message: str) -> Response:
        found = self.portal_of(grant).threads.get(thread, {}).get("messages", {}).get(message)
        return error(404, "OBJECT_NOT_FOUND", "No such message.") if found is None else answer_json(found)

    # Webhooks of the app: by the developer's key, not by a portal's token.

    def _is_developer(self, request: Request) -> bool:
        return request.args.get("hapikey") == self.developer_key

    @route("GET", f"{WEBHOOKS}/<int:app>/settings", guarded=False)
    def hook_settings(self, request: Request, app: int) -> Response:
        if not self._is_developer(request):
            return self.refuse_unauthorised()
        if not self.hook_url:
            return error(404, "OBJECT_NOT_FOUND", "The app has no webhooks yet.")
        return answer_json({"targetUrl": self.hook_url, "throttling": {"maxConcurrentRequests": 10}})

    @route("PUT", f"{WEBHOOKS}/<int:app>/settings", guarded=False)
    def set_hook_settings(self, request: Request, app: int) -> Response:
        if not self._is_developer(request):
            return self.refuse_unauthorised()
        self.hook_url = request.get_json()["targetUrl"]
        return answer_json(request.get_json())

    @route("GET", f"{WEBHOOKS}/<int:app>/subscriptions", guarded=False)
    def list_subscriptions(self, request: Request, app: int) -> Response:
        if not self._is_developer(request):
            return self.refuse_unauthorised()
        return answer_json({"results": list(self.subscriptions.values())})

    @route("POST", f"{WEBHOOKS}/<int:app>/subscriptions", guarded=False)
    def subscribe(self, request: Request, app: int) -> Response:
        if not self._is_developer(request):
            return self.refuse_unauthorised()
        wanted = request.get_json()
        return answer_json(self.add_subscription(wanted["eventType"], wanted.get("propertyName")), 201)

    @route("PATCH", f"{WEBHOOKS}/<int:app>/subscriptions/<int:number>", guarded=False)
    def switch_subscription(self, request: Request, app: int, number: int) -> Response:
        if not self._is_developer(request):
            return self.refuse_unauthorised()
        self.subscriptions[number]["active"] = request.get_json()["active"]
        return answer_json(self.subscriptions[number])


def _page(body: dict[str, Any], following: int, total: int) -> dict[str, Any]:
    return {**body, "paging": {"next": {"after": str(following)}}} if following < total else body
