"""A tenant with something of everything, and a neighbour who would like to see it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import event, text
from werkzeug.test import TestResponse

from assay import plugins
from assay.delivery import service as delivery
from assay.intake import imports
from assay.intake.ids import message_id
from assay.intake.models import Message
from assay.normalise import replaying
from assay.normalise.models import DeadLetter
from assay.privacy import service as erasures
from assay.profiles import deciding, kinship
from assay.profiles.marks import Reveal, SensitiveField, UnwatchedSignal
from assay.profiles.models import Company, KeptEvent, KnownAs, Lead
from assay.scoring import jobs, judgements, rescoring, service, studies
from assay.scoring.studies.service import drain_studies
from assay.syncing import links
from assay.syncing import service as syncing
from assay_tenants import access, connections, database, operators
from assay_tenants.access import invitations, members, sessions
from assay_tenants.access.service import SignedUp
from assay_tenants.database import directory_session, enter_tenant, tenant_session
from assay_tenants.factors.models import Passkey
from assay_tenants.keys import issue_key
from assay_tenants.models import Person
from assay_tenants.oauth import apps, grants, registration
from assay_tenants.permissions import PERMISSIONS
from assay_tenants.sso import scim_tokens
from tests.platform.connecting.acme import Acme, AcmeSource

MODEL = "{model: secret-model, rules: [{id: a, on: page.viewed, points: 1}], stages: [{name: Hot, from: 1}]}"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)

_TABLE = re.compile(
    r"\b(?:FROM|JOIN|UPDATE|USING|,)\s+(?:ONLY\s+)?(?P<table>(?:tenancy|intake|profiles|scoring|delivery)\.(?P<bare>\w+))"
    r"(?:\s+(?:AS\s+)?(?P<alias>(?!WHERE|SET|JOIN|LEFT|ON|ORDER|GROUP|FOR|LIMIT|USING|CROSS|INNER)\w+))?",
    re.IGNORECASE,
)
_GIVEN = re.compile(r"tenant_id\s*=\s*(?:CAST\()?(?:%\(|%s|\d)")


@dataclass
class Watch:
    """Statements that rely on row-level security alone."""

    unfiltered: list[str] = field(default_factory=list)
    seen: int = 0

    def look(self, statement: str) -> None:
        tables = [match for match in _TABLE.finditer(statement) if match["bare"] != "tenants"]
        self.seen += bool(tables)
        unfiltered = bool(tables) and not _GIVEN.search(statement)
        for match in tables:
            name = re.escape(match["alias"] or match["table"])
            unfiltered |= not re.search(rf"(?<![\w.])(?:{name}\.)?tenant_id\s*=|=\s*{name}\.tenant_id", statement)
        if unfiltered:
            self.unfiltered.append(statement)


@pytest.fixture
def watch(connected: None) -> Iterator[Watch]:
    """Looks at every statement that does not go through a door which sees across tenants on purpose."""
    watching = Watch()
    # A transaction of another thread that was under way before has its role from then.
    role_of = object()

    def before(connection: Any, _cursor: object, statement: str, *_: object) -> None:
        role = re.match(r"SET LOCAL ROLE (\w+)", statement)
        if role:
            connection.info[role_of] = role[1]
        elif connection.info.get(role_of) == "NONE":
            watching.look(statement)

    def begin(connection: Any) -> None:
        connection.info[role_of] = "NONE"

    engine = database.engine()
    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "begin", begin)
    yield watching
    event.remove(engine, "before_cursor_execute", before)
    event.remove(engine, "begin", begin)


@dataclass(frozen=True)
class Victim:
    """Ids of one thing of each kind, all of them the tenant's."""

    tenant_id: int
    lead_id: int
    event_id: UUID
    model: str
    import_id: int
    message_id: UUID
    preview_id: int
    replay_id: int
    judgement: str
    rescore_id: int
    company_id: int
    round_id: int


@pytest.fixture
def victim(tenant: SignedUp) -> Victim:
    tenant_id = tenant.tenant_id
    service.create_model(tenant_id, MODEL)
    service.publish(tenant_id, "secret-model", by="Ada Example")
    event_id = uuid4()
    with tenant_session(tenant_id) as session:
        seen = {"first_seen_at": YESTERDAY, "last_seen_at": YESTERDAY}
        company = Company(tenant_id=tenant_id, key="secret-company", traits={"name": "Secret Company"}, live={})
        session.add(company)
        session.flush()
        lead = Lead(tenant_id=tenant_id, name="Secret Person", search_key="secret person", **seen)
        lead.company_id = company.id
        session.add(lead)
        session.flush()
        identity = KnownAs(tenant_id=tenant_id, kind="user_id", value="secret-user", lead_id=lead.id, **seen)
        session.add(identity)
        session.flush()
        session.add(
            KeptEvent(
                tenant_id=tenant_id,
                id=event_id,
                received_at=YESTERDAY,
                lead_id=lead.id,
                identity_id=identity.id,
                type="page.viewed",
                occurred_at=YESTERDAY,
                properties={"path": "/secret"},
                source_id=1,
                sender_id="secret-1",
            )
        )
        session.add(SensitiveField(tenant_id=tenant_id, pattern="secret-field", marked_by="Ada", marked_at=YESTERDAY))
        session.add(UnwatchedSignal(tenant_id=tenant_id, signal="at_once"))
        session.add(Reveal(tenant_id=tenant_id, lead_id=lead.id, names=["secret-field"], by="Ada", at=YESTERDAY))
        service.mark_due(session, tenant_id, [lead.id])
    assert jobs.drain_due(tenant_id) == 1
    file = BytesIO(b"id,name\n1,Secret Person\n,nobody\n")
    size = len(file.getvalue())
    import_id = imports.announce(tenant_id, kind="leads", filename="secret.csv", size=size, review=True)
    imports.append(tenant_id, import_id, offset=0, stream=file)
    studied = [
        studies.start_preview(tenant_id, "secret-model", by="Ada Example"),
        studies.start_replay(tenant_id, "secret-model", studies.ReplayChoice(), by="Ada Example"),
    ]
    while drain_studies(tenant_id):
        pass
    judged = judgements.record(tenant_id, lead.id, points=1_000, reason="Secret reason", by="Ada Example")
    message = refused_message(tenant_id)
    rescore_id = rescoring.start_all(tenant_id, reason="Secret reason", by="Ada Example")
    things = (lead.id, event_id, "secret-model", import_id, message, *studied, judged.key, rescore_id, company.id)
    return Victim(tenant_id, *things, replaying.start(tenant_id, "replay", by="Ada Example", kind="unsorted"))


@dataclass(frozen=True)
class Kin:
    """What is on record of who is whom; ``third`` is a value of the victim's lead."""

    merge_id: int
    decision_id: int
    rule_id: int
    other_id: int
    third: str = "secret-third"


@pytest.fixture
def kin(victim: Victim) -> Kin:
    by = "Ada Example"
    tenant_id = victim.tenant_id
    second, third, fourth, fifth, sixth = (
        _person(tenant_id, f"secret-{number}") for number in ("second", "third", "fourth", "fifth", "sixth")
    )
    for other in (second, third):
        deciding.join(tenant_id, victim.lead_id, other, by=by, reason="Secret reason")
    deciding.join(tenant_id, fifth, sixth, by=by, reason="Secret reason")
    last, _, first = kinship.list_merges(tenant_id).items
    decided = deciding.undo(tenant_id, last.id, by=by, reason="Secret reason")
    rule = deciding.rule(tenant_id, ("email", "secret@example.test"), blocked=True, by=by, reason="Secret reason")
    return Kin(first.id, decided.decision.id, rule.id, fourth)


def _person(tenant_id: int, value: str) -> int:
    seen = {"first_seen_at": YESTERDAY, "last_seen_at": YESTERDAY}
    with tenant_session(tenant_id) as session:
        lead = Lead(tenant_id=tenant_id, name="Secret Person", search_key="secret person", **seen)
        session.add(lead)
        session.flush()
        session.add(KnownAs(tenant_id=tenant_id, kind="user_id", value=value, lead_id=lead.id, **seen))
    return lead.id


@dataclass(frozen=True)
class House:
    """What belongs to the tenant's people, programs and partners rather than to its leads."""

    person_id: int
    session_id: int
    passkey_id: int
    invitation_id: int
    key_id: int
    client_id: str
    secret_id: int
    grant_id: int
    registration_token_id: int
    scim_token_id: int
    access_id: int
    erasure_id: int


@pytest.fixture
def house(app: Flask, victim: Victim, tenant: SignedUp) -> House:
    tenant_id, everything = victim.tenant_id, PERMISSIONS
    with directory_session() as session:
        person = Person(email=f"secret{tenant_id}@quartz.example.test", name="Secret Person", created_at=YESTERDAY)
        session.add(person)
        session.flush()
        about: dict[str, Any] = {"person_id": tenant.person_id, "name": "Secret key", "created_at": YESTERDAY}
        raw: dict[str, Any] = {"credential_id": uuid4().bytes, "public_key": b"secret", "user_handle": b"secret"}
        key = Passkey(**about, **raw, rp_id="localhost", sign_count=0, synced=False)
        session.add(key)
        session.flush()
        enter_tenant(session, tenant_id)
        members.add_member(session, tenant_id, person, "admin")
        verify = "UPDATE tenancy.memberships SET verified = true WHERE tenant_id = :t"
        session.execute(text(verify), {"t": tenant_id})
    invited = invitations.invite(tenant_id, email="secret@example.test", role="viewer", by="Ada", may=everything)
    app = apps.register_app(tenant_id, name="Secret app", redirect_uris=["https://x.test/cb"], scopes=["leads:read"])
    apps.rotate_secret(tenant_id, app.client_id)
    grant_id, _ = grants.give(tenant_id, tenant.person_id, apps.get_app(tenant_id, app.client_id), ["leads:read"])
    registration.make_token(tenant_id, name="Secret token")
    session_token = access.open_session(tenant.person_id, proven_by=("password",))
    visitor = access.find_visitor(session_token)
    assert visitor is not None
    return House(
        person_id=person.id,
        session_id=sessions.list_sessions(visitor)[0].id,
        passkey_id=key.id,
        invitation_id=invited.id,
        key_id=issue_key(tenant_id, kind="api", name="Secret key").id,
        client_id=app.client_id,
        secret_id=apps.list_secrets(tenant_id, app.client_id)[0].id,
        grant_id=grant_id,
        registration_token_id=registration.list_tokens(tenant_id)[0].id,
        scim_token_id=scim_tokens.issue(tenant_id, name="Secret token", days=scim_tokens.LIFETIMES[0]).id,
        access_id=operators.open_access(tenant_id, by="Otto", reason="Secret reason to look").access.id,
        erasure_id=erasures.request(tenant_id, by="Ada", keys={("email", "secret@gone.test")}, confirmed=True).id,
    )


@pytest.fixture
def connection_id(victim: Victim, monkeypatch: pytest.MonkeyPatch) -> int:
    """Of a connection at work, whose vendor nobody can reach."""
    have = plugins.installed()
    monkeypatch.setattr(have, "services", {**have.services, "acme": Acme()})
    monkeypatch.setattr(have, "sources", {**have.sources, "acme": AcmeSource()})
    for name in ("API", "REVOKE", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"ASSAY_PLUGIN_ACME_{name}", "http://127.0.0.1:9")
    token = links.new_hook_token()
    credentials = {"access_token": "Secret token", links.HOOK_TOKEN: token}
    made = connections.create(
        victim.tenant_id,
        plugin="acme",
        name="Secret connection",
        account="secret",
        credentials=credentials,
        settings={"folder": "Secret folder"},
    )
    syncing.establish(victim.tenant_id, made, "acme", "secret", title="Secret", hook_token=token)
    delivery.establish(victim.tenant_id, made, "acme")
    return made


#: What nobody has, by the type of what somebody has.
NOBODYS: dict[type, object] = {int: 999_999_999, str: "nobodys-own", UUID: UUID(int=7)}


@pytest.fixture
def values(victim: Victim, kin: Kin, house: House, connection_id: int) -> dict[str, tuple[object, object]]:
    """For each argument in a path: the tenant's own, and one that nobody has. New arguments are added here."""
    own: dict[str, object] = {
        **vars(victim),
        **vars(kin),
        **vars(house),
        "name": victim.model,
        "key": victim.judgement,
        "number": 1,
        "token_id": house.registration_token_id,
        "verb": "check",
        "deed": "sync",
        "connection_id": connection_id,
    }
    nobodys = {name: NOBODYS[type(value)] for name, value in own.items()}
    return {name: (value, nobodys[name]) for name, value in own.items()} | {
        "number": (1, 77),
        "verb": ("check", "check"),
        "deed": ("sync", "sync"),
        "plugin": ("acme", "acme"),
        "other_id": (kin.other_id, 999_999_998),
        "client_id": (house.client_id, f"app_1_{'n' * 22}"),
    }


def refused_message(tenant_id: int) -> UUID:
    id_ = message_id(YESTERDAY)
    with tenant_session(tenant_id) as session:
        what = {"tenant_id": tenant_id, "received_at": YESTERDAY, "source_id": 1}
        session.add(Message(**what, id=id_, call="batch", body=b'{"secret": "Secret Person"}'))
        session.add(DeadLetter(**what, message_id=id_, position=0, reason="Secret Person has no id.", excerpt="secret"))
    return id_


@pytest.fixture(scope="session")
def api_app(app: Flask) -> Flask:
    return app


@pytest.fixture
def make_caller(api_app: Flask) -> Callable[[int], Callable[..., TestResponse]]:
    def make(tenant_id: int) -> Callable[..., TestResponse]:
        secret = issue_key(tenant_id, kind="api", name="Tests").secret

        def call(method: str, path: str, **options: Any) -> TestResponse:
            headers = {"Authorization": f"Bearer {secret}", **options.pop("headers", {})}
            return api_app.test_client().open(path, method=method, headers=headers, **options)

        return call

    return make
