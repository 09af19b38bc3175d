"""What people do in a workspace of the stand-in, and the notifications of it."""

from collections.abc import Callable, Mapping
from typing import Any

from assay_intercom.simulator.notifying import Notifier, iso_contact
from assay_intercom.simulator.workspaces import Row, Workspace
from assay_sdk.clock import Clock


class Happenings:
    """Each changes a workspace and tells of it, as Intercom would."""

    def __init__(self, workspace: Workspace, clock: Clock, notifier: Notifier) -> None:
        self.workspace = workspace
        self._clock = clock
        self._notifier = notifier

    @property
    def now(self) -> int:
        return int(self._clock.now().timestamp())

    def tell(self, topic: str, item: Mapping[str, Any]) -> None:
        self._notifier.notify(self.workspace.id, topic, item)

    def _tell_contact(self, topic: str, contact_id: str, **beside: Any) -> None:
        self.tell(topic, {**iso_contact(self.workspace.contact(contact_id)), **beside})

    def arrive(self, *, role: str = "lead", **fields: Any) -> str:
        """A new contact; gives its id."""
        made = self.workspace.add_contact(self.now, role=role, **fields)
        self._tell_contact(f"contact.{role}.created", made["id"])
        return str(made["id"])

    def change(self, contact_id: str, **fields: Any) -> None:
        kept = self.workspace.contacts[contact_id]
        kept |= {**fields, "updated_at": self.now}
        self._tell_contact(f"contact.{kept['role']}.updated", contact_id)

    def sign_up(self, contact_id: str, external_id: str) -> None:
        kept = self.workspace.contacts[contact_id]
        kept |= {"role": "user", "external_id": external_id, "signed_up_at": self.now, "updated_at": self.now}
        self._tell_contact("contact.lead.signed_up", contact_id)

    def merge(self, old_id: str, new_id: str) -> None:
        old = self.workspace.contacts.pop(old_id)
        self.workspace.merged[old_id] = (new_id, self.now, old["role"])
        self.workspace.contacts[new_id]["updated_at"] = self.now
        self._tell_contact("contact.merged", new_id, merged_from={"type": "contact", "id": old_id})

    def archive(self, contact_id: str) -> None:
        item = iso_contact(self.workspace.contact(contact_id))
        self.workspace.archived[contact_id] = self.workspace.contacts.pop(contact_id)
        self.tell("contact.archived", item)

    def unarchive(self, contact_id: str) -> None:
        self.workspace.contacts[contact_id] = self.workspace.archived.pop(contact_id)
        self.workspace.contacts[contact_id]["updated_at"] = self.now
        self._tell_contact("contact.unarchive", contact_id)

    def delete(self, contact_id: str) -> None:
        gone = self.workspace.contacts.pop(contact_id)
        self.tell("contact.deleted", {"type": "contact", "id": contact_id, "external_id": gone.get("external_id")})

    def chat(self, contact_id: str) -> str:
        """Starts a conversation; gives its id."""
        talk = self.workspace.add_conversation(self.now, contact_id)
        self.tell("conversation.user.created", talk)
        return str(talk["id"])

    def reply(self, conversation_id: str, contact_id: str, *, by_admin: bool = False) -> None:
        said = self.workspace.add_reply(self.now, conversation_id, contact_id, by_admin=by_admin)
        parts = {"type": "conversation_part.list", "conversation_parts": [said], "total_count": 1}
        topic = "conversation.admin.replied" if by_admin else "conversation.user.replied"
        self.tell(topic, {**self.workspace.conversations[conversation_id], "conversation_parts": parts})

    def rate(self, conversation_id: str, contact_id: str, rating: int) -> None:
        talk = self.workspace.conversations[conversation_id]
        whose = {"type": "contact", "id": contact_id}
        talk["conversation_rating"] = {"rating": rating, "remark": "", "created_at": self.now, "contact": whose}
        talk["updated_at"] = self.now
        self.tell("conversation.rating.added", talk)

    def mail(
        self, contact_id: str, did: str, *, kind: str = "email", behind: int = 0, then: Callable[[], None] | None = None
    ) -> None:
        """Something with a message: ``open``, ``click``, ``hard_bounce``, ``unsubscribe`` …

        Args:
            behind: so many seconds the contact's field lies behind the notification.
            then: what happens before what is told twice is told again.
        """
        kept = self.workspace.contacts[contact_id]
        field = {"open": "last_email_opened_at", "click": "last_email_clicked_at"}.get(did)
        if field and kind == "email":
            kept[field] = self.now - behind
        if did == "unsubscribe":
            kept |= {"unsubscribed_from_emails": True, "updated_at": self.now}
        stat = {"id": self.workspace.next_id(), "content_type": kind, "content_id": "77", "stat_type": did}
        stat |= {"ruleset_id": "78", "content_title": "News of the autumn"}
        contact = iso_contact(self.workspace.contact(contact_id))
        type_ = f"content_stat.{kind}"
        self.tell(type_, {"type": type_, "created_at": self.now, "content_stat": stat, "contact": contact})
        if did == "unsubscribe":
            if then is not None:
                then()
            item = {"type": "contact_unsubscribe", "contact": contact, "subscription_types": None}
            self.tell("contact.unsubscribed", {**item, "created_at": self.now})

    def track(self, contact_id: str, event_name: str, **metadata: Any) -> Row:
        """An event of the customer's own product."""
        kept = self.workspace.contacts[contact_id]
        made: Row = {"type": "event", "event_name": event_name, "id": self.workspace.next_id("e0")}
        made |= {"intercom_user_id": contact_id, "user_id": kept.get("external_id"), "email": kept.get("email")}
        made |= {"metadata": metadata, "created_at": self.now}
        self.workspace.events.append(made)
        self.tell("event.created", made)
        return made
