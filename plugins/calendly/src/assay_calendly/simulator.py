"""A stand-in of Calendly: login with single-use refresh tokens, lists, limits, webhooks."""

import base64
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from assay_calendly.api import below, uuid_of
from assay_calendly.happenings import Happenings
from assay_calendly.subscriptions import GROUPS
from assay_calendly.world import HOST, SINCE, Json, User, a_subscription, a_user
from assay_sdk.testing import answer_json, route
from assay_sdk.testing.simulator import Grant

PER_MINUTE = {"standard": 500, "free": 50}
TOKENS_PER_MINUTE = 8
_HAS_WEBHOOKS = frozenset({"standard"})
_MINUTE = timedelta(minutes=1)


def problem(status: int, title: str, message: str, details: list[Json] | None = None, **more: Any) -> Response:
    return answer_json({"title": title, "message": message, "details": details or [], **more}, status)


def invalid(parameter: str, message: str) -> Response:
    details = [{"parameter": parameter, "message": message, "code": "invalid"}]
    return problem(400, "Invalid Argument", "The supplied parameters are invalid.", details)


def needs(scope: str, grant: Grant) -> Response | None:
    """An answer to a call that was never allowed; ``:write`` includes ``:read``."""
    if not grant.scopes or scope in grant.scopes or scope.replace(":read", ":write") in grant.scopes:
        return None
    return problem(403, "Insufficient scope", "The token lacks a scope.", required_scopes=[scope])


class CalendlySimulator(Happenings):
    """Two organizations: one on a paid plan with an admin and a member, one on the free plan."""

    name = "calendly"
    access_lifetime = timedelta(hours=2)
    code_lifetime = timedelta(minutes=10)
    rotates = True
    #: Requests, and tokens, by user and minute.
    per_minute: ClassVar[Mapping[str, int]] = PER_MINUTE

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._asked: dict[str, tuple[datetime, int]] = {}

    def app_settings(self) -> dict[str, str]:
        return {
            **super().app_settings(),
            "authorize_url": f"{self.address}/oauth/authorize",
            "token_url": f"{self.address}/oauth/token",
            "revoke_url": f"{self.address}/oauth/revoke",
        }

    def accounts(self) -> Mapping[str, str]:
        return {uuid: f"{user.name} ({user.role}, {user.organization.plan} plan)" for uuid, user in self.users.items()}

    # Login.

    @route("GET", "/oauth/authorize", guarded=False)
    def ask(self, request: Request) -> Response:
        if request.args.get("client_id") != self.client_id or request.args.get("response_type") != "code":
            return problem(400, "Invalid Argument", "The app is unknown.")
        return self.consent_page(request)

    @route("POST", "/oauth/authorize", guarded=False)
    def allow(self, request: Request) -> Response:
        given, state = self.consent(request), request.args.get("state", "")
        back = {"error": "access_denied"} if given is None else {"code": given[0]}
        return redirect(f"{request.args.get('redirect_uri', '')}?{urlencode({**back, 'state': state})}")

    @route("POST", "/oauth/token", guarded=False)
    def token(self, request: Request) -> Response:
        basic = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {basic}":
            return answer_json({"error": "invalid_client"}, 401)
        form = request.form
        if form.get("grant_type") == "authorization_code":
            grant = self.redeem(
                form.get("code", ""), redirect_uri=form.get("redirect_uri", ""), verifier=form.get("code_verifier")
            )
        elif form.get("grant_type") == "refresh_token":
            grant = self.redeem_refresh(form.get("refresh_token", ""))
        else:
            return answer_json({"error": "unsupported_grant_type"}, 400)
        if grant is None:
            return answer_json({"error": "invalid_grant", "error_description": "It is unknown, or was used."}, 400)
        left, wait = self._count(f"token {grant.account}", TOKENS_PER_MINUTE)
        if left < 0:
            return answer_json({"error": "too_many_requests"}, 429, {"X-RateLimit-Reset": str(wait)})
        return answer_json(self.token_body(grant))

    @route("POST", "/oauth/revoke", guarded=False)
    def revoke(self, request: Request) -> Response:
        form = request.form
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            return answer_json({"error": "invalid_client"}, 401)
        with self.lock:
            for grant in self.grants:
                if form.get("token") in (grant.access_token, grant.refresh_token):
                    grant.revoked = True
        return answer_json({})

    def token_body(self, grant: Grant) -> dict[str, Any]:
        user = self.users[grant.account]
        return {
            **super().token_body(grant),
            "token_type": "Bearer",
            "scope": " ".join(grant.scopes),
            "created_at": int(self.clock.now().timestamp()),
            "owner": user.uri,
            "organization": user.organization.uri,
        }

    def refuse_unauthorised(self) -> Response:
        return problem(401, "Unauthenticated", "The access token is invalid")

    # Limits.

    def limit(self, request: Request, grant: Grant) -> Response | None:
        most = self.per_minute[self.users[grant.account].organization.plan]
        left, wait = self._count(grant.account, most)
        told = {
            "X-RateLimit-Limit": str(most),
            "X-RateLimit-Remaining": str(max(left, 0)),
            "X-RateLimit-Reset": str(wait),
        }
        request.environ["calendly.limit"] = told
        if left >= 0:
            return None
        return problem(429, "Too Many Requests", "You have exceeded your request limit.")

    def _count(self, key: str, most: int) -> tuple[int, int]:
        """How many are left in this minute, and the seconds until the next one."""
        now = self.clock.now()
        with self.lock:
            began, count = self._asked.get(key, (now, 0))
            if now - began >= _MINUTE:
                began, count = now, 0
            self._asked[key] = began, count + 1
        return most - count - 1, max(1, round((_MINUTE - (now - began)).total_seconds()))

    def _answer(self, request: Request) -> Response:
        answer = super()._answer(request)
        answer.headers.update(request.environ.get("calendly.limit", {}))
        return answer

    def page(self, request: Request, records: Iterable[Json]) -> Response:
        """Some of the records, in the order asked for; tokens tell where the next page begins."""
        count = request.args.get("count", "20")
        if not count.isdecimal() or not 1 <= int(count) <= 100:
            return invalid("count", "must be from 1 to 100")
        token = request.args.get("page_token", "")
        start = token.removeprefix("at-")
        if token and not start.isdecimal():
            return invalid("page_token", "is no longer good")
        name, _, way = request.args.get("sort", "created_at:asc").partition(":")
        ordered = sorted(records, key=lambda one: (str(one.get(name)), str(one["uri"])), reverse=way == "desc")
        first = int(start or 0)
        shown, end = ordered[first : first + int(count)], first + int(count)
        following = f"at-{end}" if end < len(ordered) else None
        pagination = {
            "count": len(shown),
            "next_page": f"{HOST}{request.path}?page_token={following}" if following else None,
            "previous_page": None,
            "next_page_token": following,
            "previous_page_token": None,
        }
        return answer_json({"collection": shown, "pagination": pagination})

    # Who.

    @route("GET", "/users/me")
    def me(self, request: Request, grant: Grant) -> Response:
        user = self.users[grant.account]
        shown = {**a_user(user), "current_organization": user.organization.uri}
        return needs("users:read", grant) or answer_json({"resource": shown})

    @route("GET", "/organization_memberships")
    def memberships(self, request: Request, grant: Grant) -> Response:
        if refused := needs("organizations:read", grant):
            return refused
        user, asked = self.users[grant.account], request.args.get("user")
        if asked != user.uri and user.role == "user":
            return problem(403, "Permission Denied", "You do not have permission")
        return self.page(
            request,
            [
                {
                    "uri": f"{HOST}/organization_memberships/{one.uuid}",
                    "role": one.role,
                    "user": a_user(one),
                    "organization": one.organization.uri,
                    "created_at": SINCE,
                    "updated_at": SINCE,
                }
                for one in self.users.values()
                if one.organization is user.organization and asked in (None, one.uri)
            ],
        )

    # Meetings.

    @route("GET", "/scheduled_events")
    def scheduled_events(self, request: Request, grant: Grant) -> Response:
        user, args = self.users[grant.account], request.args
        if refused := needs("scheduled_events:read", grant) or self._stranger(request, user):
            return refused
        keeps: list[Callable[[Json], bool]] = []
        if whose := args.get("user"):
            keeps.append(lambda one: any(member["user"] == whose for member in one["event_memberships"]))
        if status := args.get("status"):
            keeps.append(lambda one: bool(one["status"] == status))
        if since := args.get("min_start_time"):
            keeps.append(lambda one: bool(one["start_time"] >= since))
        if until := args.get("max_start_time"):
            keeps.append(lambda one: bool(one["start_time"] <= until))
        if email := args.get("invitee_email"):
            invitees = user.organization.invitees
            keeps.append(lambda one: any(who["email"] == email for who in invitees[uuid_of(one["uri"])]))
        found = [one for one in user.organization.meetings.values() if all(keep(one) for keep in keeps)]
        return self.page(request, found)

    @route("GET", "/scheduled_events/<uuid>")
    def scheduled_event(self, request: Request, grant: Grant, uuid: str) -> Response:
        found = self.users[grant.account].organization.meetings.get(uuid)
        return needs("scheduled_events:read", grant) or one_or_none(found)

    @route("GET", "/scheduled_events/<uuid>/invitees")
    def invitees(self, request: Request, grant: Grant, uuid: str) -> Response:
        if refused := needs("scheduled_events:read", grant):
            return refused
        found = self.users[grant.account].organization.invitees.get(uuid)
        if found is None:
            return one_or_none(None)
        status, email = request.args.get("status"), request.args.get("email")
        kept = [one for one in found if status in (None, one["status"]) and email in (None, one["email"])]
        return self.page(request, kept)

    @route("GET", "/scheduled_events/<uuid>/invitees/<invitee>")
    def invitee(self, request: Request, grant: Grant, uuid: str, invitee: str) -> Response:
        found = self.users[grant.account].organization.invitees.get(uuid, [])
        mine = next((one for one in found if uuid_of(one["uri"]) == invitee), None)
        return needs("scheduled_events:read", grant) or one_or_none(mine)

    # Routing forms.

    @route("GET", "/routing_forms")
    def routing_forms(self, request: Request, grant: Grant) -> Response:
        user = self.users[grant.account]
        refused = needs("routing_forms:read", grant) or self._stranger(request, user)
        return refused or self.page(request, user.organization.forms.values())

    @route("GET", "/routing_form_submissions")
    def submissions(self, request: Request, grant: Grant) -> Response:
        if refused := needs("routing_forms:read", grant):
            return refused
        form, organization = request.args.get("form", ""), self.users[grant.account].organization
        if not form.startswith(f"{HOST}/routing_forms/"):
            return invalid("form", "must be the URI of a form")
        return self.page(request, [one for one in organization.submissions.values() if one["routing_form"] == form])

    @route("GET", "/routing_form_submissions/<uuid>")
    def submission(self, request: Request, grant: Grant, uuid: str) -> Response:
        found = self.users[grant.account].organization.submissions.get(uuid)
        return needs("routing_forms:read", grant) or one_or_none(found)

    # Webhooks.

    @route("GET", "/webhook_subscriptions")
    def subscriptions(self, request: Request, grant: Grant) -> Response:
        user, scope = self.users[grant.account], request.args.get("scope")
        if refused := needs("webhooks:read", grant) or self._without_plan(user) or self._stranger(request, user):
            return refused
        if scope not in ("organization", "user", "group") or not request.args.get("organization"):
            return invalid("scope", "is needed, and so is organization")
        found = user.organization.subscriptions.values()
        return self.page(request, [one for one in found if one["scope"] == scope])

    @route("POST", "/webhook_subscriptions")
    def subscribe(self, request: Request, grant: Grant) -> Response:
        user, asked = self.users[grant.account], request.get_json()
        if refused := needs("webhooks:write", grant) or self._without_plan(user):
            return refused
        for name in ("url", "events", "organization", "scope"):
            if not asked.get(name):
                return invalid(name, "is missing")
        group = next((one for one in GROUPS if set(asked["events"]) <= set(one.events)), None)
        if group is None:
            return invalid("events", "need separate subscriptions")
        if refused := needs(group.needs, grant):
            return refused
        if asked["scope"] not in group.reaches or (asked["scope"] == "user" and not asked.get("user")):
            return invalid("scope", "is not one for these events")
        if asked["scope"] == "organization" and user.role == "user":
            return problem(403, "Permission Denied", "You do not have permission to access this resource.")
        held = user.organization
        if any(one["callback_url"] == asked["url"] for one in held.subscriptions.values()):
            return problem(409, "Already Exists", "Hook with this url already exists")
        made = a_subscription(self.new_name(), user, asked, self.clock.now())
        held.subscriptions[uuid_of(made["uri"])] = made
        held.keys[uuid_of(made["uri"])] = str(asked.get("signing_key") or "")
        return answer_json({"resource": made}, 201)

    @route("DELETE", "/webhook_subscriptions/<uuid>")
    def unsubscribe(self, request: Request, grant: Grant, uuid: str) -> Response:
        if refused := needs("webhooks:write", grant):
            return refused
        if self.users[grant.account].organization.subscriptions.pop(uuid, None) is None:
            return one_or_none(None)
        return Response(status=204)

    def _without_plan(self, user: User) -> Response | None:
        if user.organization.plan in _HAS_WEBHOOKS:
            return None
        return problem(403, "Permission Denied", "Please upgrade your Calendly account to Standard")

    def _stranger(self, request: Request, user: User) -> Response | None:
        """Filters take URIs, not UUIDs; and a member sees no organization."""
        organization, whose = request.args.get("organization"), request.args.get("user")
        if organization is None and whose is None:
            return invalid("organization", "must be given, or user")
        for name, value, kind in (("organization", organization, "organizations"), ("user", whose, "users")):
            if value is not None and not (value.startswith(HOST) and below(value, kind)):
                return invalid(name, "must be a URI")
        if organization not in (None, user.organization.uri):
            return problem(403, "Permission Denied", "You do not have permission to access this resource.")
        if user.role == "user" and whose != user.uri:
            return problem(403, "Permission Denied", "You do not have permission")
        return None


def one_or_none(found: Json | None) -> Response:
    if found is None:
        return problem(404, "Resource Not Found", "The server could not find the requested resource.")
    return answer_json({"resource": found})
