"""What changes by itself, though nobody sends anything, is stored in time by workers and timetable as they run."""

from datetime import UTC, datetime, timedelta

from assay.scoring import queries, service

HOUR = timedelta(hours=1)
MODEL = "{model: short, rules: [{id: a, on: page.viewed, points: 5, fades: {after: 1h}}]}"


def test_an_expiry_is_stored_soon_and_dated_to_its_instant(plant, books) -> None:
    service.create_model(books.tenant_id, MODEL)
    service.publish(books.tenant_id, "short", by="Ada Example")
    expiry = datetime.now(UTC).replace(microsecond=123_000) + timedelta(seconds=15)
    visit = {"type": "page", "userId": "ada", "messageId": "m", "timestamp": (expiry - HOUR).isoformat()}
    assert books.post([visit]).status_code == 200

    def lead() -> int:
        return int(books.rows("SELECT coalesce(max(id), 0) AS id FROM profiles.leads WHERE tenant_id = :t")[0].id)

    def totals() -> list[int | None]:
        return [score.total for score in queries.scores_of(books.tenant_id, lead()) if score.model == "short"]

    plant.wait_until(lambda: lead() and totals() == [5_000])
    plant.wait_until(lambda: totals() == [0])
    now, before = queries.history(books.tenant_id, lead(), "short").items
    assert (now.at, before.until) == (expiry, expiry)
