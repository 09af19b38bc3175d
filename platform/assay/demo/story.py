"""The made-up leads of Lumen Instruments and what they do: the same each time, from one seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

SEED = 20_260
LEADS = 200
PAST = timedelta(days=60)

# Minerals as surnames and company names: nobody's real ones.
GIVEN = (
    *("Ada", "Minh", "Lan", "Radu", "Ioana", "Wei", "Mei", "Jonas", "Clara", "Mateo"),
    *("Nia", "Tomas", "Elif", "Anh", "Sorin", "Hana", "Luc", "Vera", "Omar", "Ines"),
)
FAMILY = (
    *("Quartz", "Onyx", "Beryl", "Feldspar", "Galena", "Cinnabar", "Olivine", "Azurite", "Zircon", "Garnet"),
    *("Mica", "Spinel", "Jasper", "Topaz", "Kyanite", "Rutile", "Apatite", "Sodalite", "Calcite", "Barite"),
)
COMPANIES = {
    "Mining": ("Galena Deep", "Cinnabar Ridge", "Olivine North", "Azurite Pits", "Hematite Works"),
    "Recycling": ("Second Ore", "Scrapwise", "Loopmetal", "Sortfield"),
    "Construction": ("Basalt & Beam", "Granite Yard", "Mortarline"),
    "Pharmaceuticals": ("Talc Therapeutics", "Halite Pharma", "Selenite Bio", "Agate Vaccines"),
    "Food": ("Rock Salt Foods", "Millstone Bakeries", "Chalk Farm Dairy"),
    "Chemicals": ("Borax Solutions", "Sulphur & Sons", "Potash United"),
    "Education": ("University of Feldspar", "Mica Institute"),
}
SIZES = (12, 35, 60, 120, 240, 480, 900, 2400, 7000)
FIELD_TITLES = ("Operations Manager", "Field Service Lead", "Owner", "Plant Manager", "Geologist")
BENCH_TITLES = (
    "Head of Laboratory",
    "Quality Director",
    "Procurement Lead",
    "Research Scientist",
    "Laboratory Technician",
)
COUNTRIES = ("VN", "RO", "CH", "DE", "SG", "TW", "MD", "FR")
GUIDES = ("alloy-sorting", "soil-survey", "choosing-a-bench-system", "validation-handbook")
WEBINARS = ("sampling-in-the-rain", "gmp-made-plain")
# The things somebody may do next, each with its weight. Only keen people ask for a demo, a trial or a quote.
HABITS = {
    "keen": {"page": 12, "email": 3, "guide": 2, "pricing": 2, "webinar": 1, "commit": 1.6},
    "comparing": {"page": 9, "email": 4, "guide": 2, "pricing": 1.5, "webinar": 0.7},
    "browsing": {"page": 9, "email": 5, "guide": 0.5, "careers": 0.3},
    "gone quiet": {"page": 9, "email": 5, "guide": 1.5, "pricing": 0.7, "unsubscribe": 0.8},
}


@dataclass(frozen=True)
class Temper:
    """How much somebody does, in what share of people, and how long ago it ended at the latest."""

    share: float
    amounts: range
    quiet_since: timedelta
    #: How often, beside the others, somebody like this is the next to do something.
    pace: float


TEMPERS = {
    "keen": Temper(0.09, range(16, 34), timedelta(0), 14),
    "comparing": Temper(0.24, range(8, 20), timedelta(days=1), 2),
    "browsing": Temper(0.39, range(2, 9), timedelta(days=1), 0.5),
    "gone quiet": Temper(0.28, range(4, 14), timedelta(days=18), 0),
}


@dataclass(frozen=True)
class Call:
    """One call of Segment's library: its method, and what is passed."""

    method: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Person:
    user_id: str
    traits: dict[str, Any]
    product: str
    company_id: str
    company: dict[str, Any]
    temper: str


@dataclass
class Story:
    """Everybody, and what they did in the sixty days before `until`."""

    until: datetime
    people: list[Person] = field(init=False)

    def __post_init__(self) -> None:
        dice = random.Random(SEED)  # noqa: S311 # a story, not a secret
        companies = [
            (f"c-{number}", {"name": name, "industry": industry, "employees": dice.choice(SIZES)})
            for number, (industry, name) in enumerate(
                (industry, name) for industry, names in COMPANIES.items() for name in names
            )
        ]
        self.people = [self._person(number, dice, companies) for number in range(LEADS)]

    def _person(self, number: int, dice: random.Random, companies: list[tuple[str, dict[str, Any]]]) -> Person:
        given, family = GIVEN[number % len(GIVEN)], FAMILY[number // 10 % len(FAMILY)]
        company_id, company = dice.choice(companies)
        is_field = company["industry"] in {"Mining", "Recycling", "Construction"}
        product = "handheld" if dice.random() < (0.85 if is_field else 0.3) else "bench"
        title = dice.choice(FIELD_TITLES if product == "handheld" else BENCH_TITLES)
        if company["industry"] == "Education" and dice.random() < 0.6:
            title = "Student"
        domain = "".join(letter for letter in company["name"].lower() if letter.isalpha()) + ".example.test"
        traits = {
            "name": f"{given} {family}",
            "email": f"{given}.{family}.{number}@{domain}".lower(),
            "title": title,
            "country": dice.choice(COUNTRIES),
            "product_interest": product,
        }
        (temper,) = dice.choices(list(TEMPERS), [temper.share for temper in TEMPERS.values()])
        return Person(f"lumen-{number:03}", traits, product, company_id, company, temper)

    def history(self) -> Iterator[Call]:
        """Each call with an id of its own that never changes: sent twice, it counts once."""
        for number, person in enumerate(self.people):
            dice = random.Random(SEED + number)  # noqa: S311 # a story, not a secret
            yield from self._history_of(person, dice)

    def _history_of(self, person: Person, dice: random.Random) -> Iterator[Call]:
        temper = TEMPERS[person.temper]
        span = PAST - temper.quiet_since
        count = dice.choice(temper.amounts)
        moments = sorted(self.until - temper.quiet_since - span * dice.random() ** 1.4 for _ in range(count))
        known_at = min(moments) - timedelta(seconds=1)
        for index, call in enumerate(introductions(person)):
            yield dated(call, known_at, f"{person.user_id}-is-{index}")
        for index, moment in enumerate(moments):
            yield dated(something(person, dice), moment, f"{person.user_id}-did-{index}")


def introductions(person: Person) -> tuple[Call, Call]:
    group = {"user_id": person.user_id, "group_id": person.company_id, "traits": person.company}
    return Call("identify", {"user_id": person.user_id, "traits": person.traits}), Call("group", group)


def something(person: Person, dice: random.Random) -> Call:
    """One thing this person might do next."""
    habits = HABITS[person.temper]
    (kind,) = dice.choices(list(habits), list(habits.values()))
    if kind == "page":
        below = dice.choice(("", "/specifications", "/stories", "/questions"))
        return page(person, f"/{person.product}{below}")
    if kind in ("pricing", "careers"):
        return page(person, f"/{kind}")
    if kind == "email":
        return track(person, "Email Opened", {"campaign": dice.choice(("spring-letter", "field-notes", "lab-notes"))})
    if kind == "unsubscribe":
        return track(person, "Email Unsubscribed", {"campaign": "spring-letter"})
    if kind == "guide":
        return track(person, "Guide Downloaded", {"guide": dice.choice(GUIDES)})
    if kind == "webinar":
        return track(person, "Webinar Attended", {"webinar": dice.choice(WEBINARS)})
    wanted = ("Demo Requested", "Trial Started") if person.product == "handheld" else ("Quote Requested",)
    return track(person, dice.choice(wanted), {"product": person.product})


def page(person: Person, path: str) -> Call:
    properties = {"path": path, "url": f"https://lumen.example.test{path}"}
    return Call("page", {"user_id": person.user_id, "name": path.strip("/") or "home", "properties": properties})


def track(person: Person, event: str, properties: dict[str, Any]) -> Call:
    return Call("track", {"user_id": person.user_id, "event": event, "properties": properties})


def dated(call: Call, at: datetime, message_id: str) -> Call:
    return Call(call.method, {**call.arguments, "timestamp": at, "message_id": message_id})
