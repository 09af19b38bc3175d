"""Which opens and clicks are a machine's: case by case, and beside a slow second opinion."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from assay.profiles import machines, queries
from assay.profiles.machines import BURST, LOOKED_AT, NAMES, discounted, told
from assay_sdk import Event, Identifiers

T0 = datetime(2026, 3, 1, tzinfo=UTC)
#: Lead, type, seconds, properties.
Happened = tuple[int, str, float, dict[str, str | None]]
ADA = Identifiers(user_id="u1")


def opened(seconds: float, lead: int = 1, **properties: str) -> Happened:
    return lead, "email.opened", seconds, dict(properties)


def clicked(seconds: float, lead: int = 1, **properties: str) -> Happened:
    return lead, "email.clicked", seconds, dict(properties)


def delivered(seconds: float, lead: int = 1, **properties: str) -> Happened:
    return lead, "email.delivered", seconds, dict(properties)


def sent(seconds: float, lead: int = 1, **properties: str) -> Happened:
    return lead, "email.sent", seconds, dict(properties)


def judged(events: Sequence[Happened], off: Sequence[str] = ()) -> list[str | None]:
    frame = pl.DataFrame(
        {
            "lead_id": [event[0] for event in events],
            "type": [event[1] for event in events],
            "occurred_at": pl.Series(
                [T0 + timedelta(seconds=event[2]) for event in events], dtype=pl.Datetime("us", "UTC")
            ),
        },
        schema_overrides={"lead_id": pl.Int64, "type": pl.String},
    )
    texts = [told(event[3]) if event[1] in LOOKED_AT else None for event in events]
    return discounted(frame, pl.Series(texts, dtype=pl.String), off).to_list()


class TestArrival:
    @pytest.mark.parametrize(
        ("others", "why"),
        [
            pytest.param([delivered(8, email_id="a")], "delivered:2", id="two seconds after delivery"),
            pytest.param([delivered(5, email_id="a")], "delivered:5", id="at the last instant"),
            pytest.param([delivered(4.999999, email_id="a")], None, id="a moment later"),
            pytest.param([delivered(10, email_id="a")], "delivered:0", id="at the very instant"),
            pytest.param([sent(9, email_id="a")], "sent:1", id="after it was sent"),
            pytest.param([sent(7, email_id="a"), delivered(9, email_id="a")], "delivered:1", id="delivery is nearer"),
            pytest.param([sent(1, email_id="a"), delivered(12, email_id="a")], "early", id="before it was delivered"),
            pytest.param([delivered(16, email_id="a")], None, id="long before: no news of the first delivery"),
            pytest.param(
                [delivered(1, email_id="a"), delivered(12, email_id="a")], None, id="delivered before, and once more"
            ),
            pytest.param([delivered(9, email_id="b")], None, id="another mail"),
            pytest.param([delivered(9, lead=2, email_id="a")], None, id="another lead"),
            pytest.param([delivered(9)], None, id="no telling which mail"),
            pytest.param([delivered(9, campaign_id="c")], None, id="told by another name"),
        ],
    )
    def test_of_an_open_at_ten_seconds(self, others: list[Happened], why: str | None) -> None:
        assert judged([opened(10, email_id="a", campaign_id="c"), *others])[0] == why

    def test_the_narrowest_name_tells_the_mail(self) -> None:
        events = [delivered(0, messageId="m", campaign_id="c"), opened(1, messageId="n", campaign_id="c")]
        assert judged(events) == [None, None]


class TestLinks:
    @pytest.mark.parametrize(
        ("clicks", "found"),
        [
            pytest.param([(0, "a"), (1, "b"), (2, "c")], ["links:3"] * 3, id="three within two seconds"),
            pytest.param([(0, "a"), (1, "b"), (2.000001, "c")], [None] * 3, id="a moment too slow"),
            pytest.param([(0, "a"), (0.1, "a"), (0.2, "b")], [None] * 3, id="two links, clicked twice"),
            pytest.param([(0, "a"), (0, "b"), (0, "c"), (9, "a")], [*["links:3"] * 3, None], id="and later a person"),
            pytest.param(
                [(0, "a"), (1.5, "b"), (2, "c"), (3, "d"), (3.5, "e")],
                ["links:3", "links:4", "links:4", "links:4", "links:4"],
                id="each by the fullest window it lies in",
            ),
        ],
    )
    def test_clicked_at_once(self, clicks: list[tuple[float, str]], found: list[str | None]) -> None:
        assert judged([clicked(at, email_id="m", url=link) for at, link in clicks]) == found

    def test_of_different_mails_or_leads_they_are_no_burst(self) -> None:
        assert judged([clicked(0, email_id=mail, url=mail) for mail in "abc"]) == [None] * 3
        assert judged([clicked(0, lead, email_id="m", url=str(lead)) for lead in (1, 2, 3)]) == [None] * 3


class TestAgents:
    @pytest.mark.parametrize(
        ("agent", "why"),
        [
            pytest.param("Mozilla/5.0", "apple", id="Apple's privacy protection"),
            pytest.param("BarracudaCentral/1.0", "scanner:Barracuda", id="Barracuda"),
            pytest.param("Mimecast-TTP/1.0", "scanner:Mimecast", id="Mimecast"),
            pytest.param("Mozilla/5.0 (compatible; Proofpoint URL Defense)", "scanner:Proofpoint", id="Proofpoint"),
            pytest.param("Microsoft Office Existence Discovery", "scanner:Microsoft Defender", id="SafeLinks"),
            pytest.param("Mozilla/5.0 … BingPreview/1.0b", "scanner:Microsoft Defender", id="detonation"),
            pytest.param("Mozilla/5.0 … HeadlessChrome/120.0", "scanner:a browser without a screen", id="headless"),
            pytest.param("python-requests/2.31", "scanner:a script", id="requests"),
            pytest.param("curl/8.5.0", "scanner:a script", id="curl"),
            pytest.param("Go-http-client/2.0", "scanner:a script", id="Go"),
            pytest.param("Mozilla/5.0 (compatible; Googlebot/2.1)", "scanner:a bot", id="Googlebot"),
            pytest.param("Mozilla/5.0 (compatible; bingbot/2.0)", "scanner:a bot", id="bingbot"),
            pytest.param("Screaming Frog SEO Spider/19", "scanner:a crawler", id="spider"),
            pytest.param(
                "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
                None,
                id="Gmail fetches when its reader looks",
            ),
            pytest.param("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy", None, id="so does Yahoo"),
            pytest.param("Mozilla/5.0 (Linux; Android 9; CUBOT NOTE 20) AppleWebKit/537.36", None, id="a Cubot phone"),
            pytest.param(
                "Mozilla/5.0 (Windows NT 10.0; Microsoft Outlook 16.0.5161; ms-office; MSOffice 16)", None, id="Outlook"
            ),
            pytest.param(
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15", None, id="Mail on a Mac"
            ),
            pytest.param(
                "Mozilla/5.0 (Linux; Android 14; Javascript Robotics Tablet)", None, id="a word within a word"
            ),
            pytest.param("", None, id="blank"),
        ],
    )
    def test_by_what_they_call_themselves(self, agent: str, why: str | None) -> None:
        assert judged([opened(0, user_agent=agent), clicked(0, userAgent=agent)]) == [why, why]


class TestSender:
    @pytest.mark.parametrize(
        ("said", "is_machine"),
        [
            pytest.param({"is_bot": "true"}, True, id="yes"),
            pytest.param({"isBot": "1"}, True, id="one"),
            pytest.param({"filteredEvent": "true"}, True, id="HubSpot's filter"),
            pytest.param({"sg_machine_open": "True"}, True, id="in capitals"),
            pytest.param({"client-info.bot": "apple"}, True, id="named"),
            pytest.param({"is_bot": "false", "machine_open": "true"}, True, id="one of several"),
            pytest.param({"is_bot": "false"}, False, id="no"),
            pytest.param({"bot": ""}, False, id="blank"),
            pytest.param({"bot": "none"}, False, id="none"),
            pytest.param({"is_bot": "0", "filteredEvent": "false"}, False, id="no twice"),
            pytest.param({"is_robot_vacuum": "true"}, False, id="something else"),
        ],
    )
    def test_says_so(self, said: dict[str, str], is_machine: bool) -> None:
        assert judged([opened(0, **said)]) == ["sender" if is_machine else None]


class TestDiscounted:
    def test_only_opens_and_clicks(self) -> None:
        mark = {"is_bot": "true"}
        events: list[Happened] = [(1, type_, 0, dict(mark)) for type_ in ("email.replied", "email.sent", "page.viewed")]
        assert judged([*events, opened(0, **mark)]) == [None, None, None, "sender"]

    def test_nothing_is_nothing(self) -> None:
        assert judged([]) == []
        assert judged([(1, "page.viewed", 0, {})]) == [None]

    @pytest.mark.parametrize(
        ("off", "why"),
        [
            pytest.param((), "sender", id="all looked for"),
            pytest.param(("sender_says",), "scanner:Barracuda", id="the next one tells"),
            pytest.param(("sender_says", "scanners"), "delivered:1", id="and the next"),
            pytest.param(sorted(NAMES), None, id="none looked for"),
        ],
    )
    def test_signals_that_are_off_are_not_looked_for(self, off: Sequence[str], why: str | None) -> None:
        events = [delivered(0, email_id="a"), opened(1, email_id="a", is_bot="true", user_agent="Barracuda")]
        assert judged(events, off)[1] == why

    @pytest.mark.parametrize("seed", range(40))
    def test_equals_a_second_opinion_in_any_order(self, seed: int) -> None:
        dice = random.Random(seed)
        events = [
            (
                dice.randrange(3),
                dice.choice(sorted(LOOKED_AT)),
                dice.randrange(60) / dice.choice([1, 2, 4]),
                {"email_id": dice.choice(["a", "b", None]), "url": dice.choice(["x", "y", "z", "w", None])},
            )
            for _ in range(80)
        ]
        found = judged(events)
        assert found == [opinion(event, events) for event in events]
        order = list(range(len(events)))
        dice.shuffle(order)
        assert judged([events[place] for place in order]) == [found[place] for place in order]


def opinion(event: Happened, events: Sequence[Happened]) -> str | None:
    """By definition: looks at every other event for each."""
    lead, type_, at, said = event
    if type_ not in machines.JUDGED or said["email_id"] is None:
        return None
    same = [other for other in events if other[0] == lead and other[3]["email_id"] == said["email_id"]]

    def since(kind: str) -> float | None:
        return min((at - t for _, other, t, _ in same if other == kind and t <= at), default=None)

    after = since("email.delivered")
    if after is not None and after <= 5:
        return f"delivered:{int(after)}"
    if after is None and any(other == "email.delivered" and 0 <= t - at <= 5 for _, other, t, _ in same):
        return "early"
    after = since("email.sent")
    if after is not None and after <= 5:
        return f"sent:{int(after)}"
    clicks = [(t, other["url"]) for _, kind, t, other in same if kind == "email.clicked" and other["url"]]
    if type_ != "email.clicked" or not said["url"]:
        return None
    length = BURST / 1e6
    starts = [start for start, _ in clicks if at - length <= start <= at]
    most = max(len({link for t, link in clicks if start <= t <= start + length}) for start in starts)
    return f"links:{most}" if most >= 3 else None


class TestRead:
    """Through the database, from what senders send."""

    def test_the_database_tells_what_python_does(self, world: Any) -> None:
        said = [
            {"email_id": "a", "url": "https://example.test/?a=1", "user_agent": "Mozilla/5.0", "is_bot": False},
            {"messageId": " padded ", "emailCampaignId": 12, "sentBy": {"id": "s"}},
            {"sentBy.id": "s", "filteredEvent": True, "bot": "", "machine": "1"},
            {"campaign_id": 4.5, "link": "it's \x1f odd \\", "userAgent": None},
            {},
        ]
        world.apply(*(Event(ADA, "email.opened", each, T0, f"m{place}") for place, each in enumerate(said)))
        (lead_id,) = world.lead_ids().values()
        rows = world.rows(f"SELECT {machines.told_sql()} AS told FROM profiles.events e WHERE e.tenant_id = :t")
        kept = queries.timeline(world.tenant_id, lead_id).items
        from assay_sdk.flatten import as_text

        texts = [told({name: as_text(value) for name, value in event.properties.items()}) for event in kept]
        assert sorted(row.told for row in rows) == sorted(texts)

    def test_facts_say_why_and_only_where_mails_are_asked_for(self, world: Any) -> None:
        world.apply(
            Event(ADA, "email.delivered", {"email_id": "a"}, T0, "m1"),
            Event(ADA, "email.opened", {"email_id": "a"}, T0 + timedelta(seconds=3), "m2"),
            Event(ADA, "email.opened", {"email_id": "a"}, T0 + timedelta(hours=3), "m3"),
            Event(ADA, "page.viewed", {}, T0, "m4"),
        )
        (lead_id,) = world.lead_ids().values()

        def read(types: set[str] | None, **more: Any) -> list[tuple[Any, ...]]:
            _, events = queries.read_facts(world.tenant_id, [lead_id], traits=[], properties=[], types=types, **more)
            return events.drop("lead_id", "event_id").sort("occurred_at", "type").rows()

        late = T0 + timedelta(hours=3)
        soon = T0 + timedelta(seconds=3)
        assert read({"email.opened"}) == [
            ("email.opened", soon, "delivered:3"),
            ("email.opened", late, None),
        ]
        assert read({"page.viewed"}) == [("page.viewed", T0)]
        assert read(None) == [
            ("email.delivered", T0, None),
            ("page.viewed", T0, None),
            ("email.opened", soon, "delivered:3"),
            ("email.opened", late, None),
        ]

    def test_a_delivery_learned_later_counts_from_then_on(self, world: Any) -> None:
        world.apply(Event(ADA, "email.opened", {"email_id": "a"}, T0 + timedelta(seconds=3), "m2"))
        (before,) = world.rows("SELECT clock_timestamp() AS at")
        world.apply(Event(ADA, "email.delivered", {"email_id": "a"}, T0, "m1"))
        (lead_id,) = world.lead_ids().values()
        question: dict[str, Any] = {"traits": [], "properties": [], "types": {"email.opened"}}
        now = queries.read_facts(world.tenant_id, [lead_id], **question)[1]
        then = queries.read_facts(world.tenant_id, [lead_id], known_at=before.at, **question)[1]
        assert (now["discounted"].to_list(), then["discounted"].to_list()) == (["delivered:3"], [None])

    def test_the_timeline_says_why(self, world: Any) -> None:
        world.apply(
            Event(ADA, "email.delivered", {"email_id": "a"}, T0, "m1"),
            Event(ADA, "email.opened", {"email_id": "a"}, T0 + timedelta(seconds=3), "m2"),
        )
        (lead_id,) = world.lead_ids().values()
        (newest, oldest) = queries.timeline(world.tenant_id, lead_id).items
        assert (newest.discounted, oldest.discounted) == ("delivered:3", None)
        assert queries.get_event(world.tenant_id, lead_id, newest.id).discounted == "delivered:3"
