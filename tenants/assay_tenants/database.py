"""The doors to the database, each with a name that says what can be seen through it.

``tenant_session``     one tenant's rows: the doorway of all ordinary work
``directory_session``  who is it: people, memberships, tenants; no tenant's leads, events or scores
``timetable_session``  which tenants have work waiting: tenant ids and due times, nothing else

Row-level security enforces all three; a connection that went through none of them sees no rows.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.orm import DeclarativeBase, Session

DIRECTORY_ROLE = "assay_directory"
TIMETABLE_ROLE = "assay_timetable"
#: What a bigint holds: a larger id that somebody asks for is nobody's.
LARGEST_ID = 2**63 - 1


class Base(DeclarativeBase):
    """Every table states in ``info["citus"]`` whether it is distributed, reference or local."""


class PowerfulRole(RuntimeError):
    def __init__(self, role: str) -> None:
        super().__init__(
            f"The database role {role!r} is a superuser, bypasses row-level security or owns Assay's tables: "
            "tenants could see each other. Set ASSAY_DATABASE_URL to the application role (assay_app) and keep "
            "the owner's address in ASSAY_MIGRATION_DATABASE_URL."
        )


class NotConfigured(RuntimeError):
    def __init__(self) -> None:
        super().__init__("assay_tenants.database.configure(url) was not called in this process.")


_engine: Engine | None = None


def configure(url: str, *, pool_size: int = 8) -> Engine:
    """Connects this process; called once by each door (web, worker, CLI) and by the tests."""
    global _engine
    if _engine is not None:
        _engine.dispose()
    _engine = create_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1),
        pool_size=pool_size,
        max_overflow=4,
        pool_timeout=10,
        pool_pre_ping=True,
        # What leads' facts are is nothing for a log.
        hide_parameters=True,
        connect_args={"connect_timeout": 5, "tcp_user_timeout": 10_000, "options": "-c timezone=UTC"},
    )
    return _engine


@contextmanager
def connected_to(url: str) -> Iterator[Engine]:
    """This process at another database for a while, with a single connection: for looking."""
    global _engine
    before, _engine = _engine, None
    try:
        yield configure(url, pool_size=1)
    finally:
        engine().dispose()
        _engine = before


def engine() -> Engine:
    if _engine is None:
        raise NotConfigured
    return _engine


def refuse_powerful_role(engine: Engine) -> None:
    """Raises PowerfulRole when row-level security would not hold this connection back."""
    with engine.connect() as connection:
        role, powerful = connection.execute(
            text(
                "SELECT r.rolname, r.rolsuper OR r.rolbypassrls OR EXISTS ("
                " SELECT FROM pg_class c WHERE c.relnamespace::regnamespace::text IN"
                " ('tenancy', 'intake', 'profiles', 'scoring', 'delivery') AND c.relowner = r.oid)"
                " FROM pg_roles r WHERE r.rolname = current_user"
            )
        ).one()
    if powerful:
        raise PowerfulRole(role)


def enter_tenant(session: Session, tenant_id: int) -> None:
    """From here on the transaction sees this tenant, in the application's own role."""
    session.execute(text("SET LOCAL ROLE NONE"))
    # SET takes no parameters, so int() keeps all but digits out. Citus propagates SET LOCAL, but not set_config().
    session.execute(text(f"SET LOCAL app.tenant_id = '{int(tenant_id)}'"))


def enter_directory(session: Session) -> None:
    """From here on the transaction sees people, memberships and tenants, and no tenant's other rows."""
    session.execute(text(f"SET LOCAL ROLE {DIRECTORY_ROLE}"))
    session.execute(text("SET LOCAL app.tenant_id = '0'"))


@contextmanager
def tenant_session(tenant_id: int) -> Iterator[Session]:
    """One transaction that sees one tenant: committed at the end, rolled back on any error."""
    with _transaction() as session:
        session.execute(text(f"SET LOCAL app.tenant_id = '{int(tenant_id)}'"))
        yield session


@contextmanager
def directory_session() -> Iterator[Session]:
    """One transaction that can look up people, memberships and tenants, to find out who is asking."""
    with _transaction() as session:
        session.execute(text(f"SET LOCAL ROLE {DIRECTORY_ROLE}"))
        yield session


@contextmanager
def timetable_session() -> Iterator[Session]:
    """One transaction that can see which tenants have work waiting, and since when."""
    with _transaction() as session:
        session.execute(text(f"SET LOCAL ROLE {TIMETABLE_ROLE}"))
        yield session


@contextmanager
def _transaction() -> Iterator[Session]:
    with Session(engine(), expire_on_commit=False) as session, session.begin():
        yield session


def after_commit(session: Session, action: Callable[[], None]) -> None:
    """Runs ``action`` once this transaction has committed, and never after a rollback."""
    waiting: list[Callable[[], None]] | None = session.info.get("after_commit")
    if waiting is None:
        waiting = session.info["after_commit"] = []
        event.listen(session, "after_commit", _run_waiting)
    waiting.append(action)


def _run_waiting(session: Session) -> None:
    for action in session.info.pop("after_commit", []):
        action()
