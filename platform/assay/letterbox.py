"""How mail leaves this installation, from its settings; and the courier that takes it there."""

from email.utils import parseaddr
from threading import Event, Thread

from assay.settings import BadSetting, Settings
from assay_tenants.access import recovery
from assay_tenants.mailing import Post, courier, is_address

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def post_of(settings: Settings) -> Post:
    """Raises BadSetting when mail is to be sent and it is not said from whom."""
    if settings.smtp_url and not is_address(parseaddr(settings.mail_from)[1]):
        raise BadSetting(
            "mail_from",
            "is needed with ASSAY_SMTP_URL" if not settings.mail_from else "is no e-mail address",
            "an address, with a name or without, such as Assay <assay@example.com>",
        )
    return Post(
        smtp_url=settings.smtp_url,
        sender=settings.mail_from,
        address=settings.address,
        is_private=not settings.smtp_url
        and not settings.public_url
        and not settings.trusted_proxies
        and settings.host in LOOPBACK,
    )


def send_courier() -> None:
    """Starts the thread that delivers mail, beside the timetable; a server that is slow keeps no queue waiting."""
    Thread(target=courier.rounds, args=(Event().wait, recovery.send_links), name="courier", daemon=True).start()
