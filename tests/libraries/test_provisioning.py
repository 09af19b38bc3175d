"""The public examination of SCIM servers, run against the real server."""

from collections.abc import Callable, Iterable
from http.client import HTTPConnection, responses
from itertools import count
from typing import Any

import pytest
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import Status, check_server, filling
from scim2_tester.checkers import patch_add, patch_replace

from assay_tenants.access.service import SignedUp
from assay_tenants.sso import scim_tokens
from tests.tenants.sso.conftest import claimed


def test_everything_that_is_served_is_as_the_standard_says(
    tenant: SignedUp, served: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = claimed(tenant.tenant_id, f"examined-{tenant.tenant_id}.test")
    token = scim_tokens.issue(tenant.tenant_id, name="Examination", days=90).secret
    numbers = count(1)
    choose = filling.generate_random_value

    def within_the_domain(context: Any, path: Any, **options: Any) -> Any:
        """Addresses that the examination makes up are of no domain that is the tenant's."""
        if str(path).endswith(("userName", "emails.value")):
            return f"person{next(numbers)}@{domain}"
        chosen = choose(context, path=path, **options)
        for email in chosen if str(path).endswith("emails") else ():
            email.value = f"person{next(numbers)}@{domain}"
        return chosen

    for module in (filling, patch_add, patch_replace):
        monkeypatch.setattr(module, "generate_random_value", within_the_domain)
    client = WSGISCIMClient(
        _over_the_wire(served),
        base_url=f"http://127.0.0.1:{served}/scim/v2",
        headers={"Authorization": f"Bearer {token}"},
    )
    results = check_server(client)
    assert [one for one in results if one.status not in (Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE)] == []
    assert len(results) > 50


def _over_the_wire(port: int) -> Any:
    """What the client takes for an application: it hands each request on to the server that listens there."""

    def hand_on(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        headers = {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
        headers["Content-Type"] = environ.get("CONTENT_TYPE") or "application/scim+json"
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        body = environ["wsgi.input"].read()
        connection.request(environ["REQUEST_METHOD"], environ["PATH_INFO"] + query, body or None, headers)
        answer = connection.getresponse()
        content = answer.read()
        start_response(f"{answer.status} {responses[answer.status]}", answer.getheaders())
        connection.close()
        return [content]

    return hand_on
