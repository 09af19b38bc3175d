"""Published scoring frameworks: the numbers their pages state must come out."""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from assay.scoring.engine import Explanation

Run = Callable[..., Explanation]


def when(rule_id: str, condition: dict[str, Any], points: float, **words: Any) -> dict[str, Any]:
    return {"id": rule_id, "when": condition, "points": points, **words}


def on(rule_id: str, event_type: str, points: float, **words: Any) -> dict[str, Any]:
    return {"id": rule_id, "on": event_type, "points": points, **words}


class TestTriggerM:
    stages: ClassVar[list[Any]] = [
        {"name": "Prospect", "from": 10},
        {"name": "Lead", "from": 50},
        {"name": "MQL", "from": 75},
        {"name": "SQL", "from": 100},
    ]

    @classmethod
    def model(cls, **offer: Any) -> dict[str, Any]:
        return {
            "rules": [
                on("offer", "offer.downloaded", 10, **{"count": {"once_per": "offer"}, **offer}),
                on("form", "form.submitted", 50, count="once"),
                on("booking", "meeting.booked", 75, count="once"),
                on("attended", "meeting.attended", 100, count="once"),
                on("open", "email.opened", 1),
                on("click", "email.clicked", 2),
                on("visit", "page.viewed", 3),
            ],
            "stages": cls.stages,
        }

    @pytest.mark.parametrize(
        ("events", "total", "stage"),
        [
            pytest.param([(0, "offer.downloaded", {"offer": "A"})], 10, "Prospect", id="one offer"),
            pytest.param([(0, "offer.downloaded", {"offer": "A"})] * 3, 10, "Prospect", id="one offer thrice"),
            pytest.param([(0, "offer.downloaded", {"offer": n}) for n in range(4)], 40, "Prospect", id="four offers"),
            pytest.param([(0, "offer.downloaded", {"offer": n}) for n in range(5)], 50, "Lead", id="five offers"),
            pytest.param([(0, "form.submitted")], 50, "Lead", id="form"),
            pytest.param([(0, "meeting.booked")], 75, "MQL", id="booking"),
            pytest.param(
                [(0, "meeting.booked"), (0, "meeting.cancelled"), (0, "meeting.booked")], 75, "MQL", id="booked again"
            ),
            pytest.param([(0, "meeting.booked"), (0, "meeting.attended")], 175, "SQL", id="book and attend"),
            pytest.param([(0, "form.submitted"), (0, "meeting.booked")], 125, "SQL", id="form and booking"),
            pytest.param([(0, "email.opened"), (0, "email.clicked"), (0, "page.viewed")], 6, None, id="a campaign"),
        ],
    )
    def test_actions(self, run: Run, events: list[Any], total: int, stage: str | None) -> None:
        found = run(self.model(), events=events)
        assert (found.total, found.stage) == (total * 1000, stage)

    @pytest.mark.parametrize(
        ("total", "stage"),
        [
            (9, None),
            (10, "Prospect"),
            (49, "Prospect"),
            (50, "Lead"),
            (74, "Lead"),
            (75, "MQL"),
            (99, "MQL"),
            (100, "SQL"),
        ],
    )
    def test_edges(self, run: Run, total: int, stage: str | None) -> None:
        assert run({"rules": [on("a", "a.done", total)], "stages": self.stages}, events=[(0, "a.done")]).stage == stage

    @pytest.mark.parametrize(("day", "total"), [(59, 20), (60, 10), (69, 10), (70, 0)])
    def test_expiry(self, run: Run, day: int, total: int) -> None:
        events = [(0, "offer.downloaded", {"offer": "A"}), (10, "offer.downloaded", {"offer": "B"})]
        assert run(self.model(fades={"after": "60d"}), events=events, at=day).total == total * 1000

    @pytest.mark.parametrize(("count", "total"), [("once", 0), ("once_while_active", 10)])
    def test_the_same_offer_after_its_points_expired(self, run: Run, count: str, total: int) -> None:
        events = [(0, "offer.downloaded", {"offer": "A"}), (65, "offer.downloaded", {"offer": "A"})]
        assert run(self.model(count=count, fades={"after": "60d"}), events=events, at=65).total == total * 1000

    @pytest.mark.parametrize(
        ("tiers", "day", "total", "stage"),
        [
            ("cumulative", 29, 100, "SQL"),
            ("cumulative", 30, 85, "MQL"),
            ("cumulative", 60, 55, "Lead"),
            ("cumulative", 90, 5, None),
            ("replace", 29, 100, "SQL"),
            ("replace", 30, 85, "MQL"),
            ("replace", 60, 70, "Lead"),
            ("replace", 90, 50, "Lead"),
        ],
    )
    @pytest.mark.parametrize("kept", [False, True])
    def test_inactivity(self, run: Run, tiers: str, day: int, total: int, stage: str | None, kept: bool) -> None:
        silent = [
            {"id": f"silent{days}", "idle": {"for": f"{days}d", "tiers": tiers, "kept": kept}, "points": points}
            for days, points in ((30, -15), (60, -30), (90, -50))
        ]
        model = {"rules": [on("attended", "meeting.attended", 100, count="once"), *silent], "stages": self.stages}
        found = run(model, events=[(0, "meeting.attended")], at=day)
        assert (found.total, found.stage) == (total * 1000, stage)


class TestInvestGlass:
    model: ClassVar[dict[str, Any]] = {
        "dimensions": {"fit": {}, "interest": {}},
        "rules": [
            when("title", {"trait": "title", "in": ["CFO", "Owner"]}, 20, dimension="fit"),
            when("size", {"trait": "company.employees", "gte": 50}, 15, dimension="fit"),
            when("industry", {"trait": "company.industry", "is": "finance"}, 10, dimension="fit"),
            when("country", {"trait": "country", "in": ["CH", "VN"]}, 5, dimension="fit"),
            on("open", "email.opened", 2, dimension="interest"),
            on("visit", "page.viewed", 3, dimension="interest", where={"not": {"property": "path", "is": "/pricing"}}),
            on(
                "pricing",
                "page.viewed",
                15,
                dimension="interest",
                where={"property": "path", "is": "/pricing"},
                count="once",
            ),
            on("download", "asset.downloaded", 10, dimension="interest", count={"once_per": "asset"}),
            on("unsubscribe", "email.unsubscribed", -20, dimension="interest", count="once"),
        ],
        "grades": {"fit": {"A": 30, "B": 0}, "interest": {"1": 20, "2": 0}},
    }
    banker: ClassVar[dict[str, Any]] = {
        "title": "CFO",
        "company.employees": 120,
        "company.industry": "finance",
        "country": "CH",
    }
    student: ClassVar[dict[str, Any]] = {"title": "student", "company.employees": 1, "country": "US"}
    activity: ClassVar[list[Any]] = [
        *((0, "page.viewed", {"path": path}) for path in ("/pricing", "/a", "/b", "/c")),
        *((0, "asset.downloaded", {"asset": asset}) for asset in "AB"),
    ]

    @pytest.mark.parametrize(
        ("traits", "events", "fit", "interest", "grade"),
        [
            pytest.param(banker, [], 50, 0, "A2", id="high fit, low interest"),
            pytest.param(student, activity, 0, 44, "B1", id="low fit, high interest"),
            pytest.param(banker, activity, 50, 44, "A1", id="both"),
        ],
    )
    def test_quadrants(self, run: Run, traits: Any, events: Any, fit: int, interest: int, grade: str) -> None:
        found = run(self.model, traits=traits, events=events)
        assert found.dimensions == {"fit": fit * 1000, "interest": interest * 1000}
        assert (found.total, found.grade) == ((fit + interest) * 1000, grade)


class TestBitrix24:
    model: ClassVar[dict[str, Any]] = {
        "rules": [
            when("phone", {"trait": "phone", "exists": True}, 5),
            when("size", {"trait": "company.employees", "gte": 50}, 10),
            when("type", {"trait": "company.type", "is": "customer"}, 5),
            when("industry", {"trait": "company.industry", "is": "retail"}, 10),
            on("visit", "page.viewed", 5, where={"not": {"property": "path", "is": "/checkout"}}, max=15),
            on("checkout", "page.viewed", 15, where={"property": "path", "is": "/checkout"}, count="once"),
            on("demo", "form.submitted", 25, count="once"),
            on("promo", "email.clicked", 5, count="once"),
            when("invalid-mail", {"trait": "email", "is_valid_email": False}, -20),
            when("free-mail", {"trait": "email", "is_free_email": True}, -10),
            when("fake-company", {"trait": "company.name", "looks_fake": True}, -20),
        ],
        "scale": {"min": 0, "max": 100},
        "stages": [{"name": "marketing", "from": 0}, {"name": "sales", "from": 75}],
    }
    full: ClassVar[dict[str, Any]] = {
        "phone": "+84 28 0000 0000",
        "company.employees": 60,
        "company.type": "customer",
        "company.industry": "retail",
        "company.name": "Acme",
        "email": "ada@example.test",
    }
    likely: ClassVar[list[Any]] = [
        (0, "page.viewed", {"path": "/checkout"}),
        (0, "form.submitted"),
        (0, "email.clicked"),
    ]

    @pytest.mark.parametrize("visits", [3, 40])
    def test_only_visited(self, run: Run, visits: int) -> None:
        found = run(self.model, events=[(0, "page.viewed", {"path": f"/{n}"}) for n in range(visits)])
        assert (found.total, found.stage) == (15_000, "marketing")

    @pytest.mark.parametrize(
        ("changed", "total"),
        [
            pytest.param({}, 75, id="likely"),
            pytest.param({"phone": None}, 70, id="no phone"),
            pytest.param({"email": "qwqwqw@k.c"}, 55, id="invalid mail"),
            pytest.param({"email": "ada@gmail.com"}, 65, id="free mail"),
            pytest.param({"company.name": "asdf"}, 55, id="fake company asdf"),
            pytest.param({"company.name": "test"}, 55, id="fake company test"),
            pytest.param({"company.name": "n/a"}, 55, id="fake company n/a"),
            pytest.param({"company.name": "xxx"}, 55, id="fake company xxx"),
            pytest.param({"company.employees": 3}, 65, id="size mismatch stays"),
        ],
    )
    def test_traits(self, run: Run, changed: Any, total: int) -> None:
        assert run(self.model, traits=self.full | changed, events=self.likely).total == total * 1000

    def test_checkout_thrice(self, run: Run) -> None:
        assert run(self.model, events=[(0, "page.viewed", {"path": "/checkout"})] * 3).total == 15_000

    @pytest.mark.parametrize(("raw", "total"), [(130, 100), (-40, 0)])
    def test_clamp(self, run: Run, raw: int, total: int) -> None:
        found = run({"rules": [on("a", "a.done", raw)], "scale": {"min": 0, "max": 100}}, events=[(0, "a.done")])
        assert (found.raw, found.total) == (raw * 1000, total * 1000)

    @pytest.mark.parametrize(
        ("tiers", "day", "total"),
        [
            ("cumulative", 9, 75),
            ("cumulative", 10, 70),
            ("cumulative", 30, 55),
            ("cumulative", 90, 25),
            ("replace", 10, 70),
            ("replace", 30, 60),
            ("replace", 90, 45),
        ],
    )
    def test_silence(self, run: Run, tiers: str, day: int, total: int) -> None:
        silent = [
            {"id": f"silent{days}", "idle": {"for": f"{days}d", "tiers": tiers}, "points": points}
            for days, points in ((10, -5), (30, -15), (90, -30))
        ]
        model = self.model | {"rules": [*self.model["rules"], *silent]}
        assert run(model, traits=self.full, events=self.likely, at=day).total == total * 1000


class TestEncharge:
    model: ClassVar[dict[str, Any]] = {
        "rules": [
            when("country", {"trait": "country", "in": ["US", "UK"]}, 1),
            when("city", {"trait": "city", "in": ["NY", "London"]}, 1),
            when("age", {"trait": "age", "between": [25, 45]}, 1),
            when("role", {"trait": "title", "in": ["CEO", "CMO"]}, 5),
            when("size", {"trait": "company.employees", "gte": 25}, 10),
            when("authority", {"trait": "decision_maker", "is": True}, 10),
            on("click", "email.clicked", 1, where={"property": "kind", "in": ["nurturing", "onboarding"]}),
            on("reply", "email.replied", 5, where={"property": "kind", "is": "sales"}),
            {"id": "task", "on": "task.created", "count": {"first_points": 1, "then": 2}},
            on("call", "meeting.booked", 20),
            on("cancelled", "meeting.cancelled", -10),
            on("facebook", "ad.clicked", 1, where={"property": "network", "is": "facebook"}),
        ],
        "stages": [{"name": "MQL", "above": 20}],
    }

    @pytest.mark.parametrize(
        ("traits", "events", "total", "stage"),
        [
            pytest.param({"country": "UK", "city": "London", "age": 30}, [], 3, None, id="demographic"),
            pytest.param(
                {"title": "CEO", "company.employees": 40, "decision_maker": True}, [], 25, "MQL", id="firmographic"
            ),
            pytest.param({}, [(0, "meeting.booked")], 20, None, id="20 is not above 20"),
            pytest.param(
                {}, [(0, "meeting.booked"), (0, "ad.clicked", {"network": "facebook"})], 21, "MQL", id="21 is"
            ),
            pytest.param({}, [(0, "task.created")], 1, None, id="one task"),
            pytest.param({}, [(0, "task.created")] * 3, 5, None, id="three tasks"),
            pytest.param({}, [(0, "email.clicked", {"kind": "onboarding"})], 1, None, id="onboarding click"),
            pytest.param({}, [(0, "email.clicked", {"kind": "news"})], 0, None, id="other click"),
            pytest.param({}, [(0, "email.replied", {"kind": "sales"})], 5, None, id="sales reply"),
            pytest.param({"company.employees": 24}, [], 0, None, id="24 staff"),
            pytest.param({"company.employees": 25}, [], 10, None, id="25 staff"),
            pytest.param({"company.employees": 26}, [], 10, None, id="26 staff"),
            pytest.param({}, [(0, "meeting.booked"), (1, "meeting.cancelled")], 10, None, id="booked and cancelled"),
        ],
    )
    def test_table(self, run: Run, traits: Any, events: Any, total: int, stage: str | None) -> None:
        found = run(self.model, traits=traits, events=events, at=2)
        assert (found.total, found.stage) == (total * 1000, stage)


class TestWukong:
    @pytest.mark.parametrize(("calls", "points"), [(1, 0), (2, 0), (3, -6.67), (4, -6.67)])
    def test_missed_calls_cost_once_from_the_third(self, run: Run, calls: int, points: float) -> None:
        model = {"rules": [on("missed", "call.missed", -6.67, count={"from": 3}, min=-6.67)]}
        assert run(model, events=[(n, "call.missed") for n in range(calls)], at=9).total == round(points * 1000)

    @pytest.mark.parametrize(("total", "stage"), [(70, "warm"), (70.01, "hot"), (30, "warm"), (29.99, "cold")])
    def test_bands(self, run: Run, total: float, stage: str) -> None:
        stages = [{"name": "cold", "from": 0}, {"name": "warm", "from": 30}, {"name": "hot", "above": 70}]
        assert run({"rules": [on("a", "a.done", total)], "stages": stages}, events=[(0, "a.done")]).stage == stage


class TestHubSpot:
    def test_fit_and_engagement_combine(self, run: Run) -> None:
        model = {
            "dimensions": {"fit": {}, "engagement": {}},
            "rules": [
                when("wrong", {"trait": "x", "exists": True}, -30, dimension="fit"),
                on("busy", "a.done", 70, dimension="engagement"),
            ],
        }
        assert run(model, traits={"x": 1}, events=[(0, "a.done")]).total == 40_000
