"""The plugin's words: events that Intercom brings, and what they are worth to begin with."""

from assay_sdk import EventType

VOCABULARY = (
    EventType("contact.created", "Became a contact", 0, "contact.user.created, contact.lead.created"),
    EventType("signup.completed", "Signed up", 20, "contact.lead.signed_up, visitor.signed_up"),
    EventType("chat.started", "Started a chat", 8, "conversation.user.created"),
    EventType("chat.replied", "Replied in a chat", 3, "conversation.user.replied"),
    EventType("chat.rated", "Rated a chat", 1, "conversation.rating.added"),
    EventType("email.opened", "Opened a mail", 1, "content_stat.email open"),
    EventType("email.clicked", "Clicked a link in a mail", 5, "content_stat.email click"),
    EventType("email.replied", "Replied to a mail", 10, "content_stat.email reply"),
    EventType("email.bounced", "A mail bounced", -5, "content_stat.email hard_bounce, soft_bounce"),
    EventType("email.complained", "Called a mail spam", -25, "content_stat.email spam_complaint"),
    EventType("message.opened", "Opened a message in the app", 1, "content_stat.chat, content_stat.post … open"),
    EventType("message.clicked", "Clicked in a message in the app", 5, "content_stat.chat, content_stat.post … click"),
    EventType("unsubscribed", "Unsubscribed", -20, "contact.unsubscribed"),
)

#: Intercom's events of the tenant's own making get this before their name: ``product.invited_friend``.
PRODUCT = "product"
