"""How a connection fares, in one word and one sentence: for pages and programs alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from assay import plugins
from assay.connecting.catalogue import title_of
from assay.delivery import queries as delivery
from assay.delivery.queries import Standing
from assay.syncing import links
from assay.syncing import queries as syncing
from assay.syncing.queries import Health, Phase, StreamHealth
from assay_tenants import connections
from assay_tenants.connections import Connected
from assay_tenants.errors import NotFound

Condition = Literal[
    "works", "loading", "trouble", "waiting", "paused", "needs_reconnect", "incomplete", "missing", "disconnected"
]
#: What is due within this time is as good as under way.
SOON = timedelta(seconds=5)
CONDITIONS: tuple[str, ...] = get_args(Condition)
PHASES: tuple[str, ...] = get_args(Phase)


@dataclass(frozen=True)
class Hooks:
    """What the vendor posts to us."""

    subscribed_at: datetime | None
    error: str
    last_at: datetime | None
    #: Where it posts to, for all accounts alike; empty: each connection has a secret address of its own.
    shared_address: str


@dataclass(frozen=True)
class Overview:
    connection: Connected
    #: Of the service.
    title: str
    is_installed: bool
    condition: Condition
    #: The same for a person.
    sentence: str
    #: None: it is not at work.
    health: Health | None
    #: None: nothing is ever posted.
    hooks: Hooks | None
    #: None: nothing goes back.
    push: Standing | None

    @property
    def is_at_work(self) -> bool:
        return self.health is not None

    @property
    def streams(self) -> Sequence[StreamHealth]:
        return self.health.streams if self.health else ()

    @property
    def read_at(self) -> datetime | None:
        """When something was last read; of what only tells us, when it last did."""
        if not self.streams:
            return self.hooks.last_at if self.hooks else None
        return max((each.last_success_at for each in self.streams if each.last_success_at), default=None)

    @property
    def percent(self) -> int | None:
        """Of the first load; None: the vendor does not say how much there is."""
        known = [(min(each.records, each.total), each.total) for each in self.streams if each.total]
        total = sum(total for _, total in known)
        return 100 * sum(records for records, _ in known) // total if total else None

    @property
    def is_busy(self) -> bool:
        """Whether it will soon look otherwise."""
        now = datetime.now(UTC)
        due = [each.next_run_at for each in self.streams] + [self.push.due_at if self.push else None]
        is_due = any(at is not None and at <= now + SOON for at in due)
        return self.condition == "loading" or (self.condition == "works" and is_due)


def overview(tenant_id: int, connection_id: int) -> Overview:
    """Raises NotFound; one that is disconnected is still told of."""
    connection = connections.get_connection(tenant_id, connection_id)
    try:
        health = syncing.health(tenant_id, connection_id)
    except NotFound:
        health = None
    return _overview(tenant_id, connection, health)


def list_overviews(tenant_id: int) -> list[Overview]:
    """All that are connected, oldest first."""
    at_work = {health.connection_id: health for health in syncing.list_links(tenant_id)}
    return [_overview(tenant_id, each, at_work.get(each.id)) for each in connections.list_connections(tenant_id)]


def _overview(tenant_id: int, connection: Connected, health: Health | None) -> Overview:
    push = delivery.find_standing(tenant_id, connection.id) if health else None
    condition, sentence = _condition(connection, health, push)
    return Overview(
        connection=connection,
        title=title_of(connection.plugin),
        is_installed=connection.plugin in plugins.installed().services,
        condition=condition,
        sentence=sentence,
        health=health,
        hooks=_hooks(connection, health),
        push=push,
    )


def _condition(connection: Connected, health: Health | None, push: Standing | None) -> tuple[Condition, str]:
    title = title_of(connection.plugin)
    if connection.state == "disconnected":
        return "disconnected", "Nothing is read any more, and no score goes back. What it brought stays."
    if connection.plugin not in plugins.installed().services:
        return "missing", f"The plugin {connection.plugin} is not installed here any more. Nothing is lost meanwhile."
    if connection.state == "needs_reconnect":
        return "needs_reconnect", connection.error or f"{title} takes our access no more: connect it again."
    if health is None:
        return "incomplete", "Access was given, and then something stopped us. Nothing is read yet."
    if health.paused_at is not None:
        return "paused", "Nothing is read, and no score goes back, until you go on. What is posted to us is kept."
    if health.is_circuit_open:
        told = f" {health.error}" if health.error else ""
        return "waiting", f"{title} failed {health.failures} times in a row, and is tried again by itself.{told}"
    read = [each for each in health.streams if each.phase != "left_out"]
    if error := _trouble(health, push):
        return "trouble", error
    if any(each.loaded_at is None for each in read):
        return "loading", f"The first load is under way: {sum(each.records for each in read):,} records so far."
    if not read:
        return "works", f"Ready: {title} tells us when something happens."
    return "works", "Everything is read, and what changes comes in by itself."


def _trouble(health: Health, push: Standing | None) -> str:
    failing = next((f"{each.title}: {each.error}" for each in health.streams if each.phase == "failing"), "")
    notices = f"Notices: {health.subscribe_error}" if health.subscribe_error else ""
    scores = f"Scores: {push.error}" if push is not None and push.enabled and push.error else ""
    return failing or notices or scores


def _hooks(connection: Connected, health: Health | None) -> Hooks | None:
    service = plugins.installed().services.get(connection.plugin)
    source = service.source if service is not None else None
    if health is None or source is None or not source.has_hooks:
        return None
    shared = links.hook_url(connection.plugin, "") if source.shared_address else ""
    return Hooks(health.subscribed_at, health.subscribe_error, health.last_hook_at, shared)
