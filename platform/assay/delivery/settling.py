"""From rows that wait to updates, and from receipts back to rows."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import text

from assay.delivery import contacts
from assay.delivery.contacts import Contact
from assay_sdk import Receipt, ScoreUpdate
from assay_tenants.database import tenant_session
from assay_tenants.mailing import link_to

if TYPE_CHECKING:
    from assay.delivery.reading import Account

#: A lead that failed so often is given up until somebody has it tried again, or its score changes.
MOST_ATTEMPTS = 8
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)

_WAITING = text("""
    SELECT p.lead_id, p.asked, p.attempts, p.contacts FROM delivery.pushes p
    WHERE p.tenant_id = :tenant_id AND p.connection_id = :connection_id AND p.state = 'waiting'
        AND p.due_at <= clock_timestamp()
    ORDER BY p.due_at, p.lead_id LIMIT :most
""")
_OURS = """EXISTS (
    SELECT FROM delivery.targets t
    WHERE t.tenant_id = :tenant_id AND t.connection_id = :connection_id AND t.leased_until = :until
)"""
_LOCK = text("""
    SELECT p.lead_id FROM delivery.pushes p
    WHERE p.tenant_id = :tenant_id AND p.connection_id = :connection_id AND p.lead_id = ANY(CAST(:lead_ids AS bigint[]))
    ORDER BY p.lead_id FOR UPDATE
""")
_SETTLE = text(f"""
    UPDATE delivery.pushes p SET
        contacts = (p.contacts || CASE WHEN p.asked = n.asked THEN n.contacts ELSE n.written END)
            - ARRAY(SELECT jsonb_array_elements_text(n.past)),
        version = CASE WHEN n.sent > 0 THEN n.version ELSE p.version END,
        sent_at = CASE WHEN n.sent > 0 THEN clock_timestamp() ELSE p.sent_at END,
        vendor_id = n.vendor_id,
        state = CASE WHEN p.asked = n.asked THEN n.state ELSE 'waiting' END,
        attempts = CASE WHEN p.asked = n.asked OR n.state = 'waiting' THEN n.attempts ELSE 0 END,
        error = n.error,
        error_at = CASE WHEN n.error <> '' THEN clock_timestamp() END,
        due_at = CASE WHEN p.asked = n.asked OR n.state = 'waiting' THEN n.due_at ELSE clock_timestamp() END
    FROM json_to_recordset(CAST(:rows AS json)) AS n (lead_id bigint, asked integer, state text, attempts integer,
        error text, due_at timestamptz, contacts jsonb, written jsonb, past jsonb, version text,
        vendor_id text, sent integer)
    WHERE p.tenant_id = :tenant_id AND p.connection_id = :connection_id AND p.lead_id = n.lead_id AND {_OURS}
""")  # noqa: S608 # of the constant above
_DROP = text(f"""
    DELETE FROM delivery.pushes p
    USING json_to_recordset(CAST(:rows AS json)) AS n (lead_id bigint, asked integer)
    WHERE p.tenant_id = :tenant_id AND p.connection_id = :connection_id AND p.lead_id = n.lead_id
        AND p.asked = n.asked AND {_OURS}
""")  # noqa: S608 # of the constant above
_COUNT = text("""
    UPDATE delivery.targets t SET sent = t.sent + :sent, sent_at = clock_timestamp()
    WHERE t.tenant_id = :tenant_id AND t.connection_id = :connection_id AND t.leased_until = :until
""")


@dataclass(frozen=True)
class Planned:
    """An update, and what is remembered of its contact once it is written."""

    update: ScoreUpdate
    contact: Contact
    digest: str


@dataclass
class Row:
    """A lead that waits."""

    lead_id: int
    asked: int
    attempts: int
    memory: Mapping[str, Mapping[str, Any]]
    contacts: Sequence[Contact] = ()
    planned: list[Planned] = field(default_factory=list)
    #: What is known without asking the vendor, by the contact.
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Another lead of the batch is written to the same contact: it has its turn afterwards.
    postponed: bool = False

    def entry(self, contact: Contact) -> dict[str, Any]:
        return dict(self.memory.get(contact.key, {}))


@dataclass(frozen=True)
class Batch:
    rows: Sequence[Row]

    @property
    def updates(self) -> list[Planned]:
        return [each for row in self.rows for each in row.planned]


def read(
    tenant_id: int, connection_id: int, *, plugin: str, model_id: int | None, kinds: Sequence[str], most: int
) -> Batch:
    """The leads that have waited longest, each with what has to be written; empty updates where nothing has."""
    asked = {"tenant_id": tenant_id, "connection_id": connection_id, "most": most}
    with tenant_session(tenant_id) as session:
        rows = [Row(*row) for row in session.execute(_WAITING, asked)]
        if not rows:
            return Batch(())
        people = contacts.read(session, tenant_id, plugin, [row.lead_id for row in rows], kinds)
        for row in rows:
            row.contacts = people.get(row.lead_id, ())
        moved = {each.goes_by(row.memory) for row in rows for each in row.contacts} - {""}
        owners = contacts.owners(session, tenant_id, plugin, moved)
    # Here for the first time: whoever sends nothing loads no engine.
    from assay.delivery import reading

    accounts = reading.read(tenant_id, [row.lead_id for row in rows if row.contacts], model_id)
    taken: dict[str, int] = {}
    for row in rows:
        account = accounts.get(row.lead_id)
        _plan(row, account, reading.cleared(datetime.now(UTC)), owners, taken)
    return Batch(rows)


def write(
    tenant_id: int, connection_id: int, batch: Batch, receipts: Mapping[str, Receipt], *, until: datetime
) -> None:
    """What became of a batch; of leads with news since it was read, all but that they are done."""
    settled = [told for row in batch.rows if row.contacts and (told := _settled(row, receipts)) is not None]
    dropped = [{"lead_id": row.lead_id, "asked": row.asked} for row in batch.rows if not row.contacts]
    sent = sum(told["sent"] for told in settled)
    whose = {"tenant_id": tenant_id, "connection_id": connection_id}
    with tenant_session(tenant_id) as session:
        session.execute(_LOCK, {**whose, "lead_ids": [row.lead_id for row in batch.rows]})
        for statement, rows in ((_SETTLE, settled), (_DROP, dropped)):
            if rows:
                session.execute(statement, {**whose, "until": until, "rows": msgspec.json.encode(rows).decode()})
        if sent:
            session.execute(_COUNT, {**whose, "until": until, "sent": sent})


def _plan(
    row: Row, account: "Account | None", cleared: "Account", owners: Mapping[str, int], taken: dict[str, int]
) -> None:
    own = {each.key for each in row.contacts}
    for contact in row.contacts:
        entry = row.entry(contact)
        if contact.is_gone(row.memory):
            row.known[contact.key] = {"gone": True if contact.deleted else entry["gone"]} | _moved(entry)
            continue
        entry.pop("gone", None)
        row.known[contact.key] = entry
        id_ = contact.goes_by(row.memory)
        if id_ != contact.vendor_id and (id_ in own or owners.get(id_, row.lead_id) != row.lead_id):
            # It became another contact, which is written to as what it is.
            row.known[contact.key] = _moved(entry)
            continue
        told = account
        if told is None:
            if entry.get("sent") in (None, cleared.digest):
                continue
            told = cleared
        if entry.get("sent") == told.digest:
            continue
        place = id_ or contact.key
        if taken.setdefault(place, row.lead_id) != row.lead_id:
            row.postponed = True
            continue
        row.planned.append(Planned(_update(row, contact, id_, told), contact, told.digest))


def _update(row: Row, contact: Contact, vendor_id: str, account: "Account") -> ScoreUpdate:
    version = hashlib.sha256(f"{account.digest}/{row.asked}/{contact.key}".encode()).hexdigest()[:32]
    return ScoreUpdate(
        key=f"{row.lead_id}/{len(row.planned)}",
        vendor_id=vendor_id,
        user_id=contact.user_id,
        anonymous_id=contact.anonymous_id,
        email=contact.email,
        model=account.model,
        score=account.score,
        grade=account.grade,
        stage=account.stage,
        reasons=account.reasons,
        scored_at=account.scored_at,
        url=link_to(f"/leads/{row.lead_id}"),
        version=version,
    )


def _settled(row: Row, receipts: Mapping[str, Receipt]) -> dict[str, Any] | None:
    """What is to be written of a lead; None where nothing was tried."""
    remembered = dict(row.known)
    sent, errors, untried, version = 0, list[tuple[str, str]](), row.postponed, ""
    for each in row.planned:
        receipt = receipts.get(each.update.key)
        if receipt is None:
            untried = True
            continue
        entry = remembered[each.contact.key]
        if receipt.moved_to:
            entry["moved_to"] = receipt.moved_to
        if receipt.gone:
            remembered[each.contact.key] = {"gone": each.contact.told_until} | _moved(entry)
        elif receipt.error:
            errors.append((each.update.vendor_id, receipt.error))
        else:
            entry["sent"] = version = each.digest
            sent += 1
    if untried and not sent and not errors:
        return None
    gone = all("gone" in entry for entry in remembered.values())
    attempts = row.attempts + 1 if errors else row.attempts if untried else 0
    state = "waiting" if untried or errors else "gone" if gone else "sent"
    due_at = datetime.now(UTC) if untried or errors else None
    if errors and attempts >= MOST_ATTEMPTS:
        state, due_at = "dead", None
    elif errors:
        due_at = datetime.now(UTC) + pause_after(attempts)
    return {
        "lead_id": row.lead_id,
        "asked": row.asked,
        "state": state,
        "attempts": attempts,
        "error": errors[0][1][:500] if errors else "",
        "due_at": due_at,
        "contacts": remembered,
        # Somebody who has all sent anew makes us forget the others.
        "written": {each.contact.key: remembered[each.contact.key] for each in row.planned},
        "past": sorted(row.memory.keys() - remembered.keys()),
        "version": version,
        "vendor_id": errors[0][0] if errors else row.contacts[0].goes_by(row.memory),
        "sent": sent,
    }


def pause_after(attempts: int) -> timedelta:
    """Longer each time; by chance, so that what failed together does not come back together."""
    pause: timedelta = min(FIRST_PAUSE * 2 ** min(attempts - 1, 16), LONGEST_PAUSE)
    return pause * random.uniform(0.75, 1.25)  # noqa: S311 # no secret


def _moved(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"moved_to": entry["moved_to"]} if "moved_to" in entry else {}
