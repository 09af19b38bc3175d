import pytest
from flask.testing import FlaskClient
from sqlalchemy import create_engine

from assay_tenants import database


def test_health(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_health_without_a_database_says_when_to_ask_again(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = create_engine("postgresql+psycopg://nobody@/nothing?host=/nonexistent")
    monkeypatch.setattr(database, "engine", lambda: nowhere)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json == {"status": "unavailable", "reason": "The database is away."}
