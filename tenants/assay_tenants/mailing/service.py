import re
from datetime import UTC, datetime

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from assay_tenants.errors import BadInput
from assay_tenants.mailing.models import Mail

LONGEST_ADDRESS = 254
LONGEST_SUBJECT = 200
LONGEST_NAME = 80
# One address and nothing that a header could take for a second one, a name or a comment.
_ADDRESS = re.compile(
    r"[^@\s,;:<>()\[\]\"\\\x00-\x1f\x7f]+@[^@\s,;:<>()\[\]\"\\\x00-\x1f\x7f]+\.[^@\s.,;:<>()\[\]\"\\]+"
)
_LIKE_A_LINK = re.compile(r"(?<=\S)(://|\.)(?=\S)")


def is_address(typed: str) -> bool:
    return len(typed) <= LONGEST_ADDRESS and typed.isprintable() and _ADDRESS.fullmatch(typed) is not None


def quoted(name: str) -> str:
    """A name that somebody chose, as a mail may say it: short, and nothing that a mail program makes a link of."""
    name = _LIKE_A_LINK.sub(r"\1 ", name)
    return f"“{name[: LONGEST_NAME - 1]}…”" if len(name) > LONGEST_NAME else f"“{name}”"


def send(session: Session, *, to: str, subject: str, text: str, tenant_id: int | None = None) -> None:
    """Writes a mail down in this transaction, of a tenant or of the directory; it leaves after the commit.

    Without ``tenant_id`` it is the session's tenant's, or nobody's in a session of the directory. Raises BadInput for
    an address or a subject that would not stay one line of a header.
    """
    if not is_address(to):
        raise BadInput("This is not an e-mail address; accepted is something like ada@example.com.", field="email")
    if not subject.isprintable() or not 1 <= len(subject) <= LONGEST_SUBJECT:
        raise BadInput(f"The subject of a mail is one line of 1 to {LONGEST_SUBJECT} characters.", field="subject")
    now = datetime.now(UTC)
    session.execute(
        # The application may add mails and not read them, so nothing is to be returned.
        insert(Mail)
        .inline()
        .values(
            tenant_id=_current_tenant() if tenant_id is None else tenant_id,
            recipient=to,
            subject=subject,
            body=text,
            created_at=now,
            due_at=now,
        )
    )


def _current_tenant() -> object:
    return text("current_setting('app.tenant_id')::bigint")


def count_since(session: Session, tenant_id: int, since: datetime) -> int:
    """How many mails were written in this tenant's name."""
    return session.execute(
        select(func.count()).select_from(Mail).where(Mail.tenant_id == tenant_id, Mail.created_at >= since)
    ).scalar_one()
