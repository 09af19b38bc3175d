"""What leads are made of: identifiers, traits, links, events, scores, and all that was known of them before."""

# ruff: noqa: S608 # statements are put together from constants of this module alone

from collections.abc import Collection

from sqlalchemy import select, text

from assay.privacy.steps import Erasing
from assay.profiles import knowing, merges
from assay.profiles.bulk import rows
from assay.profiles.erasing import tombstones
from assay.profiles.erasing.beginning import leads_of, packed
from assay.profiles.erasing.models import PERSON_PURPOSE
from assay.profiles.matching import Key
from assay.profiles.models import KnownAs, Lead
from assay_tenants import sealing

EVENTS = 5_000
HISTORY = 20_000

_LEADS = "= ANY(CAST(:leads AS bigint[]))"
_IDS = "= ANY(CAST(:ids AS bigint[]))"
_DEAD = "NOT EXISTS (SELECT FROM profiles.leads l WHERE l.tenant_id = :tenant_id AND l.id = {})"
# Leads that are theirs by what was merged, and are nobody else's now.
_FORMER = text(f"""
    SELECT m.gone_id FROM profiles.merges m
    WHERE m.tenant_id = :tenant_id AND m.kept_id {_LEADS} AND {_DEAD.format("m.gone_id")}
    UNION
    SELECT p.lead_id FROM profiles.past_memberships p
    WHERE p.tenant_id = :tenant_id AND p.identity_id {_IDS} AND {_DEAD.format("p.lead_id")}
""")
#: Deleted at once, so that nobody can look at the person, join it or undo a merge of it any more.
_AT_ONCE = {
    "profiles.import_statements": f"identity_id {_IDS}",
    "profiles.crowded": f"identity_id {_IDS}",
    "profiles.identities": f"id {_IDS}",
    "profiles.leads": f"id {_LEADS}",
    "profiles.forgetting": f"lead_id {_LEADS}",
    "profiles.unfolded": f"kind = 'lead' AND id {_LEADS}",
    "profiles.merges": (
        f"(kept_id {_LEADS} OR gone_id {_LEADS} OR kept_identity_id {_IDS} OR gone_identity_id {_IDS})"
    ),
    "scoring.due": f"lead_id {_LEADS}",
    "scoring.scores": f"lead_id {_LEADS}",
    "delivery.pushes": f"lead_id {_LEADS}",
}
# What its vendor named by the person's id, whatever it is there.
_WANTED = """
    DELETE FROM intake.wanted w
    USING intake.links l, json_to_recordset(CAST(:rows AS json)) AS n (kind text, value text)
    WHERE w.tenant_id = :tenant_id AND l.tenant_id = :tenant_id AND l.connection_id = w.connection_id
        AND n.kind = 'vendor:' || l.plugin AND n.value = w.record_id
"""
_PAST = {
    "profiles.past_events": f"identity_id {_IDS}",
    "profiles.import_events": f"identity_id {_IDS}",
    "profiles.past_leads": f"lead_id {_LEADS}",
    # Also of identities that are somebody else's now: nobody may come back under the person's lead.
    "profiles.past_memberships": f"(identity_id {_IDS} OR lead_id {_LEADS})",
}
_MEANWHILE = f"""
    EXISTS (
        SELECT FROM profiles.past_memberships m
        WHERE m.tenant_id = :tenant_id AND m.identity_id {_IDS} AND m.lead_id = {{row}}.lead_id
            AND m.known_at < {{row}}.until AND m.until > {{row}}.known_at
    )"""
# Somebody else's lead that the person was one with for a while: of that time stays what it was without the person too.
_BARE = f"""
    WITH bare AS (
        SELECT p.lead_id, p.until, COALESCE(jsonb_object_agg(t.key, t.value) FILTER (WHERE
            EXISTS (
                SELECT FROM profiles.leads l
                WHERE l.tenant_id = :tenant_id AND l.id = p.lead_id AND l.traits -> t.key = t.value
            ) OR EXISTS (
                SELECT FROM profiles.past_leads o
                WHERE o.tenant_id = :tenant_id AND o.lead_id = p.lead_id AND o.traits -> t.key = t.value
                    AND NOT {_MEANWHILE.format(row="o")}
            )
        ), '{{}}') AS traits
        FROM profiles.past_leads p CROSS JOIN LATERAL jsonb_each(p.traits) t
        WHERE p.tenant_id = :tenant_id AND NOT p.lead_id {_LEADS} AND {_MEANWHILE.format(row="p")}
        GROUP BY p.lead_id, p.until
    ), gone AS (
        DELETE FROM profiles.past_leads p USING bare
        WHERE p.tenant_id = :tenant_id AND p.lead_id = bare.lead_id AND p.until = bare.until
            AND p.traits <> bare.traits
        RETURNING p.lead_id, p.until, p.known_at, bare.traits, p.company_id, p.first_seen_at
    )
    INSERT INTO profiles.past_leads (tenant_id, lead_id, until, known_at, traits, company_id, first_seen_at)
    SELECT :tenant_id, lead_id, until, known_at, traits, company_id, first_seen_at FROM gone
"""
_EVENTS = """
    WITH few AS (
        SELECT e.id, e.received_at, e.retention FROM profiles.events e
        WHERE e.tenant_id = :tenant_id AND {which} LIMIT :most
    ), gone AS (
        DELETE FROM profiles.events e USING few
        WHERE e.tenant_id = :tenant_id AND e.id = few.id AND e.received_at = few.received_at
            AND e.retention = few.retention
        RETURNING e.id
    ), forgotten AS (
        DELETE FROM profiles.seen s USING gone WHERE s.tenant_id = :tenant_id AND s.event_id = gone.id
        RETURNING s.event_id
    )
    SELECT (SELECT count(*) FROM gone) AS events, (SELECT count(*) FROM forgotten) AS seen
"""
_PAIRS = text(f"""
    WITH gone AS (
        DELETE FROM profiles.decided_pairs p
        WHERE p.tenant_id = :tenant_id AND (p.left_id {_IDS} OR p.right_id {_IDS}) RETURNING p.decision_id
    )
    SELECT decision_id, count(*) AS pairs FROM gone GROUP BY decision_id
""")
_DECISIONS = text(f"""
    SELECT d.id FROM profiles.decisions d
    WHERE d.tenant_id = :tenant_id
        AND (d.lead_id {_LEADS} OR d.other_id {_LEADS} OR d.id = ANY(CAST(:decisions AS bigint[])))
""")
_HELD = "EXISTS (SELECT FROM profiles.decided_pairs p WHERE p.tenant_id = :tenant_id AND p.decision_id = d.id)"
_NAMED = "d.tenant_id = :tenant_id AND d.id = ANY(CAST(:decisions AS bigint[]))"


def begin(erasing: Erasing) -> None:
    """From the commit on nothing of the person is taken in, and there is no lead of theirs any more."""
    session, tenant_id, row = erasing.session, erasing.tenant_id, erasing.row
    known_at = knowing.learn(session, tenant_id)
    leads = _leads(erasing)
    known = session.execute(
        select(KnownAs.id, KnownAs.kind, KnownAs.value).where(
            KnownAs.tenant_id == tenant_id, KnownAs.lead_id.in_(leads)
        )
    ).all()
    keys = erasing.keys | {(each.kind, each.value) for each in known}
    row.fingerprint = tombstones.put(session, tenant_id, row.id, keys)
    row.identifiers = len(keys)
    row.sealed = sealing.seal(tenant_id, PERSON_PURPOSE, packed(keys))
    row.identity_ids = sorted({*row.identity_ids, *(each.id for each in known)})
    row.lead_ids = sorted(_with_former(erasing, {*row.lead_ids, *leads}))
    row.lifted_at = row.lifted_by = None
    row.started_at = row.started_at or known_at
    _decisions(erasing)
    for side in ("left_id", "right_id"):
        erasing.run(
            "profiles.links", f"DELETE FROM profiles.links c WHERE c.tenant_id = :tenant_id AND c.{side} {_IDS}"
        )
    erasing.run(
        "profiles.value_rules",
        "DELETE FROM profiles.value_rules v USING json_to_recordset(CAST(:rows AS json)) AS n (kind text, value text)"
        " WHERE v.tenant_id = :tenant_id AND v.kind = n.kind AND v.value = n.value",
        rows=rows(kind=[kind for kind, _ in sorted(keys)], value=[value for _, value in sorted(keys)]),
    )
    _wanted(erasing, keys)
    _delete(erasing, _AT_ONCE)


def events(erasing: Erasing) -> None:
    """Some thousands at a time, with the ids that they are recognised by."""
    # A row that moves to another partition under somebody's change would make that change fail.
    knowing.learn(erasing.session, erasing.tenant_id)
    for which in (f"e.identity_id {_IDS}", f"e.lead_id {_LEADS}"):
        statement = _EVENTS.format(which=which)
        asked = {
            "tenant_id": erasing.tenant_id,
            "most": EVENTS,
            **({"ids": list(erasing.row.identity_ids)} if ":ids" in statement else {}),
            **({"leads": list(erasing.row.lead_ids)} if ":leads" in statement else {}),
        }
        gone = erasing.session.execute(text(statement), asked).one()
        erasing.count("profiles.events", gone.events)
        erasing.count("profiles.seen", gone.seen)
        if gone.events:
            erasing.place = "more"
            return
    erasing.place = None


def past(erasing: Erasing) -> None:
    knowing.learn(erasing.session, erasing.tenant_id)
    erasing.run("profiles.past_leads", _BARE)
    _delete(erasing, _PAST)


def scores(erasing: Erasing) -> None:
    """Whoever had read the person's facts before may have written a score since: it goes here at the latest."""
    _delete(erasing, dict.fromkeys(("scoring.scores", "scoring.due", "delivery.pushes"), f"lead_id {_LEADS}"))
    gone = erasing.run(
        "scoring.score_history",
        f"""
        DELETE FROM scoring.score_history h USING (
            SELECT lead_id, model_id, at, replaced_at FROM scoring.score_history
            WHERE tenant_id = :tenant_id AND lead_id {_LEADS} LIMIT :most
        ) few
        WHERE h.tenant_id = :tenant_id AND h.lead_id = few.lead_id AND h.model_id = few.model_id AND h.at = few.at
            AND h.replaced_at = few.replaced_at
        """,
        most=HISTORY,
    )
    erasing.place = "more" if gone == HISTORY else None


def _wanted(erasing: Erasing, keys: Collection[Key]) -> None:
    named = rows(kind=[kind for kind, _ in sorted(keys)], value=[value for _, value in sorted(keys)])
    erasing.run("intake.wanted", _WANTED, rows=named)


def _leads(erasing: Erasing) -> set[int]:
    session, tenant_id = erasing.session, erasing.tenant_id
    leads = leads_of(session, tenant_id, erasing.keys)
    lead_id = erasing.row.lead_id
    if lead_id is not None:
        query = select(Lead.id).where(Lead.tenant_id == tenant_id, Lead.id == lead_id)
        # Merged since it was asked for, it is one with the person it was merged into.
        alive = session.scalar(query) or merges.find_successor(session, tenant_id, lead_id)
        leads |= {alive} if alive is not None and lead_id not in erasing.row.lead_ids else set()
    return leads


def _with_former(erasing: Erasing, leads: set[int]) -> set[int]:
    while True:
        asked = {"tenant_id": erasing.tenant_id, "leads": list(leads), "ids": list(erasing.row.identity_ids)}
        further = set(erasing.session.scalars(_FORMER, asked)) - leads
        if not further:
            return leads
        leads |= further


def _decisions(erasing: Erasing) -> None:
    """A decision that holds others together too stays for them, without what was said of the person."""
    session, row = erasing.session, erasing.row
    asked = {"tenant_id": erasing.tenant_id, "ids": list(row.identity_ids)}
    pairs = session.execute(_PAIRS, asked).all()
    erasing.count("profiles.decided_pairs", sum(each.pairs for each in pairs))
    told = {
        "tenant_id": erasing.tenant_id,
        "leads": list(row.lead_ids),
        "decisions": [each.decision_id for each in pairs],
    }
    decisions = list(session.scalars(_DECISIONS, told))
    erasing.run(
        "profiles.decisions",
        f"DELETE FROM profiles.decisions d WHERE {_NAMED} AND NOT {_HELD}",
        decisions=decisions,
    )
    erasing.run(
        "profiles.decisions",
        f"UPDATE profiles.decisions d SET reason = '' WHERE {_NAMED} AND d.reason <> ''",
        decisions=decisions,
    )


def _delete(erasing: Erasing, tables: dict[str, str]) -> None:
    for table, which in tables.items():
        erasing.run(table, f"DELETE FROM {table} WHERE tenant_id = :tenant_id AND {which}")
