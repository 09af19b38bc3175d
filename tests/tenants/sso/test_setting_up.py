"""What is refused of a provider before it is kept, whose domain is whose, and tokens of provisioning clients."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import select, text

from assay_tenants.access import open_session
from assay_tenants.audit.models import AuditEntry
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, Conflict, NotFound
from assay_tenants.sso import discovery, domains, providers, scim_tokens
from assay_tenants.sso.domains import NotProven
from tests.tenants.sso.provider import CLIENT_SECRET


def free(_: str) -> str | None:
    return None


@pytest.mark.parametrize(
    ("document", "said"),
    [
        pytest.param({"jwks_uri": None, "token_endpoint": None}, "lacks token_endpoint, jwks_uri", id="parts missing"),
        pytest.param({"issuer": "https://other.test"}, "names another issuer", id="another issuer"),
        pytest.param({"response_types_supported": ["id_token"]}, "response_types_supported holds none", id="no code"),
        pytest.param({"code_challenge_methods_supported": ["plain"]}, "holds none of S256", id="no PKCE"),
        pytest.param(
            {"id_token_signing_alg_values_supported": ["HS256"]}, "holds none of RS256", id="shared secrets alone"
        ),
        pytest.param({"token_endpoint": "http://example.com/token"}, "begin with https", id="in the clear"),
        pytest.param({"jwks_uri": "https://10.0.0.1/keys"}, "public internet", id="inside"),
    ],
)
def test_a_discovery_document_says_what_it_lacks(lasting_company, document, said) -> None:
    company = lasting_company
    company.provider.document = document
    with pytest.raises(BadInput) as refused:
        company.sets_up()
    assert refused.value.field == "issuer"
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        pytest.param({"issuer": "http://example.com"}, "issuer", "begin with https", id="in the clear"),
        pytest.param({"issuer": "https://169.254.169.254"}, "issuer", "public internet", id="metadata of a cloud"),
        pytest.param({"issuer": "nonsense"}, "issuer", "https:// or http://", id="no address"),
        pytest.param({"issuer": "http://127.0.0.1:1029"}, "issuer", "does not answer", id="nobody there"),
        pytest.param({"client_id": " "}, "client_id", "1 to 500", id="no client"),
        pytest.param({"client_secret": "wrong"}, "client_secret", "does not know this client", id="wrong secret"),
        pytest.param({"default_role": "owner"}, "default_role", "admin, editor, viewer", id="owners by default"),
        pytest.param({"role_claim": "x", "roles": {"a": "owner"}}, "roles", "admin, editor", id="owners by claim"),
        pytest.param({"roles": {"a": "admin"}}, "role_claim", "Name the claim", id="mapping without a claim"),
    ],
)
def test_what_is_typed_is_tried_before_it_is_kept(lasting_company, typed, field, said) -> None:
    company = lasting_company
    before = providers.find(company.tenant_id)
    with pytest.raises(BadInput) as refused:
        company.sets_up(**typed)
    assert (refused.value.field, said in refused.value.message) == (field, True), refused.value.message
    after = providers.find(company.tenant_id)
    assert before is not None
    assert after is not None
    assert after.changed_at == before.changed_at


def test_the_secret_is_sealed_kept_and_not_given_to_another_issuer(company) -> None:
    kept = providers.find(company.tenant_id)
    assert kept is not None
    assert kept.client_secret is not None
    assert CLIENT_SECRET.encode() not in kept.client_secret
    company.sets_up(client_secret=None)
    again = providers.find(company.tenant_id)
    assert again is not None
    assert providers.secret_of(again) == CLIENT_SECRET
    with tenant_session(company.tenant_id) as session:
        log = str(session.scalars(select(AuditEntry.after).where(AuditEntry.tenant_id == company.tenant_id)).all())
        session.execute(
            text("UPDATE tenancy.sso_providers SET issuer = 'https://former.test' WHERE tenant_id = :t"),
            {"t": company.tenant_id},
        )
    assert CLIENT_SECRET not in log
    with pytest.raises(BadInput, match="the issuer is another one"):
        company.sets_up(client_secret=None)


def test_an_issuer_may_be_typed_as_the_address_of_its_document(company) -> None:
    assert discovery.read_issuer(f"{company.provider.issuer}{discovery.WELL_KNOWN}") == company.provider.issuer


def test_nobody_is_locked_out_by_enforcing(company, tenant) -> None:
    with pytest.raises(Conflict, match="log in once"):
        providers.enforce(company.tenant_id, tenant.person_id)
    visitor_token = company.logs_in("ines").token
    assert visitor_token
    with pytest.raises(BadInput, match="Choose an owner"):
        providers.enforce(company.tenant_id, 999_999_999)
    for domain in domains.list_domains(company.tenant_id):
        domains.remove(company.tenant_id, domain.domain)
    with pytest.raises(Conflict, match="Verify a domain"):
        providers.enforce(company.tenant_id, tenant.person_id)
    providers.remove(company.tenant_id)
    with pytest.raises(NotFound):
        providers.enforce(company.tenant_id, tenant.person_id)


# Domains.


@pytest.mark.parametrize(
    ("typed", "domain"),
    [
        pytest.param("Acme.COM", "acme.com", id="case"),
        pytest.param(" ines@acme.com ", "acme.com", id="an address"),
        pytest.param("bücher.de.", "xn--bcher-kva.de", id="international"),
        pytest.param("com", None, id="one label"),
        pytest.param("10.0.0.1", None, id="numbers"),
        pytest.param("a..b.com", None, id="empty label"),
        pytest.param("https://acme.com", None, id="a page"),
        pytest.param("x" * 250 + ".com", None, id="too long"),
    ],
)
def test_domains_as_they_are_typed(typed, domain) -> None:
    if domain:
        assert domains.read_domain(typed) == domain
    else:
        with pytest.raises(BadInput, match="is no domain"):
            domains.read_domain(typed)


def test_a_domain_is_proven_by_its_dns_and_goes_over_when_the_proof_is_gone(tenant, neighbour, dns) -> None:
    name = f"shared-{tenant.tenant_id}.test"

    def claim(tenant_id: int) -> str:
        domains.claim(tenant_id, name, objection=free)
        domains.claim(tenant_id, name, objection=free)
        return next(one.proof for one in domains.list_domains(tenant_id) if one.domain == name)

    proof, other = claim(tenant.tenant_id), claim(neighbour.tenant_id)
    assert proof != other
    with pytest.raises(NotProven, match="no TXT record"):
        domains.verify(tenant.tenant_id, name, "dns")
    dns.records[f"_assay.{name}"] = other
    with pytest.raises(NotProven, match="holds something else"):
        domains.verify(tenant.tenant_id, name, "dns")
    dns.is_broken = True
    with pytest.raises(NotProven, match="could not be asked"):
        domains.verify(tenant.tenant_id, name, "dns")
    dns.is_broken, dns.records[f"_assay.{name}"] = False, proof
    domains.verify(tenant.tenant_id, name, "dns")
    assert domains.tenant_of(name) == tenant.tenant_id

    dns.records[f"_assay.{name}"] = other
    domains.verify(neighbour.tenant_id, name, "dns")
    assert domains.tenant_of(name) == neighbour.tenant_id
    with tenant_session(tenant.tenant_id) as session:
        assert "sso_domain.lost" in session.scalars(
            select(AuditEntry.action).where(AuditEntry.tenant_id == tenant.tenant_id)
        ).all()  # fmt: skip
    domains.remove(neighbour.tenant_id, name)
    assert domains.tenant_of(name) is None
    with pytest.raises(NotFound):
        domains.verify(neighbour.tenant_id, name, "dns")


def test_a_domain_is_not_taken_while_its_proof_stands(tenant, neighbour, dns, monkeypatch) -> None:
    name = f"held-{tenant.tenant_id}.test"
    for who in (tenant, neighbour):
        domains.claim(who.tenant_id, name, objection=free)
    monkeypatch.setattr(domains, "look_for", lambda *_: None)  # both records stand, as a zone can have two
    domains.verify(tenant.tenant_id, name, "dns")
    with pytest.raises(Conflict, match="another Assay account"):
        domains.verify(neighbour.tenant_id, name, "dns")
    assert domains.tenant_of(name) == tenant.tenant_id


def test_what_nobody_may_claim_is_refused(tenant) -> None:
    with pytest.raises(BadInput, match=r"gmail.com can't be claimed: anybody"):
        domains.claim(tenant.tenant_id, "gmail.com", objection=lambda _: "anybody can open a mailbox there.")
    for number in range(domains.MOST):
        domains.claim(tenant.tenant_id, f"n{number}.test", objection=free)
    with pytest.raises(BadInput, match="at most 50"):
        domains.claim(tenant.tenant_id, "n-last.test", objection=free)


@pytest.fixture
def site() -> Iterator[Callable[[int, str], str]]:
    """A web site with one file; tells its address."""
    servers = []

    def make(status: int, content: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name by which the server finds it
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(content.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}{domains.FILE}"

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_file_proves_a_domain(company, site) -> None:
    domains.look_in_file("acme.test", "assay-domain=1", site(200, "# ours\nassay-domain=1\n"))
    for status, content, said, is_absent in (
        (200, "assay-domain=2", "does not hold", True),
        (404, "", "404 instead of 200", True),
        (302, "assay-domain=1", "Redirects are not followed", False),
        (500, "", "500", False),
    ):
        with pytest.raises(NotProven, match=said) as refused:
            domains.look_in_file("acme.test", "assay-domain=1", site(status, content))
        assert refused.value.is_absent is is_absent
    with pytest.raises(NotProven, match="could not be read"):
        domains.look_in_file("acme.test", "assay-domain=1", "http://10.0.0.1/x")


# Tokens.


def test_tokens_are_the_tenants_own(tenant, neighbour) -> None:
    made = scim_tokens.issue(tenant.tenant_id, name=" Okta ", days=90)
    found = scim_tokens.find_provisioner(made.secret)
    assert found is not None
    assert (found.tenant_id, found.name) == (tenant.tenant_id, "Okta")
    assert scim_tokens.find_provisioner(made.secret[:-1] + ("a" if made.secret[-1] != "a" else "b")) is None
    for change in (scim_tokens.rotate, scim_tokens.revoke):
        with pytest.raises(NotFound):
            change(neighbour.tenant_id, made.id)
    for name, days in (("", 90), ("x", 7)):
        with pytest.raises(BadInput):
            scim_tokens.issue(tenant.tenant_id, name=name, days=days)
    assert open_session(tenant.person_id, proven_by=("password",)), "a session's secret is no token"
