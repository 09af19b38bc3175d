import pytest
from flask.testing import FlaskClient
from sqlalchemy import create_engine

from assay_tenants import database

NOWHERE = create_engine("postgresql+psycopg://nobody@/nothing?host=/nonexistent")


def test_health(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_health_without_a_database_says_when_to_ask_again(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "engine", lambda: NOWHERE)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json == {"status": "unavailable", "reason": "The database is away."}


def test_a_wrong_address_without_a_database_says_when_to_ask_again(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.set_cookie("assay_session", f"ss_1_{'a' * 44}")
    monkeypatch.setattr(database, "engine", lambda: NOWHERE)
    answer = client.get("/nothing-here")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "We will be back in a moment" in answer.text
