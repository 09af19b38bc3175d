"""Companies as their senders name them, and those of one domain as one.

A row under a sender's id holds what is stated of that id. Rows that state one registered domain have the domain's row
as their home: what is visible of all of them is folded there, and their people belong to it.
"""

# ruff: noqa: S608 # statements are put together from constants of this module alone

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.canonical import canonical_object
from assay.profiles import company_layers, domains
from assay.profiles.bulk import raw, rows
from assay.profiles.domains import TELLING_DOMAIN
from assay.profiles.gathering import Gathered
from assay.profiles.merging import State, canonical, learn, state, stated_of, traits_of, values_of
from assay.profiles.naming import DOMAIN, company_name, company_search_key, domain_key

# A domain that more ids state is one of many owners: a marketplace, a group, a sender's default.
CROWD = 20

_COLUMNS = "c.key, c.id, c.traits, c.stated, c.live, c.domain, c.home_id, c.search_key"
_FIND = text(f"""
    SELECT {_COLUMNS}, COALESCE(h.traits, c.traits) AS visible
    FROM json_to_recordset(CAST(:rows AS json)) AS n (key text)
    JOIN profiles.companies c ON c.tenant_id = :tenant_id AND c.key = n.key
    LEFT JOIN profiles.companies h ON h.tenant_id = :tenant_id AND h.id = c.home_id
""")
_OF_DOMAINS = text(f"""
    SELECT {_COLUMNS}
    FROM json_to_recordset(CAST(:rows AS json)) AS n (domain text, key text)
    CROSS JOIN LATERAL (
        SELECT * FROM profiles.companies
        WHERE tenant_id = :tenant_id AND domain = n.domain AND key <> n.key
        ORDER BY id LIMIT :most
    ) c
""")
_HOMES = text(f"""
    SELECT {_COLUMNS}
    FROM json_to_recordset(CAST(:rows AS json)) AS n (key text)
    JOIN profiles.companies c ON c.tenant_id = :tenant_id AND c.key = n.key
""")
_ROWS = """json_to_recordset(CAST(:rows AS json)) AS n (id bigint, key text, traits jsonb, stated jsonb, live jsonb,
        domain text, home_id bigint, search_key text)"""
_NAMES = "traits, stated, live, domain, home_id, search_key"
_INSERT = text(f"""
    INSERT INTO profiles.companies (tenant_id, key, {_NAMES}, known_at)
    SELECT :tenant_id, key, {_NAMES}, :known_at FROM {_ROWS} ORDER BY n.key
    RETURNING key, id
""")
_REMEMBER = """
    INSERT INTO profiles.past_companies (tenant_id, company_id, until, known_at, traits)
    SELECT :tenant_id, id, :known_at, known_at, traits FROM news WHERE differs AND known_at < :known_at
"""
_UPDATE = text(f"""
    WITH news AS (
        UPDATE profiles.companies c
        SET ({_NAMES}) = (n.traits, n.stated, n.live, n.domain, n.home_id, n.search_key),
            known_at = CASE WHEN o.traits = n.traits THEN o.known_at ELSE :known_at END
        FROM {_ROWS} JOIN profiles.companies o ON o.tenant_id = :tenant_id AND o.id = n.id
        WHERE c.tenant_id = :tenant_id AND c.id = n.id
        RETURNING c.id, o.known_at, o.traits, o.traits <> n.traits AS differs
    ) {_REMEMBER}
""")
_DELETE = text(f"""
    WITH news AS (
        DELETE FROM profiles.companies c WHERE c.tenant_id = :tenant_id AND c.id = ANY(CAST(:ids AS bigint[]))
        RETURNING c.id, c.known_at, c.traits, true AS differs
    ) {_REMEMBER}
""")


@dataclass(frozen=True, slots=True)
class NamedCompany:
    """A company under a sender's id; ``name`` is that of all it is one with."""

    id: int
    key: str
    name: str | None
    home_id: int | None = None

    @property
    def visible_id(self) -> int:
        """Of the row that its people belong to."""
        return self.id if self.home_id is None else self.home_id


@dataclass(frozen=True)
class KeptCompanies:
    by_key: dict[str, NamedCompany] = field(default_factory=dict)
    #: Those with another value of some trait.
    changed: list[int] = field(default_factory=list)
    #: Those people now search by another name, or whose people may belong elsewhere now.
    renamed: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Row:
    """A row as it will be, and what it was before."""

    key: str
    state: State
    #: None where nothing came by itself.
    live: State | None = None
    #: None: it is not written yet.
    id: int | None = None
    domain: str | None = None
    home: "_Row | None" = None
    search_key: str = ""
    old_state: State = field(default_factory=dict)
    old_domain: str | None = None
    old_home_id: int | None = None
    is_news: bool = False

    @property
    def home_id(self) -> int | None:
        return self.home.id if self.home else None


def keep(session: Session, tenant_id: int, found: Gathered, known_at: datetime) -> KeptCompanies:
    """Creates and updates the companies of a batch."""
    stated = dict(found.companies)
    for _, key in found.employers.values():
        stated.setdefault(key, {})
    if not stated:
        return KeptCompanies()
    if found.import_id:
        company_layers.add(session, tenant_id, found.import_id, stated)
    unchanged: dict[str, NamedCompany] = {}
    touched: list[_Row] = []
    for row in session.execute(_FIND, {"tenant_id": tenant_id, "rows": rows(key=list(stated))}):
        node = _read(row)
        if _tell(node, stated.pop(row.key), is_live=not found.import_id):
            touched.append(node)
        else:
            unchanged[row.key] = NamedCompany(row.id, row.key, company_name(row.visible), row.home_id)
    for key, statements in stated.items():
        touched.append(_Row(key, dict(statements), None if found.import_id else dict(statements)))
    kept = _settle(session, tenant_id, touched, known_at)
    kept.by_key.update(unchanged)
    return kept


def refresh(session: Session, tenant_id: int, keys: Collection[str], known_at: datetime) -> KeptCompanies:
    """Folds companies anew from what is left: what came by itself, and the layers of imports.

    Those that nothing states any more go. The people of the ``renamed`` ones have to be folded anew.
    """
    if not keys:
        return KeptCompanies()
    layers = company_layers.together(session, tenant_id, keys)
    touched: list[_Row] = []
    gone: list[_Row] = []
    for found in session.execute(_FIND, {"tenant_id": tenant_id, "rows": rows(key=list(keys))}):
        node = _read(found)
        if node.key.startswith(DOMAIN):
            continue
        if node.live is None and node.key not in layers:
            gone.append(node)
            continue
        node.state = dict(node.live or {})
        learn(node.state, layers.get(node.key, {}))
        node.is_news = True
        touched.append(node)
    return _settle(session, tenant_id, touched, known_at, gone)


def of_domains(
    session: Session, tenant_id: int, wanted: Collection[str], known_at: datetime
) -> dict[str, NamedCompany]:
    """The companies of registered domains, made where there are none."""
    homes = _homes(session, tenant_id, wanted)
    for domain in set(wanted) - homes.keys():
        homes[domain] = _home(domain)
        _fold_home(homes[domain], [])
    _insert(session, tenant_id, homes.values(), known_at)
    return {domain: _named(home) for domain, home in homes.items()}


def _tell(node: _Row, statements: State, *, is_live: bool) -> bool:
    """Adds statements; tells whether anything has to be written."""
    node.is_news = learn(node.state, statements)
    if is_live:
        if node.live is None:
            node.live, node.is_news = {}, True
        node.is_news |= learn(node.live, statements)
    return node.is_news


def _settle(
    session: Session, tenant_id: int, touched: list[_Row], known_at: datetime, gone: Collection[_Row] = ()
) -> KeptCompanies:
    """Writes rows with news, and whatever changes with them: where each is at home, and the homes."""
    if not touched and not gone:
        return KeptCompanies()
    for node in touched:
        node.domain = domains.of_company(values_of({n: node.state[n] for n in TELLING_DOMAIN if n in node.state}))
        node.search_key = company_search_key(values_of(node.state), [node.key])
    concerned = {domain for node in (*touched, *gone) for domain in (node.domain, node.old_domain) if domain}
    homes = _homes(session, tenant_id, concerned)
    nodes = list(touched)
    for domain, others in _others(session, tenant_id, concerned, touched, gone).items():
        members = [*others, *(node for node in touched if node.domain == domain)]
        is_home = 0 < len(members) <= CROWD
        if is_home and domain not in homes:
            homes[domain] = _home(domain)
        for member in members:
            member.home = homes[domain] if is_home else None
        if domain in homes:
            _fold_home(homes[domain], members if is_home else [])
        nodes += others
    _insert(session, tenant_id, homes.values(), known_at)
    for node in nodes:
        node.is_news |= node.home_id != node.old_home_id
    _insert(session, tenant_id, nodes, known_at)
    kept = _differences([*nodes, *homes.values()], gone)
    _update(session, tenant_id, [row for row in (*nodes, *homes.values()) if row.is_news], known_at)
    if gone:
        session.execute(_DELETE, {"tenant_id": tenant_id, "known_at": known_at, "ids": [row.id for row in gone]})
    kept.by_key.update((node.key, _named(node)) for node in touched)
    return kept


def _homes(session: Session, tenant_id: int, wanted: Collection[str]) -> dict[str, _Row]:
    """The rows of domains, as far as there are any."""
    if not wanted:
        return {}
    found = session.execute(_HOMES, {"tenant_id": tenant_id, "rows": rows(key=[domain_key(each) for each in wanted])})
    return {row.key.removeprefix(DOMAIN): _read(row) for row in found}


def _others(
    session: Session, tenant_id: int, concerned: Collection[str], touched: list[_Row], gone: Collection[_Row]
) -> dict[str, list[_Row]]:
    """Of each domain the rows that state it beside those that are at hand; some of them where they are a crowd."""
    others: dict[str, list[_Row]] = {domain: [] for domain in concerned}
    if concerned:
        at_hand = {row.id for row in (*touched, *gone)}
        names = rows(domain=list(concerned), key=[domain_key(domain) for domain in concerned])
        most = CROWD + 1 + len(at_hand)
        for row in session.execute(_OF_DOMAINS, {"tenant_id": tenant_id, "rows": names, "most": most}):
            if row.id not in at_hand:
                others[row.domain].append(_read(row))
    return others


def _home(domain: str) -> _Row:
    return _Row(domain_key(domain), {}, domain=domain, old_domain=domain)


def _fold_home(home: _Row, members: Collection[_Row]) -> None:
    """A domain's row holds what its members state, and says its own domain."""
    home.state = {}
    for member in members:
        learn(home.state, member.state)
    domain = home.key.removeprefix(DOMAIN)
    home.state["domain"] = (0, canonical(domains.shown(domain)), 0)
    search_key = company_search_key(values_of(home.state), [home.key, *sorted(member.key for member in members)])
    home.is_news = home.state != home.old_state or home.search_key != search_key
    home.search_key = search_key


def _differences(written: Iterable[_Row], gone: Iterable[_Row]) -> KeptCompanies:
    kept = KeptCompanies()
    for row in gone:
        _append_place(kept, row)
    for row in written:
        if row.id is None or not row.is_news:
            continue
        if _texts(row.state) != _texts(row.old_state):
            kept.changed.append(row.id)
        if company_name(values_of(row.state)) != company_name(values_of(row.old_state)):
            kept.renamed.append(row.id)
        if row.home_id != row.old_home_id:
            _append_place(kept, row)
    return kept


def _append_place(kept: KeptCompanies, row: _Row) -> None:
    """Where the people of a row belonged until now."""
    place = row.id if row.old_home_id is None else row.old_home_id
    if place is not None:
        kept.renamed.append(place)


def _texts(state: State) -> dict[str, str]:
    return {name: statement[1] for name, statement in state.items()}


def _named(row: _Row) -> NamedCompany:
    assert row.id is not None  # noqa: S101 # it was written
    return NamedCompany(row.id, row.key, company_name(values_of((row.home or row).state)), row.home_id)


def _read(row: Any) -> _Row:
    known = state(row.traits, row.stated)
    live = None
    if row.live is not None:
        live = {name: (at, canonical(value), source) for name, (at, source, value) in row.live.items()}
    return _Row(
        key=row.key,
        state=known,
        live=live,
        id=row.id,
        domain=row.domain,
        search_key=row.search_key,
        old_state=dict(known),
        old_domain=row.domain,
        old_home_id=row.home_id,
    )


def _insert(session: Session, tenant_id: int, candidates: Iterable[_Row], known_at: datetime) -> None:
    """Those that are not written yet."""
    new = {row.key: row for row in candidates if row.id is None}
    if new:
        inserted = session.execute(
            _INSERT, {"tenant_id": tenant_id, "known_at": known_at, "rows": _columns(new.values())}
        )
        for key, company_id in inserted:
            new[key].id, new[key].is_news = company_id, False


def _update(session: Session, tenant_id: int, changed: Collection[_Row], known_at: datetime) -> None:
    if changed:
        session.execute(_UPDATE, {"tenant_id": tenant_id, "known_at": known_at, "rows": _columns(changed)})


def _columns(table: Collection[_Row]) -> str:
    return rows(
        id=[row.id for row in table],
        key=[row.key for row in table],
        traits=[raw(traits_of(row.state)) for row in table],
        stated=[raw(stated_of(row.state)) for row in table],
        live=[None if row.live is None else raw(_live_of(row.live)) for row in table],
        domain=[row.domain for row in table],
        home_id=[row.home_id for row in table],
        search_key=[row.search_key for row in table],
    )


def _live_of(live: State) -> str:
    return canonical_object((name, f"[{at},{source},{value}]") for name, (at, value, source) in sorted(live.items()))
