"""What people say of who is whom: these are two, these are one, this value joins nobody. All of it can be undone."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from assay.facts import LeadsChanged, tell_after_commit
from assay.profiles import knowing, leads, merges, resettling, service
from assay.profiles.bulk import rows
from assay.profiles.identity_models import DecidedPair, Decision, Merge, ValueRule
from assay.profiles.matching import ANONYMOUS_ID, EMAIL, USER_ID, VENDOR, Key
from assay.profiles.merging import Groups
from assay.profiles.models import KnownAs, Lead
from assay.profiles.resettling import Settled, Tangle
from assay.profiles.settling import Graph, Pair, is_device, joins, pair_of, sides
from assay.profiles.standing import ordered
from assay_tenants import audit
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, Conflict, NotFound

LONGEST_REASON = 500
LONGEST_KIND = 100
LONGEST_VALUE = 1_000

_PLAN = text("SET LOCAL plan_cache_mode = force_custom_plan")
# Identities that were of the kept lead before the other one came: they are since, or were until later.
_STAYED = text("""
    SELECT i.id FROM profiles.identities i
    WHERE i.tenant_id = :tenant_id AND i.lead_id = :kept_id AND i.known_at < :at
    UNION
    SELECT p.identity_id FROM profiles.past_memberships p
    WHERE p.tenant_id = :tenant_id AND p.lead_id = :kept_id AND p.known_at < :at AND p.until > :at
""")
_KEEP_PAIRS = text("""
    INSERT INTO profiles.decided_pairs (tenant_id, left_id, right_id, decision_id, apart)
    SELECT :tenant_id, n.left_id, n.right_id, :decision_id, n.apart
    FROM json_to_recordset(CAST(:rows AS json)) AS n (left_id bigint, right_id bigint, apart boolean)
    ON CONFLICT (tenant_id, left_id, right_id, decision_id) DO UPDATE SET apart = excluded.apart
""")


class NothingToPart(Conflict):
    code = "two_leads_already"

    def __init__(self) -> None:
        super().__init__("These are two leads already: there is nothing to undo.")


class JoinsNobody(Conflict):
    code = "joins_nobody"

    def __init__(self, value: str) -> None:
        super().__init__(
            f"{value} joins nobody: too many people use it, or somebody blocked it. Release it first, under merges and "
            "shared values."
        )


class OnlyDevices(Conflict):
    code = "only_devices"

    def __init__(self) -> None:
        super().__init__(
            "Both are known by a device alone, and a device may yet turn out to be anybody's. They can be joined as "
            "soon as one of them is known by a user id, an address or a vendor's id."
        )


@dataclass(frozen=True)
class Decided:
    """A decision, and the leads that the two are now: one and the same when they are one."""

    decision: Decision
    lead_id: int
    other_id: int


def join(tenant_id: int, lead_id: int, other_id: int, *, by: str, reason: str = "") -> Decided:
    """Two leads are one person; raises NotFound, BadInput or Conflict."""
    reason = _checked(reason)
    if lead_id == other_id:
        raise BadInput("That is the lead itself; name another one.", field="other_id")
    with _learning(tenant_id) as (session, known_at):
        for each in (lead_id, other_id):
            _require_lead(session, tenant_id, each)
        tangle = resettling.load(session, tenant_id, (lead_id, other_id))
        one, other = (_face(tangle, each) for each in (lead_id, other_id))
        if is_device(one) and is_device(other):
            raise OnlyDevices
        decision = _record(session, tenant_id, known_at, False, by, reason, lead_id, other_id)
        _keep(session, tenant_id, decision, tangle, together=[pair_of(one, other)])
        _settle(session, tenant_id, {lead_id, other_id}, known_at)
        told = {"other_lead": other_id, "decision": decision.id}
        audit.record(session, tenant_id, "leads.joined", lead_id, after=told)
        return _decided(session, tenant_id, decision, tangle.ids[one], tangle.ids[other])


def tell_apart(tenant_id: int, lead_id: int, keys: Collection[Key], *, by: str, reason: str = "") -> Decided:
    """These identifiers of a lead are somebody else; raises NotFound, BadInput or Conflict."""
    reason = _checked(reason)
    with _learning(tenant_id) as (session, known_at):
        _require_lead(session, tenant_id, lead_id)
        tangle = resettling.load(session, tenant_id, [lead_id])
        going = {_as_kept(*key) for key in keys}
        strangers = going - tangle.members
        if strangers:
            raise BadInput(f"This lead is not known as {min(strangers)[1]!r}.", field="identities")
        staying = tangle.members - going
        if not going or not staying:
            raise BadInput(
                "Choose some of the identifiers, but not all: these go, the others stay.", field="identities"
            )
        decision = _record(session, tenant_id, known_at, True, by, reason, lead_id, lead_id)
        apart = _part(session, tenant_id, decision, tangle, going, staying)
        _keep(
            session,
            tenant_id,
            decision,
            tangle,
            together=[*_held(tangle, apart, going), *_held(tangle, apart, staying)],
        )
        _settle(session, tenant_id, tangle.leads, known_at, going=going)
        decided = _decided(session, tenant_id, decision, _first(tangle, staying), _first(tangle, going))
        told = {"other_lead": decided.other_id, "decision": decision.id}
        audit.record(session, tenant_id, "lead.told_apart", lead_id, after=told)
        return decided


def undo(tenant_id: int, merge_id: int, *, by: str, reason: str = "") -> Decided:
    """A merge never was: both are what they were before it, and what came since goes to whom it came with first."""
    reason = _checked(reason)
    with _learning(tenant_id) as (session, known_at):
        merge = session.get(Merge, (tenant_id, merge_id))
        if merge is None:
            raise NotFound("merge")
        lead_id = _lead_of(session, tenant_id, merge.kept_identity_id)
        if lead_id is None or lead_id != _lead_of(session, tenant_id, merge.gone_identity_id):
            raise NothingToPart
        tangle = resettling.load(session, tenant_id, [lead_id])
        stayed = session.scalars(_STAYED, {"tenant_id": tenant_id, "kept_id": merge.kept_id, "at": merge.at})
        kept = _named(tangle, {*stayed, merge.kept_identity_id} - set(merge.moved))
        came = _named(tangle, {*merge.moved, merge.gone_identity_id} - {merge.kept_identity_id})
        one, other = sides(tangle.joining, came, kept)
        decision = _record(session, tenant_id, known_at, True, by, reason, lead_id, merge.gone_id, merge_id)
        _part(session, tenant_id, decision, tangle, one, other)
        merge.undone_by = decision.id
        _settle(session, tenant_id, tangle.leads, known_at, going=one)
        decided = _decided(session, tenant_id, decision, merge.kept_identity_id, merge.gone_identity_id)
        told = {"lead": decided.lead_id, "other_lead": decided.other_id, "decision": decision.id}
        audit.record(session, tenant_id, "merge.undone", merge_id, before={"lead": lead_id}, after=told)
        return decided


def withdraw(tenant_id: int, decision_id: int, *, by: str) -> Decision:
    """A decision holds no more: whoever it was about are again what the links say; withdrawn once, it stays so."""
    with _learning(tenant_id) as (session, known_at):
        decision = session.get(Decision, (tenant_id, decision_id))
        if decision is None:
            raise NotFound("decision")
        if decision.withdrawn_at is not None:
            return decision
        of_it = (DecidedPair.tenant_id == tenant_id, DecidedPair.decision_id == decision_id)
        pairs = session.execute(select(DecidedPair.left_id, DecidedPair.right_id).where(*of_it)).all()
        ends = {end for pair in pairs for end in pair}
        query = select(KnownAs.lead_id).where(KnownAs.tenant_id == tenant_id, KnownAs.id.in_(ends))
        lead_ids = set(session.scalars(query))
        session.execute(delete(DecidedPair).where(*of_it))
        decision.withdrawn_at, decision.withdrawn_by = known_at, by
        _settle(session, tenant_id, lead_ids, known_at)
        told = {"lead": decision.lead_id, "other_lead": decision.other_id, "apart": decision.apart}
        audit.record(session, tenant_id, "decision.withdrawn", decision_id, before=told)
        return decision


def rule(tenant_id: int, key: Key, *, blocked: bool, by: str, reason: str = "") -> ValueRule:
    """A value never joins anybody, or does whatever the limit; what was said of it before counts no more."""
    reason = _checked(reason)
    kind, value = _checked_value(key)
    with _learning(tenant_id) as (session, known_at):
        said = (ValueRule.tenant_id == tenant_id, ValueRule.kind == kind, ValueRule.value == value)
        made = session.scalars(select(ValueRule).where(*said)).one_or_none()
        before = {"blocked": made.blocked} if made is not None else None
        if made is None:
            made = ValueRule(tenant_id=tenant_id, kind=kind, value=value)
            session.add(made)
        made.blocked, made.at, made.by, made.reason = blocked, known_at, by, reason
        session.flush()
        # The value itself may be somebody's address: the rule's id will do.
        told = {"kind": kind, "blocked": blocked}
        audit.record(session, tenant_id, "value_rule.made", made.id, before=before, after=told)
        _resettle(session, tenant_id, (kind, value), known_at)
        return made


def forget_rule(tenant_id: int, rule_id: int) -> ValueRule:
    """The value is like all others again."""
    with _learning(tenant_id) as (session, known_at):
        made = session.get(ValueRule, (tenant_id, rule_id))
        if made is None:
            raise NotFound("rule")
        session.delete(made)
        session.flush()
        told = {"kind": made.kind, "blocked": made.blocked}
        audit.record(session, tenant_id, "value_rule.forgotten", rule_id, before=told)
        _resettle(session, tenant_id, (made.kind, made.value), known_at)
        return made


@contextmanager
def _learning(tenant_id: int) -> Iterator[tuple[Session, datetime]]:
    with tenant_session(tenant_id) as session:
        known_at = knowing.learn(session, tenant_id)
        session.execute(_PLAN)
        yield session, known_at


def _settle(
    session: Session, tenant_id: int, lead_ids: Collection[int], known_at: datetime, *, going: Collection[Key] = ()
) -> None:
    settled = resettling.settle(session, tenant_id, lead_ids, known_at, going=going)
    _follow(session, tenant_id, settled, known_at)


def _resettle(session: Session, tenant_id: int, key: Key, known_at: datetime) -> None:
    query = select(KnownAs.id).where(KnownAs.tenant_id == tenant_id, KnownAs.kind == key[0], KnownAs.value == key[1])
    _follow(
        session, tenant_id, resettling.resettle(session, tenant_id, list(session.scalars(query)), known_at), known_at
    )


def _follow(session: Session, tenant_id: int, settled: Settled, known_at: datetime) -> None:
    changed = settled.changed | leads.refold(session, tenant_id, settled.stale, known_at)
    if changed:
        service.tell(session, tenant_id, changed)
        tell_after_commit(session, LeadsChanged(tenant_id))


def _record(
    session: Session,
    tenant_id: int,
    known_at: datetime,
    apart: bool,
    by: str,
    reason: str,
    lead_id: int,
    other_id: int,
    merge_id: int | None = None,
) -> Decision:
    decision = Decision(
        tenant_id=tenant_id,
        apart=apart,
        at=known_at,
        by=by,
        reason=reason,
        lead_id=lead_id,
        other_id=other_id,
        merge_id=merge_id,
    )
    session.add(decision)
    session.flush()
    return decision


def _part(
    session: Session, tenant_id: int, decision: Decision, tangle: Tangle, one: Collection[Key], other: Collection[Key]
) -> list[Pair]:
    """Cuts all links between the two sides, and overrules what people joined; gives the pairs."""
    across = [pair for pair in {**tangle.links, **tangle.together} if _is_across(pair, one, other)]
    _keep(session, tenant_id, decision, tangle, apart=across)
    return across


def _is_across(pair: Pair, one: Collection[Key], other: Collection[Key]) -> bool:
    return (pair[0] in one and pair[1] in other) or (pair[0] in other and pair[1] in one)


def _held(tangle: Tangle, apart: Collection[Pair], side: Collection[Key]) -> list[Pair]:
    """What has to be joined so that a side stays one, where only the other one held it together."""
    person = min((key for key in side if not is_device(key) and key not in tangle.alone), key=tangle.rank, default=None)
    if person is None:
        return []
    links = {pair: cause.at for pair, cause in tangle.links.items()}
    together = {pair: cause.at for pair, cause in tangle.together.items() if pair not in apart}
    groups: Groups[Key] = Groups()
    for key in side:
        groups.find(key)
    for pair in joins(Graph(links, tangle.apart | set(apart), together, tangle.alone)):
        if pair[0] in side and pair[1] in side:
            groups.join(*pair)
    firsts = [min(members, key=tangle.rank) for members in groups.members() if person not in members]
    return [pair_of(person, key) for key in firsts if key not in tangle.alone]


def _keep(
    session: Session,
    tenant_id: int,
    decision: Decision,
    tangle: Tangle,
    *,
    apart: Iterable[Pair] = (),
    together: Iterable[Pair] = (),
) -> None:
    for pairs, is_apart in ((list(apart), True), (list(together), False)):
        if pairs:
            told = _rows(tangle, pairs, apart=[is_apart] * len(pairs))
            session.execute(_KEEP_PAIRS, {"tenant_id": tenant_id, "decision_id": decision.id, "rows": told})


def _rows(tangle: Tangle, pairs: Collection[Pair], **more: list[bool]) -> str:
    lefts, rights = zip(*(ordered(tangle.ids[one], tangle.ids[other]) for one, other in pairs), strict=True)
    return rows(left_id=lefts, right_id=rights, **more)


def _decided(session: Session, tenant_id: int, decision: Decision, one: int, other: int) -> Decided:
    """With the leads that these two identities are of by now."""
    lead_id, other_id = _lead_of(session, tenant_id, one), _lead_of(session, tenant_id, other)
    assert lead_id is not None and other_id is not None  # noqa: S101, PT018 # both were there when we got the lock
    if decision.apart:
        decision.lead_id, decision.other_id = lead_id, other_id
    return Decided(decision, lead_id, other_id)


def _face(tangle: Tangle, lead_id: int) -> Key:
    """The identity that most surely is this lead."""
    first = min((key for key in tangle.members if tangle.lead_of[key] == lead_id), key=tangle.rank)
    if first in tangle.alone:
        raise JoinsNobody(first[1])
    return first


def _first(tangle: Tangle, side: Collection[Key]) -> int:
    return tangle.ids[min(side, key=tangle.rank)]


def _named(tangle: Tangle, identity_ids: Collection[int]) -> set[Key]:
    return {key for key in tangle.members if tangle.ids[key] in identity_ids}


def _lead_of(session: Session, tenant_id: int, identity_id: int) -> int | None:
    query = select(KnownAs.lead_id).where(KnownAs.tenant_id == tenant_id, KnownAs.id == identity_id)
    return session.scalars(query).one_or_none()


def _require_lead(session: Session, tenant_id: int, lead_id: int) -> None:
    if session.scalar(select(Lead.id).where(Lead.tenant_id == tenant_id, Lead.id == lead_id)) is None:
        raise merges.gone(session, tenant_id, lead_id)


def _checked(reason: str) -> str:
    reason = reason.strip()
    if len(reason) > LONGEST_REASON:
        raise BadInput(
            f"The reason has {len(reason):,} letters; at most {LONGEST_REASON} are accepted.", field="reason"
        )
    return _storable(reason, "reason")


def _checked_value(key: Key) -> Key:
    kind, value = key[0].strip(), key[1].strip()
    is_vendors = kind.startswith(VENDOR) and kind != VENDOR
    if not (kind in (USER_ID, EMAIL, ANONYMOUS_ID) or is_vendors) or len(kind) > LONGEST_KIND:
        raise BadInput(
            "Say what kind of identifier it is: user_id, email, anonymous_id, or vendor: with the vendor's name.",
            field="kind",
        )
    if not value or len(value) > LONGEST_VALUE:
        raise BadInput(f"Give the value, of 1 to {LONGEST_VALUE:,} letters.", field="value")
    return _as_kept(_storable(kind, "kind"), _storable(value, "value"))


def _as_kept(kind: str, value: str) -> Key:
    return kind, value.lower() if kind == EMAIL else value


def _storable(told: str, field: str) -> str:
    if "\0" in told or any("\ud800" <= letter <= "\udfff" for letter in told):
        raise BadInput("It holds characters that can't be stored.", field=field)
    return told
