"""A login through the real server and a certified provider, as a browser without JavaScript goes through it."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from html import unescape
from html.parser import HTMLParser

import httpx
import pytest
from sqlalchemy import select

from assay_tenants.access.service import SignedUp
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.models import Membership, Person
from tests.libraries.conftest import HERE, NODE
from tests.tenants.sso import nameserver

PASSWORD = "a long enough password"
CLIENT = {"clientId": "assay", "clientSecret": "a secret of at least a few letters"}


class Forms(HTMLParser):
    """The forms of a page, each with its action and its fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given.get("action", ""), {}))
        elif tag == "input" and self.found and "name" in given:
            self.found[-1][1][given["name"]] = given.get("value", "")


def send(browser: httpx.Client, page: httpx.Response, to: str = "", **filled: str) -> httpx.Response:
    """Sends the page's form to ``to``; its first one when there is none named."""
    action, fields = next(form for form in Forms(page.text).found if to in form[0])
    return browser.post(page.url.join(action or str(page.url)), data={**fields, **filled})


@contextmanager
def certified_provider(domain: str, redirect_uri: str) -> Iterator[str]:
    order = json.dumps({**CLIENT, "domain": domain, "redirectUri": redirect_uri})
    with subprocess.Popen(
        [NODE, HERE / "provider.mjs", order], cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        yield json.loads(running.stdout.readline())["issuer"]
        running.terminate()


@pytest.fixture
def owner(tenant: SignedUp) -> str:
    with directory_session() as session:
        return session.get_one(Person, tenant.person_id).email


def test_a_company_sets_up_its_provider_and_its_people_come_in(
    tenant: SignedUp, owner: str, serve: Callable[..., AbstractContextManager[int]]
) -> None:
    domain = f"certified-{tenant.tenant_id}.test"
    with (
        nameserver.running() as dns,
        serve(ASSAY_EGRESS_ALLOW="127.0.0.1", ASSAY_NAMESERVER=dns.address) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=True, timeout=30) as admin,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=True, timeout=30) as ines,
        certified_provider(domain, f"http://127.0.0.1:{port}/sso/{tenant.tenant_id:x}/callback") as issuer,
    ):
        send(admin, admin.get("/log-in"), "/log-in", email=owner, password=PASSWORD)
        settings = admin.get("/settings/sso")
        assert f"http://127.0.0.1:{port}/sso/{tenant.tenant_id:x}/callback" in settings.text

        page = send(admin, settings, "/settings/sso/domains", domain=domain)
        proof = re.search(r"assay-domain=[\w-]+", page.text)
        assert proof
        dns.records[f"_assay.{domain}"] = proof[0]
        page = send(admin, page, "/domains/verify", claimed=domain, method="dns")
        assert f"{domain} is verified." in page.text

        filled = {"issuer": issuer, "client_id": CLIENT["clientId"], "client_secret": CLIENT["clientSecret"]}
        page = send(admin, page, "/settings/sso/provider", **filled, default_role="editor")
        assert "The connection works" in page.text
        assert CLIENT["clientSecret"] not in page.text

        page = send(ines, ines.get("/log-in?next=/models"), "/log-in", email=f"ines@{domain}", password="")
        onwards = re.search(r'id="provider"[^>]*href="([^"]+)"', page.text)
        assert onwards
        page = ines.get(unescape(onwards[1]))
        assert str(page.url).startswith(f"{issuer}/interaction/")
        page = send(ines, page, login="ines", password="any")
        page = send(ines, page)
        assert page.url.path == "/models"
        assert page.url.port == port
        assert "ines Hollow" in page.text
    with tenant_session(tenant.tenant_id) as session:
        theirs = select(Membership).where(Membership.tenant_id == tenant.tenant_id)
        made = session.scalars(theirs.where(Membership.email == f"ines@{domain}")).one()
    assert (made.name, made.role, made.verified) == ("ines Hollow", "editor", True)
