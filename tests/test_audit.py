"""What .ci/audit.py makes of the answers of pip-audit and npm, and of none."""

import json
import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "audit.py"
UNREACHABLE = "http://127.0.0.1:9"
WEAKNESS = {"id": "PYSEC-1", "fix_versions": ["2.0"], "aliases": [], "description": ""}


@pytest.fixture(scope="module")
def audit():
    spec = spec_from_file_location("audit", SCRIPT)
    module = module_from_spec(spec)
    sys.modules["audit"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["audit"]


def pip(*packages) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


GOOD = {"name": "flask", "version": "3.1.3", "vulns": []}
BAD = {"name": "old", "version": "1.0", "vulns": [WEAKNESS]}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(pip(GOOD), "x: nothing is known against 1 packages", id="well"),
        pytest.param(pip(GOOD, BAD), "x: 1 known weaknesses\n  old 1.0: PYSEC-1, mended in 2.0", id="a weakness"),
        pytest.param(pip(GOOD, UNKNOWN), "x: nothing is known against 1 packages; NOT CHECKED: ours", id="one unknown"),
        pytest.param(pip(UNKNOWN), "NOT CHECKED", id="all unknown"),
        pytest.param("", "NOT CHECKED", id="no answer"),
        pytest.param("Traceback", "NOT CHECKED", id="no JSON"),
    ],
)
def test_pip(audit, said, told) -> None:
    assert told in str(audit.of_pip("x", said))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(
            {"vulnerabilities": {}, "metadata": {"dependencies": {"total": 5}}}, "nothing is known against 5", id="well"
        ),
        pytest.param(
            {
                "vulnerabilities": {"old": {"range": "<2", "severity": "high"}},
                "metadata": {"dependencies": {"total": 5}},
            },
            "1 known weaknesses\n  old <2: high",
            id="a weakness",
        ),
        pytest.param({"message": "405 Method Not Allowed", "error": {}}, "NOT CHECKED", id="refused"),
        pytest.param([], "NOT CHECKED", id="something else"),
    ],
)
def test_npm(audit, said, told) -> None:
    assert told in str(audit.of_npm("x", json.dumps(said)))


def test_without_a_network_it_says_so_and_goes_on() -> None:
    proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), UNREACHABLE)
    environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"} | proxies
    done = subprocess.run([sys.executable, SCRIPT], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("NOT CHECKED") == 3
