"""What docs/events-api.md shows is run against a real server, and what it promises is looked up."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from assay.normalise import refusals, strict
from assay_tenants.access.service import SignedUp
from assay_tenants.keys import issue_key

PAGE = (Path(__file__).parents[3] / "docs" / "events-api.md").read_text("utf-8")
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def environment(port: int, tenant: SignedUp) -> dict[str, str]:
    secret = issue_key(tenant.tenant_id, kind="api", name="Docs").secret
    return os.environ | {"ASSAY": f"http://127.0.0.1:{port}", "ASSAY_KEY": secret}


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is installed on this machine")
def test_the_shells_examples(environment: dict[str, str], tenant: SignedUp, work_off: Callable[[int], int]) -> None:
    events, leads, look_up = (
        lambda script=script: subprocess.run(
            ["bash", "-euc", script.replace("curl ", "curl -sS --fail-with-body ", 1)],
            env=environment, check=True, capture_output=True, text=True,
        ).stdout
        for script in SHELL
    )  # fmt: skip
    assert json.loads(events())["accepted"] == 2
    assert json.loads(leads())["accepted"] == 1
    work_off(tenant.tenant_id)
    (found,) = json.loads(look_up())["items"]
    assert (found["email"], found["company"]) == ("ada@example.com", "Example")
    client = httpx.Client(headers={"Authorization": f"Bearer {environment['ASSAY_KEY']}"})
    address = f"{environment['ASSAY']}/api/v1/leads/{found['id']}"
    timeline = client.get(f"{address}/events").json()["items"]
    assert [event["type"] for event in timeline] == ["page.viewed", "offer.downloaded"]
    traits = client.get(address).json()["traits"]
    assert {name: traits[name] for name in ("title", "seats", "trial")} == {"title": "CFO", "seats": 40, "trial": True}
    assert "note" not in traits


def test_pythons_example(environment: dict[str, str]) -> None:
    (script,) = PYTHON
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_code_is_explained() -> None:
    source = "".join(Path(module.__file__ or "").read_text("utf-8") for module in (strict, refusals))
    codes = set(
        re.findall(r'"((?:bad|too)_[a-z_]+|missing|nobody|unknown_field|wrong_type|empty|reserved|malformed)"', source)
    )
    assert len(codes) > 12
    table = PAGE.partition("| code of a refused record |")[2].partition("\n\n")[0]
    assert codes == set(re.findall(r"`([a-z_]+)`", "".join(line.split("|")[1] for line in table.splitlines()[2:])))
