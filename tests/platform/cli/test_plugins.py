"""`assay plugins`, with plugins of the test's own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from assay import plugins
from assay.cli import main
from assay.plugins import Plugin, Plugins
from assay_sdk import AppSetting, Service, Source


class Lists(Source):
    name = "lists"
    title = "Lists"


class Lead(Service):
    name = "lists"
    title = "Lists"
    app = (AppSetting("client_id", "Id"),)
    source = Lists()


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Plugins:
    found = Plugins()
    found.take(Plugin("lists", "assay-lists", "1.2", services={"lists": Lead()}, sources={"lists": Lead.source}))
    monkeypatch.setattr(plugins, "installed", lambda: found)
    return found


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["plugins", *arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize("arguments", [pytest.param([], id="by default"), pytest.param(["list"], id="by name")])
def test_plugins_are_listed(found: Plugins, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setenv("ASSAY_PLUGIN_LISTS_CLIENTID", "7")
    code, told = run(*arguments)
    assert code == 0
    assert "lists            1.2        not configured" in told
    assert "service lists (source)" in told
    assert "needs ASSAY_PLUGIN_LISTS_CLIENT_ID" in told
    assert "of assay-lists" not in told
    assert "the setting ASSAY_PLUGIN_LISTS_CLIENTID. Did you mean ASSAY_PLUGIN_LISTS_CLIENT_ID?" in told


def test_a_broken_one_is_an_exit_code(found: Plugins) -> None:
    found.take(Plugin("acme", "assay-acme", "0.3", causes=["It has no hook."]))
    code, told = run()
    assert code == 1
    assert "acme             0.3        broken" in told
    assert "It has no hook." in told


def test_of_two_of_one_name_each_is_told_apart(found: Plugins) -> None:
    found.take(Plugin("lists", "assay-more-lists", "0.3"))
    _, told = run()
    assert "of assay-lists\n" in told
    assert "of assay-more-lists\n" in told
    assert "assay-lists 1.2 is called 'lists' already." in told


def test_programs_read_it_too(found: Plugins) -> None:
    found.take(Plugin("acme", "assay-acme", "0.3", causes=["It has no hook."], warnings=["Old."]))
    code, told = run("list", "--json")
    lists, acme = json.loads(told)["plugins"]
    assert code == 1
    assert lists["missing_settings"] == ["ASSAY_PLUGIN_LISTS_CLIENT_ID"]
    assert (acme["health"], acme["causes"], acme["warnings"]) == ("broken", ["It has no hook."], ["Old."])


@pytest.mark.parametrize(
    "arguments", [pytest.param(["--json"], id="by default"), pytest.param(["list", "--json"], id="by name")]
)
def test_the_list_for_programs_is_all_that_is_said(
    found: Plugins, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    def talkative() -> Plugins:
        sys.stdout.write("Acme greets you.\n")
        return found

    monkeypatch.setattr(plugins, "installed", talkative)
    result = CliRunner().invoke(main, ["plugins", *arguments])
    assert [each["name"] for each in json.loads(result.stdout)["plugins"]] == ["lists"]
    assert result.stderr == "Acme greets you.\n"


def test_a_broken_plugin_is_told_once(tmp_path: Path) -> None:
    metadata = tmp_path / "assay_acme-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: assay-acme\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text("[assay]\nacme = acme_that_is_not_there\n")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    environ |= {"PYTHONPATH": str(tmp_path), "ASSAY_PLUGIN_ACMEE": "7"}
    command = [sys.executable, "-m", "assay.cli", "plugins"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "acme_that_is_not_there can't be imported: No module named 'acme_that_is_not_there'." in done.stdout
    assert "No plugin has the setting ASSAY_PLUGIN_ACMEE." in done.stdout


def test_nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "installed", Plugins)
    assert run() == (0, "No plugin is installed.\n")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("Acme", "is lower-case letters", id="capitals"),
        pytest.param("acme--crm", "is lower-case letters", id="two dashes"),
        pytest.param("7acme", "is lower-case letters", id="a digit first"),
        pytest.param("../acme", "is lower-case letters", id="a path"),
        pytest.param("a" * 41, "at most 40 characters", id="too long"),
        pytest.param("class", "a word of Python's own", id="keyword"),
        pytest.param("sdk", "a name of Assay's own", id="the SDK's"),
        pytest.param("taken", "exists already; nothing was written", id="folder that is there"),
    ],
)
def test_a_plugin_that_cannot_be_written(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "assay-taken").mkdir()
    code, told = run("new", name, "--into", str(tmp_path))
    assert code == 1
    assert words in told.replace("\n", " ")
    assert [each.name for each in tmp_path.iterdir()] == ["assay-taken"]


def test_a_new_plugin_passes_its_tests_untouched(tmp_path: Path) -> None:
    code, told = run("new", "acme-crm", "--into", str(tmp_path))
    assert code == 0, told
    folder = tmp_path / "assay-acme-crm"
    assert str(folder) in told
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout


def test_an_installed_service_is_examined(found: Plugins) -> None:
    code, told = run("examine", "lists")
    assert code == 1
    assert "The service 'lists' names no simulator" in told


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(["segment", "--only", "purity"], 0, "1 passed, 0 failed", id="one drill"),
        pytest.param(
            ["segment", "--only", "dancing"],
            1,
            "There is no drill dancing; there are connecting, sig",
            id="no such drill",
        ),
        pytest.param(["nobody"], 1, "No installed plugin provides the service 'nobody'", id="no such service"),
    ],
)
def test_the_examination(arguments: list[str], code: int, words: str) -> None:
    assert run("examine", *arguments)[0] == code
    assert words in run("examine", *arguments)[1]


def test_what_is_for_programs_is_said_behind_the_command() -> None:
    code, told = run("--json", "examine", "segment")
    assert code == 2
    assert "--json stands behind the command" in told


def test_the_examination_for_programs() -> None:
    code, told = run("examine", "segment", "--only", "vocabulary", "--json")
    assert code == 0
    [drill] = json.loads(told)["drills"]
    assert (drill["drill"], drill["state"]) == ("vocabulary", "passed")


def test_why_a_broken_plugin_is_not_examined(found: Plugins) -> None:
    found.take(Plugin("acme", "assay-acme", "0.3", causes=["It has no hook."]))
    code, told = run("examine", "acme")
    assert code == 1
    assert "The plugin 'acme' is broken: It has no hook." in told
