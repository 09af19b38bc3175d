"""The first drill: connecting, and what the plugin says of itself."""

from assay_sdk.auth import OAuth
from assay_sdk.testing.examination.bench import Bench
from assay_sdk.testing.examination.report import Checks


def connecting(bench: Bench, checks: Checks) -> None:
    """Connects, and knows which account that is."""
    with bench.desk() as desk:
        accounts = desk.simulator.accounts()
        found = desk.service.account(desk.link)
        checks.holds("the account", found.id in accounts, f"{found.id!r} is none of {sorted(accounts)}.")
        checks.holds("its title", found.title.strip(), "the account has no title.")
        known = {setting.name for setting in desk.service.app}
        missing = {each.name for each in desk.service.app if each.default is None} - set(desk.app)
        checks.holds("settings of the app", not missing, f"the simulator's app_settings lack {sorted(missing)}.")
        unknown = set(desk.app) - known
        checks.holds("settings of the app", not unknown, f"Service.app does not name {sorted(unknown)}.")
        if isinstance(desk.service.auth, OAuth):
            unexplained = [name for name, words in desk.service.auth.scopes.items() if not words.strip()]
            checks.holds("scopes are explained", not unexplained, f"no words for {unexplained}.")
        if desk.service.source is not None:
            is_same = desk.service.source.name == desk.service.name
            checks.holds("one name", is_same, f"the source is called {desk.service.source.name!r}.")
        if desk.service.destination is not None:
            desk.patiently(lambda: desk.destination.prepare(desk.link))
            holds = {field.holds for field in desk.destination.fields}
            checks.holds("fields are named", "score" in holds, "Destination.fields has none that holds the score.")
