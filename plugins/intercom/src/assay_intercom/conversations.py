"""Intercom's conversations as records: who started, replied and rated, and never what was said."""

from collections.abc import Iterator, Mapping
from typing import Any

from assay_intercom.contacts import VENDOR, identifiers
from assay_intercom.values import instant, rows, scalar, sender_id, text
from assay_sdk import Event, Identifiers, Misunderstood, Record, Value
from assay_sdk.values import part

_CONTACTS = frozenset({"user", "lead", "contact", "visitor"})
_SAID = frozenset({"comment", "quick_reply"})


def conversation_records(conversation: Mapping[str, Any], *, started: bool = False) -> Iterator[Record]:
    """The same events, with the same ids, from a notification, a search's result or the conversation itself.

    Args:
        started: a contact is known to have started it.
    """
    id_ = text(conversation.get("id"))
    if id_ is None:
        raise Misunderstood("The conversation has no id.", field="id")
    source = part(conversation, "source")
    author = part(source, "author")
    if started or text(author.get("type")) in _CONTACTS or source.get("delivered_as") == "customer_initiated":
        yield from _started(conversation, id_, source, author)
    for reply in replies(conversation):
        part_id, at = text(reply.get("id")), instant(reply.get("created_at"), "conversation_parts.created_at")
        whose = _whose(conversation, part(reply, "author"))
        if part_id and at and whose:
            yield Event(whose, "chat.replied", {"conversation_id": id_}, at, sender_id("reply", id_, part_id))
    yield from _rated(conversation, id_)


def replies(conversation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parts that a contact said."""
    found = rows(part(conversation, "conversation_parts"), "conversation_parts")
    return [
        one
        for one in found
        if text(part(one, "author").get("type")) in _CONTACTS
        and (text(one.get("part_type")) in _SAID or one.get("body"))
    ]


def trimmed(conversation: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a conversation that was pulled: nothing that anybody wrote."""
    kept = {name: conversation.get(name) for name in ("id", "created_at", "updated_at", "contacts")}
    source = part(conversation, "source")
    kept["source"] = {name: source.get(name) for name in ("type", "delivered_as", "url")} | {
        "author": _trimmed_author(part(source, "author"))
    }
    rating = part(conversation, "conversation_rating")
    kept["conversation_rating"] = {name: rating[name] for name in ("rating", "created_at", "contact") if name in rating}
    kept["conversation_parts"] = {
        "conversation_parts": [
            {
                "id": one.get("id"),
                "part_type": "comment",
                "created_at": one.get("created_at"),
                "author": _trimmed_author(part(one, "author")),
            }
            for one in replies(conversation)
        ]
    }
    return {"type": "conversation", **kept}


def _trimmed_author(author: Mapping[str, Any]) -> dict[str, Any]:
    return {name: author.get(name) for name in ("type", "id")}


def _started(
    conversation: Mapping[str, Any], id_: str, source: Mapping[str, Any], author: Mapping[str, Any]
) -> Iterator[Record]:
    at, whose = instant(conversation.get("created_at"), "created_at"), _whose(conversation, author)
    if at is None:
        raise Misunderstood("The conversation does not say when it began.", field="created_at")
    if whose is None:
        raise Misunderstood("The conversation does not say with whom it is.", field="contacts")
    properties: dict[str, Value] = {"conversation_id": id_}
    if channel := text(source.get("type")):
        properties["channel"] = channel
    if url := text(source.get("url")):
        properties["url"] = url
    yield Event(whose, "chat.started", properties, at, sender_id("conversation", id_))


def _rated(conversation: Mapping[str, Any], id_: str) -> Iterator[Record]:
    rating = part(conversation, "conversation_rating")
    value = scalar(rating.get("rating"))
    at = instant(rating.get("created_at") or conversation.get("updated_at"), "conversation_rating.created_at")
    whose = _whose(conversation, part(rating, "contact"))
    # An invitation to rate has no rating yet. Another one given later is another event.
    if value is None or isinstance(value, list) or at is None or whose is None:
        return
    properties: dict[str, Value] = {"conversation_id": id_, "rating": value}
    yield Event(whose, "chat.rated", properties, at, sender_id("rated", id_, str(value)))


def _whose(conversation: Mapping[str, Any], author: Mapping[str, Any]) -> Identifiers | None:
    """The author, if a contact is; otherwise the first contact who takes part."""
    known = rows(part(conversation, "contacts"), "contacts")
    id_ = text(author.get("id")) if text(author.get("type")) in _CONTACTS else None
    if id_ is not None:
        same = next((one for one in known if text(one.get("id")) == id_), {})
        return Identifiers(user_id=text(same.get("external_id")), vendor={VENDOR: id_})
    return next((identifiers(one) for one in known if text(one.get("id"))), None)
