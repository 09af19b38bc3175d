"""Every table there is, asked without a tenant and as another one."""

import re

import pytest
from sqlalchemy import Row, create_engine, text
from sqlalchemy.exc import ProgrammingError

from assay_tenants import database
from assay_tenants.database import tenant_session

SCHEMAS = "('tenancy', 'intake', 'profiles', 'scoring', 'delivery')"

#: All that the directory may touch: whole tables about persons, logins and what is shared, of tenants' own tables the
#: columns by which somebody is let in. Nothing of leads, events, scores or messages is among them.
DIRECTORY_WRITES = {
    "tenancy.cuts", "tenancy.device_codes", "tenancy.mails", "tenancy.memberships", "tenancy.passkey_challenges",
    "tenancy.passkeys", "tenancy.pending_logins", "tenancy.people", "tenancy.person_links", "tenancy.recovery_codes",
    "tenancy.resealings", "tenancy.reset_requests", "tenancy.sealing_keys", "tenancy.sessions", "tenancy.signing_keys",
    "tenancy.tenants", "tenancy.totp_factors",
}  # fmt: skip
DIRECTORY_READS = {
    "tenancy.apps": "tenant_id client_id name homepage logo scopes listed removed_at",
    "tenancy.installations": "tenant_id client_id",
    "tenancy.sso_domains": "tenant_id domain verified_at",
    "tenancy.sso_providers": "tenant_id enforced spare_person_id",
}
#: Tables of tenants' that hold nothing but what leads a vendor's notice to its connection.
DIRECTORY_READS_WHOLE = {"tenancy.hook_routes"}
#: All that the timetable sees: whose work is due, and what an installation counts and keeps by. It writes nothing.
TIMETABLE_READS = {
    "delivery.targets": "tenant_id due_at",
    "intake.idempotency_keys": "tenant_id created_at",
    "intake.imports": "tenant_id state created_at",
    "intake.letter_rounds": "tenant_id state",
    "intake.links": "tenant_id due_at",
    "intake.retention_moves": "tenant_id kind into_days due_at",
    "intake.streams": "tenant_id due_at",
    "intake.waiting": "tenant_id received_at",
    "intake.wanted": "tenant_id due_at",
    "profiles.erasures": "tenant_id due_at",
    "profiles.forgetting": "tenant_id partition",
    "profiles.unfolded": "tenant_id",
    "scoring.due": "tenant_id due_at",
    "scoring.rescore_ranges": "tenant_id open",
    "scoring.studies": "tenant_id state",
    "tenancy.authorization_codes": "tenant_id expires_at",
    "tenancy.client_assertions": "tenant_id expires_at",
    "tenancy.connect_attempts": "tenant_id expires_at",
    "tenancy.refresh_tokens": "tenant_id expires_at",
    "tenancy.tenants": "id keep_messages keep_events events_per_second plan plan_since trial_ends_at",
    "tenancy.token_families": "tenant_id ends_at",
    "tenancy.usage": "tenant_id month events leads reported_at",
}
#: Functions that run with their owner's rights, and who may call them: they see to partitions, and tell no row.
POWERFUL_FUNCTIONS = {
    "assay_drop_partition(text)": {"assay_app"},
    "assay_make_partition(text,smallint,timestamp with time zone)": {"assay_app"},
    "assay_make_partitions(date,integer)": {"assay_app"},
    "assay_stray(text)": {"assay_app"},
    "assay_tenants_in(text)": {"assay_timetable"},
}
#: Keys that hold for all tenants together, each with the reason.
ACROSS_TENANTS = {"tenancy.sso_domains_verified": "a domain is one company's alone: who showed that it is theirs"}
ROLES = ("assay_app", "assay_directory", "assay_timetable", "public")


@pytest.fixture(scope="module")
def tables(servers):
    """Every table of ours, partitions too, with whether it is one."""
    engine = create_engine(servers.owner_url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT c.oid::regclass::text, c.relispartition, c.relrowsecurity AND c.relforcerowsecurity,"
                " EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')"
                f" FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text IN {SCHEMAS}"
            )
        ).all()
    engine.dispose()
    assert len(rows) > 20
    return rows


def test_row_level_security_is_forced_on_each(tables) -> None:
    assert [name for name, is_partition, forced, _ in tables if not is_partition and not forced] == []


def test_without_a_tenant_none_shows_a_row(tables, connected, victim) -> None:
    for name, *_ in tables:
        with database.engine().connect() as connection:
            may_read = "SELECT has_table_privilege(current_user, CAST(:name AS regclass), 'SELECT')"
            if connection.execute(text(may_read), {"name": name}).scalar_one():
                assert connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() == 0, name


def test_the_neighbour_sees_only_rows_of_its_own(tables, neighbour, victim) -> None:
    for name, is_partition, _, has_tenant in tables:
        if is_partition or not has_tenant:
            continue
        with tenant_session(neighbour.tenant_id) as session:
            others = session.execute(
                text(f"SELECT count(*) FROM {name} WHERE tenant_id <> :t"), {"t": neighbour.tenant_id}
            ).scalar_one()
        assert others == 0, name


def test_partitions_are_out_of_reach(tables, neighbour) -> None:
    # A policy of the parent does not hold for a partition that is asked directly.
    for name, is_partition, *_ in tables:
        if is_partition:
            with (
                pytest.raises(ProgrammingError, match="permission denied"),
                tenant_session(neighbour.tenant_id) as session,
            ):
                session.execute(text(f"SELECT count(*) FROM {name}"))


def test_the_neighbours_rows_can_be_neither_changed_nor_added(tables, neighbour, victim) -> None:
    for name, is_partition, _, has_tenant in tables:
        if is_partition or not has_tenant:
            continue
        with tenant_session(neighbour.tenant_id) as session:
            # What is only ever added to can't be deleted from, whoever's it is.
            may_delete = "SELECT has_table_privilege(current_user, CAST(:name AS regclass), 'DELETE')"
            if not session.execute(text(may_delete), {"name": name}).scalar_one():
                continue
            deleted = session.execute(text(f"DELETE FROM {name} WHERE tenant_id = :t"), {"t": victim.tenant_id})
            assert deleted.rowcount == 0, name


@pytest.fixture(scope="module")
def ask_owner(servers):
    """Asks the catalogue, as the owner of the tables."""
    engine = create_engine(servers.owner_url.replace("postgresql://", "postgresql+psycopg://", 1))

    def ask(question: str, **values: object) -> list[Row]:
        with engine.connect() as connection:
            return list(connection.execute(text(question), values).all())

    yield ask
    engine.dispose()


def columns_of(ask_owner, role: str, privilege: str) -> dict[str, tuple[str, bool]]:
    """By table: the columns on which the role has the privilege, and whether they are all there are."""
    rows = ask_owner(
        "SELECT c.oid::regclass::text, count(*) AS all_of_them, string_agg(a.attname, ' ' ORDER BY a.attnum)"
        " FILTER (WHERE has_column_privilege(CAST(:role AS name), c.oid, a.attnum, :privilege)) AS seen,"
        " count(*) FILTER (WHERE has_column_privilege(CAST(:role AS name), c.oid, a.attnum, :privilege)) AS several"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        f" WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text IN {SCHEMAS} GROUP BY c.oid",
        role=role,
        privilege=privilege,
    )
    return {table: (seen, several == of) for table, of, seen, several in rows if several}


def test_the_directory_reads_and_writes_what_is_listed_and_no_more(ask_owner) -> None:
    seen = columns_of(ask_owner, "assay_directory", "SELECT")
    assert {table: columns for table, (columns, whole) in seen.items() if not whole} == DIRECTORY_READS
    assert {table for table, (_, whole) in seen.items() if whole} == DIRECTORY_WRITES | DIRECTORY_READS_WHOLE
    for privilege in ("INSERT", "UPDATE"):
        assert columns_of(ask_owner, "assay_directory", privilege).keys() <= DIRECTORY_WRITES
    assert {table.partition(".")[0] for table in seen} == {"tenancy"}


def test_the_timetable_reads_what_is_listed_and_writes_nothing(ask_owner) -> None:
    seen = columns_of(ask_owner, "assay_timetable", "SELECT")
    assert {table: columns for table, (columns, _) in seen.items()} == TIMETABLE_READS
    for privilege in ("INSERT", "UPDATE", "REFERENCES"):
        assert columns_of(ask_owner, "assay_timetable", privilege) == {}


def test_the_public_has_nothing(ask_owner) -> None:
    granted = ask_owner(
        "SELECT c.oid::regclass::text, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a"
        f" WHERE a.grantee = 0 AND c.relnamespace::regnamespace::text IN {SCHEMAS}"
    )
    assert granted == []


def test_no_view_shows_what_its_tables_hide(ask_owner) -> None:
    # A view asks with its owner's rights, and the owner is not held back as the application is.
    views = ask_owner(
        "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('v', 'm', 'f')"
        f" AND c.relnamespace::regnamespace::text IN {SCHEMAS}"
        " AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)"
    )
    assert views == []


def test_powerful_functions_are_known_and_for_those_who_are_listed(ask_owner) -> None:
    functions = ask_owner(
        "SELECT p.oid::regprocedure::text, p.oid, p.proconfig FROM pg_proc p WHERE p.prosecdef"
        f" AND p.pronamespace::regnamespace::text IN ('public', {SCHEMAS[1:-1]})"
    )
    found = {}
    for name, oid, configuration in functions:
        # Without a search path of its own it could be led to somebody else's tables.
        assert any(option.startswith("search_path=") for option in configuration or ()), name
        found[name] = {
            role
            for role in ROLES
            if ask_owner("SELECT has_function_privilege(CAST(:role AS name), CAST(:oid AS oid), 'EXECUTE')",
                         role=role, oid=oid)[0][0]
        }  # fmt: skip
    assert found == POWERFUL_FUNCTIONS


def test_nobody_sets_a_sequence(ask_owner) -> None:
    # Whoever could would learn how many rows others have, or give out ids twice.
    for role in ROLES[:-1]:
        assert (
            ask_owner(
                "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'S'"
                f" AND c.relnamespace::regnamespace::text IN {SCHEMAS}"
                " AND CASE c.relkind WHEN 'S' THEN"
                " has_sequence_privilege(CAST(:role AS name), c.oid, 'USAGE, SELECT, UPDATE') END",
                role=role,
            )
            == []
        ), role


def test_every_policy_of_the_application_compares_the_tenant(ask_owner) -> None:
    policies = ask_owner(
        "SELECT c.oid::regclass::text, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)"
        " FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid"
        " WHERE 'assay_app'::regrole = ANY (p.polroles) OR p.polroles = '{0}'"
    )
    compares = re.compile(r"\((tenant_id|id) = \(current_setting\('app\.tenant_id'::text\)\)::bigint\)")
    wrong = [each for each in policies if not all(compares.fullmatch(part) for part in each[1:] if part)]
    assert wrong == []
    assert len(policies) > 40


def test_every_key_of_a_tenants_table_begins_with_the_tenant(ask_owner) -> None:
    indexes = ask_owner(
        "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
        " JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'tenant_id'"
        " JOIN pg_attribute first ON first.attrelid = c.oid AND first.attnum = i.indkey[0]"
        f" WHERE i.indisunique AND NOT c.relispartition AND c.relnamespace::regnamespace::text IN {SCHEMAS}"
        " AND t.attnotnull AND first.attname <> 'tenant_id'"
    )
    assert {name for (name,) in indexes} == ACROSS_TENANTS.keys()
