"""The plans that this installation offers: our own few, or those of a file.

```yaml
plans:
  - name: team
    title: Team
    events_per_month: 1000000    # included; left away: no limit
    events_at_most: 1200000      # from here on nothing is accepted; left away: never
    leads: 100000
    leads_at_most: 120000
    models: 10
    members: 25
    requests_per_second: 50
    trial_days: 14               # left away: it does not end
    offered: true                # owners may choose it themselves
```
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import yaml

#: What every tenant has that nobody gave another one.
UNLIMITED: Final = "unlimited"
#: Names a file may hold, at most.
MOST = 100
_LARGEST = 10**15
_TEXTS = ("name", "title")


class WrongCatalogue(ValueError):
    """The file of plans can't be used; says where and why."""


@dataclass(frozen=True)
class Plan:
    """Limits; None for none."""

    name: str
    title: str
    #: Included in a month; above it owners are told.
    events_per_month: int | None = None
    #: From here on nothing more is accepted.
    events_at_most: int | None = None
    leads: int | None = None
    #: From here on no file and no record of the API may bring people; what visitors do is still kept.
    leads_at_most: int | None = None
    models: int | None = None
    members: int | None = None
    #: Of the API.
    requests_per_second: int | None = None
    trial_days: int | None = None
    offered: bool = False

    @property
    def trial(self) -> timedelta | None:
        return timedelta(days=self.trial_days) if self.trial_days is not None else None

    @property
    def is_limited(self) -> bool:
        return any(getattr(self, field.name) is not None for field in fields(self) if field.name in _NUMBERS)


_NUMBERS = frozenset(field.name for field in fields(Plan)) - {*_TEXTS, "offered"}

OUR_OWN: Final = (
    Plan(UNLIMITED, "Unlimited"),
    Plan(
        "trial",
        "Trial",
        events_per_month=100_000,
        events_at_most=100_000,
        leads=10_000,
        leads_at_most=10_000,
        models=5,
        members=5,
        requests_per_second=20,
        trial_days=14,
    ),
    Plan(
        "team",
        "Team",
        events_per_month=1_000_000,
        events_at_most=1_200_000,
        leads=100_000,
        leads_at_most=120_000,
        models=10,
        members=25,
        requests_per_second=50,
    ),
    Plan(
        "business",
        "Business",
        events_per_month=20_000_000,
        leads=2_000_000,
        models=50,
        members=250,
        requests_per_second=200,
    ),
)

_plans: Mapping[str, Plan] = {plan.name: plan for plan in OUR_OWN}


def configure(path: Path | None) -> None:
    """Reads this installation's plans; raises WrongCatalogue. None: our own few."""
    global _plans
    plans = read(path.read_text("utf-8")) if path else OUR_OWN
    _plans = {plan.name: plan for plan in plans}


def plans() -> Sequence[Plan]:
    return tuple(_plans.values())


def find_plan(name: str) -> Plan | None:
    return _plans.get(name)


def plan_of(name: str) -> Plan:
    """What somebody on this plan may use; a plan that was taken out of the file limits nothing."""
    return _plans.get(name) or Plan(name, name)


def read(text: str) -> list[Plan]:
    """Raises WrongCatalogue, which names the entry and the field."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise WrongCatalogue(f"The plans are not YAML: {error}") from None
    rows = document.get("plans") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST:
        raise WrongCatalogue(f"plans: a list of 1 to {MOST} plans is needed.")
    found = [_read(row, f"plans[{number}]") for number, row in enumerate(rows)]
    names = [plan.name for plan in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise WrongCatalogue(f"plans: {twice!r} is there twice.")
    if UNLIMITED not in names:
        found.insert(0, OUR_OWN[0])
    return found


def _read(row: object, where: str) -> Plan:
    if not isinstance(row, dict):
        raise WrongCatalogue(f"{where}: a plan is a mapping with a name.")
    known = [field.name for field in fields(Plan)]
    for key in row:
        if key not in known:
            raise WrongCatalogue(f"{where}.{key}: there is no such field; accepted: {', '.join(known)}.")
    name = _value(row.get("name"), "name", where)
    row = {"title": name, **row}
    plan = Plan(**{key: _value(value, key, where) for key, value in row.items()})
    if plan.offered and plan.trial_days is not None:
        raise WrongCatalogue(f"{where}.offered: a trial begins with the sign-up; nobody may choose it later.")
    for least, most in (("events_per_month", "events_at_most"), ("leads", "leads_at_most")):
        included, bound = getattr(plan, least), getattr(plan, most)
        if bound is not None and (included is None or bound < included):
            raise WrongCatalogue(f"{where}.{most}: this must be at least {least}, which is {included}.")
    return plan


def _value(value: Any, key: str, where: str) -> Any:
    if key in _TEXTS:
        if not isinstance(value, str) or not 1 <= len(value) <= 80:
            raise WrongCatalogue(f"{where}.{key}: 1 to 80 characters are needed.")
    elif key == "offered":
        if not isinstance(value, bool):
            raise WrongCatalogue(f"{where}.{key}: true or false is accepted.")
    elif value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST):
        raise WrongCatalogue(f"{where}.{key}: a whole number from 0, or nothing for no limit, is accepted.")
    return value
