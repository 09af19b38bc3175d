"""What people do: connect a service, connect it again, change it, disconnect it.

Connecting by OAuth is a way there and back: ``begin`` gives the address to go to, ``finish`` takes what the browser
came back with. Nothing is kept before the vendor has said whose account it is. What is kept then is kept in steps, each
of which can be done again: whoever connects the same account once more completes what a crash left undone.
"""

import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError

from assay import plugins
from assay.connecting import attempts, queries, settings_forms
from assay.connecting.asking import Answered, address_to_leave_to, ask, exchange
from assay.connecting.attempts import Attempt
from assay.connecting.catalogue import get_service, missing_of
from assay.connecting.errors import NotSetUp, OtherAccount
from assay.delivery import queries as delivery_queries
from assay.delivery import service as delivery
from assay.scoring import queries as scoring
from assay.syncing import links
from assay.syncing import service as syncing
from assay.syncing.queries import health
from assay_sdk import OAuth, Service, Tokens
from assay_sdk.auth import ACCESS_TOKEN, EXPIRES_AT, REFRESH_TOKEN, SCOPES
from assay_tenants import audit, connections
from assay_tenants.connections import Connected
from assay_tenants.connections.sealed import opened, sealed_for
from assay_tenants.connections.service import NAME_LENGTH, locked
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, Conflict, NotFound

log = structlog.get_logger()

#: Of the access that is replaced nothing is good any more, whatever the new one has.
_REPLACED = frozenset({ACCESS_TOKEN, REFRESH_TOKEN, EXPIRES_AT, SCOPES})


class StillConnected(Conflict):
    code = "still_connected"

    def __init__(self) -> None:
        super().__init__("This connection is connected, and set up whole: there is nothing to complete.")


@dataclass(frozen=True)
class Begun:
    """Either an address to send the person to, or the connection that is there already."""

    url: str = ""
    connection_id: int = 0


def begin(
    tenant_id: int,
    person_id: int,
    plugin: str,
    form: Mapping[str, str],
    *,
    redirect_uri: str,
    connection_id: int | None = None,
) -> Begun:
    """A person has filled in the form of a service.

    Args:
        form: by the schema's names, and ``name`` under which the connection is to be shown, as ``connection_name``.
        connection_id: which connection is to be connected again.

    Raises BadForm, NotSetUp, NotFound, ConnectError.
    """
    service = get_service(plugin)
    if missing_of(service):
        raise NotSetUp(service.title)
    held: dict[str, Any] = {}
    if connection_id is not None:
        if connections.get_connection(tenant_id, connection_id).plugin != plugin:
            raise NotFound("connection")
        held = queries.secrets_of(tenant_id, connection_id)
    filled = settings_forms.read(service, form, kept=frozenset(held))
    name = _name(form.get("connection_name", ""))
    secrets = {**_of_the_form(service, held), **filled.secrets}
    attempt = Attempt(
        plugin=plugin,
        person_id=person_id,
        connection_id=connection_id,
        name=name,
        settings=filled.settings,
        redirect_uri=redirect_uri,
        secrets=secrets,
        verifier=random.token_urlsafe(48),
    )
    if not isinstance(service.auth, OAuth):
        return Begun(connection_id=_ask_and_keep(tenant_id, service, attempt, None))
    state = attempts.new_state(tenant_id)
    app = plugins.app_settings(service)
    url = address_to_leave_to(
        service,
        lambda auth: auth.authorize_url(
            app, redirect_uri=redirect_uri, state=state, verifier=attempt.verifier, settings=filled.settings
        ),
    )
    attempts.keep(tenant_id, state, attempt)
    return Begun(url=url)


def finish(tenant_id: int, person_id: int, plugin: str, query: Mapping[str, str]) -> int:
    """A person's browser came back from the vendor; tells the connection.

    What it came back with is good once. Raises NotFound, and ConnectError, of which nothing is kept.
    """
    service = get_service(plugin)
    attempt = attempts.take(tenant_id, person_id, plugin, query.get("state", ""), title=service.title)
    tokens = exchange(service, attempt, query)
    return _ask_and_keep(tenant_id, service, attempt, tokens)


def complete(tenant_id: int, connection_id: int) -> None:
    """Sets up at work what a crash left as credentials alone. Raises StillConnected, NotFound, NoCredentials."""
    connection = connections.get_connection(tenant_id, connection_id)
    if queries.is_at_work(tenant_id, connection_id):
        raise StillConnected
    service = get_service(connection.plugin)
    held = connections.credentials_of(tenant_id, connection_id).values
    _set_to_work(tenant_id, connection_id, service, connection.account, connection.name, held, {})


def disconnect(tenant_id: int, connection_id: int) -> list[str]:
    """Says farewell to the vendor, wipes the secrets, ends the work; what was brought in stays.

    Tells in words what the vendor did not take back: somebody may do so there. Twice is once; a second call completes
    what a crash left.
    """
    connection = connections.get_connection(tenant_id, connection_id)
    told: list[str] = []
    if connection.state != "disconnected" and queries.is_at_work(tenant_id, connection_id):
        syncing.leave_alone(tenant_id, connection_id)
        delivery.leave_alone(tenant_id, connection_id)
        told = syncing.farewell(tenant_id, connection_id)
    connections.disconnect(tenant_id, connection_id)
    delivery.end(tenant_id, connection_id)
    syncing.end(tenant_id, connection_id)
    return told


def change(
    tenant_id: int, connection_id: int, form: Mapping[str, str], *, version: int, name: str | None = None
) -> Connected:
    """Its name, and what was filled in when it was connected; secrets that are left empty stay.

    Raises BadForm, BadInput, Changed, NotFound.
    """
    connection = connections.get_connection(tenant_id, connection_id)
    service = get_service(connection.plugin)
    held = queries.secrets_of(tenant_id, connection_id)
    filled = settings_forms.read(service, form, kept=frozenset(held))
    changed = connections.change(tenant_id, connection_id, version=version, name=name, settings=filled.settings)
    if filled.secrets:
        connections.add_credentials(tenant_id, connection_id, filled.secrets)
    is_told = delivery_queries.find_standing(tenant_id, connection_id) is not None
    if service.destination is not None and not is_told and service.destination.is_set_up({**held, **filled.secrets}):
        delivery.establish(tenant_id, connection_id, service.name)
    return changed


def reload(tenant_id: int, connection_id: int, stream: str | None) -> None:
    """Reads a stream from its beginning, or all that are read. Raises NotFound."""
    if stream is not None:
        syncing.reload(tenant_id, connection_id, stream)
        return
    for each in health(tenant_id, connection_id).streams:
        if each.phase != "left_out":
            syncing.reload(tenant_id, connection_id, each.name)


def change_push(tenant_id: int, connection_id: int, *, enabled: bool, model: str | None) -> None:
    """Whether scores go back, and of which model, by its name; None: the one that leads. Raises NotFound, BadInput."""
    delivery_queries.standing(tenant_id, connection_id)
    model_id = None
    if model is not None:
        found = next((row.id for row in scoring.list_published(tenant_id) if row.name == model), None)
        if found is None:
            raise BadInput("There is no published model of this name.", field="model")
        model_id = found
    delivery.change(tenant_id, connection_id, enabled=enabled, model_id=model_id)


def show_address(tenant_id: int, connection_id: int) -> str:
    """Where the vendor posts to, for somebody who sets that up there by hand; where it is a secret, that it was shown
    is on record. Raises NotFound for a connection that nothing is posted to."""
    connection = connections.get_connection(tenant_id, connection_id)
    source = get_service(connection.plugin).source
    if source is None or not source.has_hooks:
        raise NotFound("address")
    if source.shared_address:
        return links.hook_url(connection.plugin, "")
    token = str(connections.credentials_of(tenant_id, connection_id).values.get(links.HOOK_TOKEN) or "")
    if not token:
        raise NotFound("address")
    with tenant_session(tenant_id) as session:
        audit.record(session, tenant_id, "connection.address_shown", connection_id)
    return links.hook_url(connection.plugin, token)


def _ask_and_keep(tenant_id: int, service: Service, attempt: Attempt, tokens: Tokens | None) -> int:
    """The connection of whichever account it turns out to be: the one there is, with new secrets, or a new one."""
    held: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    wanted: Connected | None = None
    if attempt.connection_id is not None:
        wanted = connections.get_connection(tenant_id, attempt.connection_id)
        # What the plugin has kept of a connection is its own to change.
        held = _lasting(queries.secrets_of(tenant_id, attempt.connection_id))
        notes = queries.notes_of(tenant_id, attempt.connection_id)
    secrets = {**held, **attempt.secrets}
    before = wanted.account if wanted else ""
    answered = ask(
        service, settings=attempt.settings, secrets=secrets, tokens=tokens, notes=notes, account_before=before
    )
    account = answered.account
    if wanted and before and before != account.id:
        raise OtherAccount(service.title, wanted.name, account.title)
    known = queries.find_by_account(tenant_id, service.name, account.id)
    if known is None:
        try:
            return _connected_first(tenant_id, service, attempt, answered)
        except IntegrityError:
            # Somebody connected the same account in this very moment.
            known = queries.find_by_account(tenant_id, service.name, account.id)
            if known is None:
                raise
    return _connected_again(tenant_id, known, service, attempt, answered, held=held, notes=notes)


def _connected_first(tenant_id: int, service: Service, attempt: Attempt, answered: Answered) -> int:
    account = answered.account
    secrets = {links.HOOK_TOKEN: links.new_hook_token(), **answered.secrets}
    connection_id = connections.create(
        tenant_id,
        plugin=service.name,
        name=attempt.name or account.title[:NAME_LENGTH],
        account=account.id,
        credentials=secrets,
        settings=attempt.settings,
        expires_at=answered.expires_at,
    )
    _set_to_work(tenant_id, connection_id, service, account.id, account.title, secrets, answered.notes)
    return connection_id


def _connected_again(
    tenant_id: int,
    connection_id: int,
    service: Service,
    attempt: Attempt,
    answered: Answered,
    *,
    held: Mapping[str, Any],
    notes: Mapping[str, Any],
) -> int:
    """One transaction: who reads it meanwhile finds the old access with the old settings, or the new with the new.

    ``held`` and ``notes`` are what the vendor was asked with: what a worker kept since then stays.
    """
    account = answered.account
    with tenant_session(tenant_id) as session:
        row = locked(session, tenant_id, connection_id)
        if row.credentials is None:
            # Disconnected meanwhile: nothing of it is left.
            held, notes, kept = {}, {}, {}
        else:
            kept = _lasting(opened(tenant_id, connection_id, row.credentials))
        changed = {**kept, **_changes(held, answered.secrets)}
        secrets = {name: value for name, value in changed.items() if value is not None}
        secrets.setdefault(links.HOOK_TOKEN, links.new_hook_token())
        before = {"state": row.state, "error": row.error, "settings": row.settings, "name": row.name}
        row.credentials = sealed_for(tenant_id, connection_id, secrets)
        row.state, row.error, row.expires_at = "connected", "", answered.expires_at
        row.settings = dict(attempt.settings)
        row.name = attempt.name or row.name
        row.renewal += 1
        row.version += 1
        row.updated_at = datetime.now(UTC)
        after = {"state": row.state, "error": "", "settings": row.settings, "name": row.name}
        audit.record(session, tenant_id, "connection.reconnected", connection_id, before=before, after=after)
    news = _changes(notes, answered.notes)
    _set_to_work(tenant_id, connection_id, service, account.id, account.title, secrets, news)
    return connection_id


def _set_to_work(
    tenant_id: int,
    connection_id: int,
    service: Service,
    account: str,
    title: str,
    secrets: Mapping[str, Any],
    notes: Mapping[str, Any],
) -> None:
    """Each step may be done again. The first look at the vendor is due at once."""
    token = str(secrets[links.HOOK_TOKEN])
    syncing.establish(tenant_id, connection_id, service.name, account, title=title, hook_token=token, notes=notes)
    if service.destination is not None and service.destination.is_set_up(secrets):
        delivery.establish(tenant_id, connection_id, service.name)
    log.info("connection.at_work", tenant_id=tenant_id, connection_id=connection_id, plugin=service.name)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """None is what was taken away."""
    names = before.keys() | after.keys()
    return {name: after.get(name) for name in names if before.get(name) != after.get(name)}


def _lasting(held: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in held.items() if name not in _REPLACED}


def _of_the_form(service: Service, held: Mapping[str, Any]) -> dict[str, Any]:
    """Of the secrets that a connection has, those that somebody filled in."""
    hidden = {field.name for field in settings_forms.fields_of(service) if field.secret}
    return {name: value for name, value in held.items() if name in hidden}


def _name(typed: str) -> str:
    name = " ".join(typed.split())
    if len(name) > NAME_LENGTH:
        raise BadInput(f"A name has at most {NAME_LENGTH} characters.", field="connection_name")
    return name
