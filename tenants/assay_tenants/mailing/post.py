"""How mail leaves this installation: by one SMTP server, or not at all."""

import smtplib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlencode, urlsplit

import idna

PORTS = {"smtp": 25, "smtps": 465, "starttls": 587}
_PATIENCE_SECONDS = 15
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Post:
    """``smtp_url`` is smtp:// (no encryption), smtps:// (from the first byte) or starttls:// (insisted on)."""

    #: Empty: mail is not sent.
    smtp_url: str = ""
    sender: str = ""
    #: Where people reach us; links in mails begin with it, whatever a request's Host header claims.
    address: str = "http://127.0.0.1:8000"
    #: Whether only this machine reaches us, so that its owner may read mails that nobody sends.
    is_private: bool = False


_post = Post()


def configure(post: Post) -> None:
    """Called by each door of a process from its settings."""
    global _post
    _post = post


def current_post() -> Post:
    return _post


def link_to(path: str, **arguments: str) -> str:
    """The whole address of one of our pages."""
    return f"{_post.address.rstrip('/')}{path}?{urlencode(arguments)}" if arguments else f"{_post.address}{path}"


class Undeliverable(Exception):
    """This mail is refused for good; its reason is for a person."""


class NotNow(Exception):
    """It may go through later; the reason is for a person."""


def hand_over(post: Post, *, mail_id: str, to: str, subject: str, text: str, written_at: datetime) -> None:
    """Gives one mail to the SMTP server. Raises Undeliverable or NotNow."""
    try:
        message = _message(post, mail_id=mail_id, to=to, subject=subject, text=text, written_at=written_at)
        with _connection(post.smtp_url) as server:
            international = not message["To"].isascii()
            if international and not server.has_extn("smtputf8"):
                raise Undeliverable("The mail server takes no addresses with other than English letters.")
            options = ["SMTPUTF8", "BODY=8BITMIME"] if international else []
            body = message.as_bytes(policy=SMTP.clone(utf8=international))
            server.sendmail(parseaddr(post.sender)[1], [message["To"]], body, mail_options=options)
    except smtplib.SMTPRecipientsRefused as refused:
        code, answer = next(iter(refused.recipients.values()))
        raise _told(code, answer) from None
    except smtplib.SMTPAuthenticationError as refused:
        # The mail is innocent: it waits until the password is put right.
        raise NotNow(f"The mail server refuses our user name and password ({refused.smtp_code}).") from None
    except smtplib.SMTPResponseException as refused:
        raise _told(refused.smtp_code, refused.smtp_error) from None
    except (smtplib.SMTPException, OSError) as error:
        raise NotNow(f"The mail server can't be reached: {type(error).__name__}: {str(error)[:200]}") from None


def _told(code: int, answer: bytes | str) -> Undeliverable | NotNow:
    said = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    reason = f"The mail server said {code} {' '.join(said.split())[:200]}".rstrip()
    return Undeliverable(reason) if 500 <= code < 600 else NotNow(reason)


def _connection(url: str) -> smtplib.SMTP:
    parts = urlsplit(url)
    host, port = parts.hostname or "localhost", parts.port or PORTS[parts.scheme]
    context = ssl.create_default_context()
    server: smtplib.SMTP
    if parts.scheme == "smtps":
        server = smtplib.SMTP_SSL(host, port, timeout=_PATIENCE_SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=_PATIENCE_SECONDS)
    try:
        if parts.scheme == "starttls":
            server.starttls(context=context)
        server.ehlo_or_helo_if_needed()
        if parts.username:
            if parts.scheme == "smtp" and host not in _HERE:
                raise NotNow("A password would go unencrypted: use smtps:// or starttls:// in ASSAY_SMTP_URL.")
            server.login(unquote(parts.username), unquote(parts.password or ""))
    except BaseException:
        server.close()
        raise
    return server


def _message(post: Post, *, mail_id: str, to: str, subject: str, text: str, written_at: datetime) -> EmailMessage:
    name, domain = to.rsplit("@", 1)
    try:
        recipient = f"{name}@{domain if domain.isascii() else idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        raise Undeliverable("The part of the address after the @ is no domain name.") from None
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = post.sender
        message["To"] = recipient
        message["Subject"] = subject
    except ValueError:
        raise Undeliverable("The address or the subject is no line of a header.") from None
    message["Date"] = format_datetime(written_at.astimezone(UTC))
    # The same at each attempt, so that a mail which arrives twice can be told to be one.
    message["Message-ID"] = f"<{mail_id}@{parseaddr(post.sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message
