"""What a stand-in of Calendly knows: organizations, people, meetings, forms, subscriptions."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from assay_calendly.api import stated

HOST = "https://api.calendly.com"
#: When everybody came.
SINCE = "2025-01-02T03:04:05.678123Z"
TRACKING = ("utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term", "salesforce_uuid")
#: Questions of the routing form.
MAIL, INDUSTRY = "095be615-a8ad-4c33-8e9c-c7612fbf6c9f", "123e4567-e89b-12d3-a456-426614174000"

Json = dict[str, Any]


@dataclass
class Organization:
    uuid: str
    plan: str = "standard"
    meetings: dict[str, Json] = field(default_factory=dict)
    #: By meeting.
    invitees: dict[str, list[Json]] = field(default_factory=dict)
    forms: dict[str, Json] = field(default_factory=dict)
    submissions: dict[str, Json] = field(default_factory=dict)
    subscriptions: dict[str, Json] = field(default_factory=dict)
    #: Keys of subscriptions, which no answer tells.
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return f"{HOST}/organizations/{self.uuid}"


@dataclass(frozen=True)
class User:
    uuid: str
    name: str
    email: str
    role: str
    organization: Organization

    @property
    def uri(self) -> str:
        return f"{HOST}/users/{self.uuid}"


def name_of(number: int) -> str:
    """A UUID as Calendly makes them: sixteen letters."""
    letters = ""
    for _ in range(16):
        number, digit = divmod(number, 26)
        letters = chr(ord("A") + digit) + letters
    return letters


def a_user(user: User) -> Json:
    slug = user.email.partition("@")[0]
    return {
        "uri": user.uri,
        "name": user.name,
        "slug": slug,
        "email": user.email,
        "scheduling_url": f"https://calendly.com/{slug}",
        "timezone": "Europe/Bucharest",
        "avatar_url": None,
        "created_at": SINCE,
        "updated_at": SINCE,
    }


def a_meeting(uuid: str, host: User, at: datetime, *, start: datetime, name: str, limit: int) -> Json:
    return {
        "uri": f"{HOST}/scheduled_events/{uuid}",
        "name": name,
        "status": "active",
        "start_time": stated(start),
        "end_time": stated(start + timedelta(minutes=30)),
        "event_type": f"{HOST}/event_types/{'C' * 16}",
        "location": {
            "type": "zoom_conference",
            "status": "pushed",
            "join_url": f"https://zoom.example.test/j/{uuid}?pwd=meeting-password",
            "data": {"id": "1", "password": "meeting-password"},
        },
        "invitees_counter": {"total": 0, "active": 0, "limit": limit},
        "created_at": stated(at),
        "updated_at": stated(at),
        "event_memberships": [{"user": host.uri, "user_email": host.email}],
        "event_guests": [],
        "calendar_event": {"kind": "google", "external_id": uuid.lower()},
    }


def an_invitee(uuid: str, meeting: Json, at: datetime, *, name: str, email: str, utm_source: str | None) -> Json:
    return {
        "uri": f"{meeting['uri']}/invitees/{uuid}",
        "email": email,
        "first_name": None,
        "last_name": None,
        "name": name,
        "status": "active",
        "questions_and_answers": [{"question": "Company size?", "answer": "50-100", "position": 0}],
        "timezone": "Europe/Bucharest",
        "event": meeting["uri"],
        "created_at": stated(at),
        "updated_at": stated(at),
        "tracking": dict.fromkeys(TRACKING) | {"utm_source": utm_source},
        "text_reminder_number": None,
        "rescheduled": False,
        "old_invitee": None,
        "new_invitee": None,
        "cancel_url": f"https://calendly.com/cancellations/{uuid}",
        "reschedule_url": f"https://calendly.com/reschedulings/{uuid}",
        "routing_form_submission": None,
        "payment": None,
        "no_show": None,
        "reconfirmation": None,
        "scheduling_method": None,
        "invitee_scheduled_by": None,
    }


def a_form(uuid: str, organization: Organization, at: datetime) -> Json:
    return {
        "uri": f"{HOST}/routing_forms/{uuid}",
        "organization": organization.uri,
        "name": "Demo request",
        "status": "published",
        "questions": [
            {"uuid": MAIL, "name": "Work email", "type": "email", "required": True, "answer_choices": None},
            {"uuid": INDUSTRY, "name": "Industry", "type": "select", "required": True, "answer_choices": ["Software"]},
        ],
        "created_at": stated(at),
        "updated_at": stated(at),
    }


def a_submission(uuid: str, form: Json, at: datetime, *, email: str | None, invitee: str | None) -> Json:
    answers = [{"question_uuid": INDUSTRY, "question": "Industry", "answer": "Software"}]
    if email:
        answers.insert(0, {"question_uuid": MAIL, "question": "Work email", "answer": email})
    return {
        "uri": f"{HOST}/routing_form_submissions/{uuid}",
        "routing_form": form["uri"],
        "questions_and_answers": answers,
        "tracking": dict.fromkeys(TRACKING),
        "result": {"type": "event_type", "value": f"{HOST}/event_types/{'C' * 16}"},
        "submitter": invitee,
        "submitter_type": "Invitee" if invitee else None,
        "created_at": stated(at),
        "updated_at": stated(at),
    }


def a_subscription(uuid: str, user: User, asked: Json, at: datetime) -> Json:
    return {
        "uri": f"{HOST}/webhook_subscriptions/{uuid}",
        "callback_url": asked["url"],
        "created_at": stated(at),
        "updated_at": stated(at),
        "retry_started_at": None,
        "state": "active",
        "events": list(asked["events"]),
        "scope": asked["scope"],
        "organization": user.organization.uri,
        "user": asked.get("user"),
        "creator": user.uri,
    }
