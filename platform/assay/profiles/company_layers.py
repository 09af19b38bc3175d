"""What each import states of companies, in a layer of its own."""

from collections.abc import Collection, Mapping

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.profiles.bulk import raw, rows
from assay.profiles.merging import State, learn, state, stated_of, traits_of

_OF_IMPORT = text("""
    SELECT l.key, l.traits, l.stated
    FROM json_to_recordset(CAST(:rows AS json)) AS n (key text)
    JOIN profiles.import_companies l ON l.tenant_id = :tenant_id AND l.import_id = :import_id AND l.key = n.key
""")
_KEEP = text("""
    INSERT INTO profiles.import_companies (tenant_id, import_id, key, traits, stated)
    SELECT :tenant_id, :import_id, n.key, n.traits, n.stated
    FROM json_to_recordset(CAST(:rows AS json)) AS n (key text, traits jsonb, stated jsonb)
    ON CONFLICT (tenant_id, import_id, key) DO UPDATE SET traits = excluded.traits, stated = excluded.stated
""")
_OF_ALL = text("""
    SELECT l.key, l.traits, l.stated
    FROM json_to_recordset(CAST(:rows AS json)) AS n (key text)
    JOIN profiles.import_companies l ON l.tenant_id = :tenant_id AND l.key = n.key
""")


def add(session: Session, tenant_id: int, import_id: int, stated: Mapping[str, State]) -> None:
    """Keeps what an import states, also of a company that it only names."""
    asked = {"tenant_id": tenant_id, "import_id": import_id}
    news = {key: dict(statements) for key, statements in stated.items()}
    for row in session.execute(_OF_IMPORT, {**asked, "rows": rows(key=list(stated))}):
        known = state(row.traits, row.stated)
        if learn(known, news.pop(row.key)):
            news[row.key] = known
    if news:
        columns = {
            "traits": [raw(traits_of(each)) for each in news.values()],
            "stated": [raw(stated_of(each)) for each in news.values()],
        }
        session.execute(_KEEP, {**asked, "rows": rows(key=list(news), **columns)})


def together(session: Session, tenant_id: int, keys: Collection[str]) -> dict[str, State]:
    """What all imports state of those companies that any states."""
    found: dict[str, State] = {}
    for row in session.execute(_OF_ALL, {"tenant_id": tenant_id, "rows": rows(key=list(keys))}):
        learn(found.setdefault(row.key, {}), state(row.traits, row.stated))
    return found
