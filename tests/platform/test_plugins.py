"""Plugins of all kinds, good and bad, made as distributions in a folder of the test's own."""

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import distributions, version
from pathlib import Path
from textwrap import dedent

import pytest

from assay import plugins
from assay.plugins import NoSuchServiceError, NoSuchSourceError, Plugins
from assay_sdk import AppSetting, Service, Source

HEAD = """
from assay_sdk import *
from assay_sdk import hookimpl

class Lists(Source):
    name = title = "{name}"

class Lead(Service):
    name = title = "{name}"
    source = Lists()

class Seasonal(RuleKind):
    name = "{name}.seasonal"
    title = "Seasonal"

    def awards(self, lead, parameters):
        return []

class Till(Billing):
    name = "{name}"
    address_for = read_notice = report = None
"""
GOOD = """
@hookimpl
def register_services(register):
    register(Lead())
"""
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Makes a distribution ``assay-NAME`` whose plugin has this code."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def make(
        name: str, code: str = GOOD, *, head: str = HEAD, requires: str = "assay-sdk>=0.1,<0.2", entry: str = ""
    ) -> None:
        module = f"sample_{name.replace('-', '_')}_{len(made)}"
        made.append(module)
        (tmp_path / f"{module}.py").write_text(head.replace("{name}", name) + dedent(code))
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        required = f"Requires-Dist: {requires}\n" if requires else ""
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: assay-{name}\nVersion: 1.2\n{required}")
        (info / "entry_points.txt").write_text(f"[assay]\n{name} = {entry or module}\n")

    yield make
    for module in made:
        sys.modules.pop(module, None)


@pytest.fixture
def found(tmp_path: Path) -> Callable[[], Plugins]:
    def load() -> Plugins:
        mine = sorted(distributions(path=[str(tmp_path)]), key=lambda each: str(each._path))  # type: ignore[attr-defined] # the order in which they were made
        return plugins.load([entry for each in mine for entry in each.entry_points])

    return load


def test_a_good_plugin_is_told_with_all_it_offers(install: Install, found: Callable[[], Plugins]) -> None:
    install(
        "acme",
        """
        @hookimpl
        def register_services(register):
            register(Lead())
        @hookimpl
        def register_sources(register):
            register(Lead.source)
        @hookimpl
        def register_rule_kinds(register):
            register(Seasonal())
        @hookimpl
        def register_billing(register):
            register(Till())
        """,
    )
    all_of_them = found()
    assert all_of_them.broken == {}
    [plugin] = all_of_them.found
    assert (plugin.distribution, plugin.version, plugin.health) == ("assay-acme", "1.2", "ok")
    assert plugin.offers == ["service acme (source)", "rule kind acme.seasonal", "billing by acme"]
    assert all_of_them.source("acme") is all_of_them.service("acme").source
    assert all_of_them.billing is not None


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        pytest.param(
            GOOD.replace("register_services", "register_servises"),
            "There is no hook register_servises; did you mean register_services?",
            id="misspelt hook",
        ),
        pytest.param(
            GOOD.replace("register_services", "announce"), "There is no hook announce; there are", id="made-up hook"
        ),
        pytest.param(
            GOOD.replace("@hookimpl", ""), "register_services is not marked with hookimpl", id="hook without its mark"
        ),
        pytest.param(
            GOOD.replace("@hookimpl", "").replace("services", "sorces"),
            "There is no hook register_sorces; did you mean register_sources?",
            id="misspelt and without its mark",
        ),
        pytest.param(
            GOOD.replace("(register):", "(register, app):"),
            "register_services takes (register, app); it is called with register alone",
            id="too many arguments",
        ),
        pytest.param(GOOD.replace("(register):", "(taker):"), "register_services takes (taker)", id="another argument"),
        pytest.param(GOOD.replace("(register):", "():"), "register_services takes ()", id="no argument"),
        pytest.param("", "It has no hook; there are register_billing", id="no hook"),
        pytest.param("import nowhere_at_all", "can't be imported: No module named 'nowhere_at_all'", id="import error"),
        pytest.param("from assay_sdk import Leads", "can't be imported: cannot import name 'Leads'", id="no such name"),
        pytest.param("def (", "ended with SyntaxError", id="syntax error"),
        pytest.param("1 / 0", "ended with ZeroDivisionError: division by zero.", id="error at import"),
        pytest.param("raise SystemExit(3)", "ended with SystemExit: 3.", id="ends the process at import"),
        pytest.param(
            GOOD.replace("register(Lead())", "raise SystemExit"), "ended with SystemExit.", id="ends it later"
        ),
        pytest.param(
            GOOD.replace("register(Lead())", "register(1 / 0)"),
            "register_services ended with ZeroDivisionError: division by zero.",
            id="error in a hook",
        ),
        pytest.param(GOOD.replace("Lead()", "Lead"), "registered the class Lead where an instance", id="class"),
        pytest.param(GOOD.replace("Lead()", "'lead'"), "registered a str where an instance of Service", id="text"),
        pytest.param(
            GOOD.replace("services", "sources"),
            "registered a Lead where an instance of Source",
            id="service for source",
        ),
        pytest.param(
            GOOD.replace("services", "rule_kinds"), "a Lead where an instance of RuleKind", id="service for rule kind"
        ),
        pytest.param("Lead.name = 'Big Lead'\n" + GOOD, "that of Lead is 'Big Lead'", id="name that does not fit"),
        pytest.param("Lead.name = 'billing'\n" + GOOD, "The name 'billing' is Assay's own", id="a name of ours"),
        pytest.param("del Lead.name\n" + GOOD, "that of Lead has none", id="no name"),
        pytest.param("Lead.title = ' '\n" + GOOD, "The service 'acme' has no title.", id="no title"),
        pytest.param("Lead.source = None\n" + GOOD, "has neither a source nor a destination.", id="offers nothing"),
        pytest.param(
            "Lead.source = Lists\n" + GOOD, "source must be an instance of Source, not type.", id="source class"
        ),
        pytest.param(
            "Lists.name = 'other'\n" + GOOD, "its source must bear the same name, not 'other'", id="two names"
        ),
        pytest.param("Lead.auth = 'key'\n" + GOOD, "auth must be OAuth, Key or NoAuth, not str.", id="made-up login"),
        pytest.param("Lead.app = ['key']\n" + GOOD, "app must be a list of AppSetting, not str.", id="made-up setting"),
        pytest.param(
            "Lead.app = [AppSetting('client id', 'Id')]\n" + GOOD,
            "The service 'acme': an app setting's name is lower-case letters, digits, dashes and underscores; not "
            "'client id'.",
            id="setting with a space",
        ),
        pytest.param("Lead.settings = 7\n" + GOOD, "settings must be a marshmallow Schema", id="no schema"),
        pytest.param("Lead.limits = 7\n" + GOOD, "register_services ended with TypeError", id="limits that are none"),
        pytest.param(
            "Lead.vocabulary = [EventType('Form.Submitted', 'Form')]\n" + GOOD,
            "(page.viewed); not 'Form.Submitted'",
            id="vocabulary in capitals",
        ),
        pytest.param(GOOD + "    register(Lead())", "It registers the service 'acme' twice.", id="twice in one plugin"),
        pytest.param(
            "del Seasonal.title\n" + GOOD.replace("services", "rule_kinds").replace("Lead", "Seasonal"),
            "The rule kind 'acme.seasonal' has no title.",
            id="rule kind without title",
        ),
        pytest.param(
            "Seasonal.parameters = {}\n" + GOOD.replace("services", "rule_kinds").replace("Lead", "Seasonal"),
            "The rule kind 'acme.seasonal': parameters must be a marshmallow Schema, the class itself.",
            id="rule kind with odd parameters",
        ),
        pytest.param(
            "del Seasonal.awards\n" + GOOD.replace("services", "rule_kinds").replace("Lead", "Seasonal"),
            "The rule kind 'acme.seasonal' has no awards: that method is the rule.",
            id="rule kind without awards",
        ),
        pytest.param(
            "Seasonal.name = 'seasonal'\n" + GOOD.replace("services", "rule_kinds").replace("Lead", "Seasonal"),
            "A rule kind's name is the plugin's name, a dot and a word; that of Seasonal is 'seasonal'.",
            id="rule kind without its plugin",
        ),
        pytest.param(
            "Seasonal.name = 'else.seasonal'\n" + GOOD.replace("services", "rule_kinds").replace("Lead", "Seasonal"),
            "must begin with the plugin's name: acme.",
            id="rule kind of another plugin",
        ),
    ],
)
def test_what_is_wrong_is_named_and_stops_no_other(
    install: Install, found: Callable[[], Plugins], code: str, cause: str
) -> None:
    install("acme", code)
    install("fine")
    all_of_them = found()
    assert list(all_of_them.broken) == ["acme"]
    assert cause in all_of_them.broken["acme"]
    assert set(all_of_them.services) == set(all_of_them.sources) == {"fine"}
    assert [(each.name, each.health) for each in all_of_them.found] == [("acme", "broken"), ("fine", "ok")]


def test_all_causes_are_told_at_once(install: Install, found: Callable[[], Plugins]) -> None:
    install("acme", "Lead.title = ''\nLead.auth = 7\n" + GOOD)
    assert len(found().found[0].causes) == 2


def test_one_that_offers_nothing_is_told_so(install: Install, found: Callable[[], Plugins]) -> None:
    install("acme", GOOD.replace("register(Lead())", "Lead()"))
    [plugin] = found().found
    assert (plugin.health, plugin.offers) == ("ok", [])
    assert plugin.warnings == ["It offers nothing: its hooks are called with register, and have to call that."]


def test_whoever_stops_the_process_stops_it(install: Install, found: Callable[[], Plugins]) -> None:
    install("acme", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        found()


@pytest.mark.parametrize(
    ("requires", "is_broken", "words"),
    [
        pytest.param("assay-sdk>=0.1,<0.2", False, "", id="fits"),
        pytest.param("assay_sdk >=0.1", False, "", id="written otherwise"),
        pytest.param("assay-sdk>=1.2,<2", True, "made for assay-sdk <2,>=1.2; installed is", id="later"),
        pytest.param("assay-sdk<0.1", True, "made for assay-sdk <0.1", id="earlier"),
        pytest.param("assay-sdk>=9; python_version < '3'", False, "does not state which versions", id="for others"),
        pytest.param("", False, "does not state which versions of assay-sdk", id="says nothing"),
        pytest.param("assay-sdk", False, "does not state which versions of assay-sdk", id="any"),
        pytest.param("assay-sdk ==> 3", False, "can't be read", id="no requirement"),
    ],
)
def test_the_range_of_the_sdk(
    install: Install, found: Callable[[], Plugins], requires: str, is_broken: bool, words: str
) -> None:
    install("acme", requires=requires)
    [plugin] = found().found
    assert plugin.is_broken is is_broken
    assert words in " ".join(plugin.causes or plugin.warnings)
    assert version("assay-sdk") in " ".join(plugin.causes) or not is_broken


@pytest.mark.parametrize(
    ("what", "made", "cause"),
    [
        pytest.param("services", "Lead", "assay-acme 1.2 provides the service 'acme' already.", id="service"),
        pytest.param("sources", "Lists", "assay-acme 1.2 provides the source 'acme' already.", id="source"),
        pytest.param("billing", "Till", "assay-acme 1.2 provides billing already", id="billing"),
    ],
)
def test_who_has_a_name_already_is_told(
    install: Install, found: Callable[[], Plugins], what: str, made: str, cause: str
) -> None:
    code = GOOD.replace("services", what).replace("Lead", made)
    install("acme", code)
    install("other", code, head=HEAD.replace("{name}", "acme"))
    assert cause in found().broken["other"]


def test_two_plugins_of_one_name(install: Install, found: Callable[[], Plugins]) -> None:
    install("acme", GOOD)
    install("acme", "Lead.name = Lists.name = 'else'" + GOOD)
    all_of_them = found()
    assert all_of_them.broken == {"acme": "assay-acme 1.2 is called 'acme' already."}
    assert set(all_of_them.services) == {"acme"}


def test_what_nobody_provides_is_named() -> None:
    for ask, error in ((Plugins().source, NoSuchSourceError), (Plugins().service, NoSuchServiceError)):
        with pytest.raises(error, match="'acme'"):
            ask("acme")
    with pytest.raises(NoSuchSourceError, match="tracking"):
        Plugins().tracking_source()


def test_the_installed_ones_are_whole() -> None:
    assert plugins.installed().broken == {}
    assert plugins.installed().tracking_source().name in plugins.installed().sources


# Settings.


class BigCrm(Service):
    name = "big-crm"
    title = "Big"
    app = (
        AppSetting("client_id", "Id"),
        AppSetting("client_secret", "Secret", secret=True),
        AppSetting("api", "Address", default="https://api.example"),
    )
    source = Source()


@pytest.mark.parametrize(
    ("environ", "settings", "missing"),
    [
        pytest.param({}, {"api": "https://api.example"}, ["client_id", "client_secret"], id="none"),
        pytest.param(
            {"ASSAY_PLUGIN_BIG_CRM_CLIENT_ID": "7", "ASSAY_PLUGIN_BIG_CRM_CLIENT_SECRET": " s "},
            {"api": "https://api.example", "client_id": "7", "client_secret": "s"},
            [],
            id="all",
        ),
        pytest.param(
            {"ASSAY_PLUGIN_BIG_CRM_API": "http://127.0.0.1:8", "ASSAY_PLUGIN_BIG_CRM_CLIENT_ID": " "},
            {"api": "http://127.0.0.1:8"},
            ["client_id", "client_secret"],
            id="empty is not set",
        ),
    ],
)
def test_settings_of_an_installation(environ: dict[str, str], settings: dict[str, str], missing: list[str]) -> None:
    assert plugins.app_settings(BigCrm(), environ) == settings
    assert [setting.name for setting in plugins.missing_settings(BigCrm(), environ)] == missing
    assert plugins.is_configured(BigCrm(), environ) is not bool(missing)


def test_settings_that_nobody_knows_are_told_with_the_nearest() -> None:
    known = Plugins(services={"big-crm": BigCrm()}, broken={"poor-crm": "It has no hook."})
    environ = {
        "ASSAY_PLUGIN_BIG_CRM_CLIENTID": "7",
        "ASSAY_PLUGIN_ZZZ": "1",
        "ASSAY_PLUGIN_BIG_CRM_API": "",
        "ASSAY_PLUGIN_POOR_CRM_KEY": "k",
        "HOME": "/",
    }
    assert plugins.unknown_settings(known, environ) == {
        "ASSAY_PLUGIN_BIG_CRM_CLIENTID": "ASSAY_PLUGIN_BIG_CRM_CLIENT_ID",
        "ASSAY_PLUGIN_ZZZ": "",
    }
