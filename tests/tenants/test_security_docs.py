"""What SECURITY.md and docs/asvs.md claim: each line once, with a reason or a test that is there."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASVS = (ROOT / "docs/asvs.md").read_text("utf-8")
SECURITY = (ROOT / "SECURITY.md").read_text("utf-8")

LINE = re.compile(r"^\| (\d+\.\d+\.\d+) \| (.+?) \| (.+?) \| (.*) \|$", re.MULTILINE)
LINES = LINE.findall(ASVS)
STATES = {"met", "not met", "not applicable"}
#: Of levels 1 and 2 of ASVS 5.0.0, without its chapter on WebRTC.
NUMBER_OF_LINES = 246
#: `tests/…/test_x.py`, or with `::TestClass::test_name` behind it; a folder stands for all in it.
PATH = re.compile(r"`((?:tests|plugins)/[\w./-]+?)((?:::\w+)*)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def rows_of(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of SECURITY.md, without its first two rows."""
    _, _, rest = SECURITY.partition(f"\n## {heading}\n")
    table = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table[2:]]


class TestAsvs:
    def test_each_requirement_stands_there_once_and_in_order(self) -> None:
        numbers = [tuple(map(int, number.split("."))) for number, *_ in LINES]
        assert len(LINES) == NUMBER_OF_LINES
        assert numbers == sorted(set(numbers))
        assert len(LINES) == len([line for line in ASVS.splitlines() if re.match(r"\| \d", line)])

    def test_each_line_has_a_state_and_says_why(self) -> None:
        assert [line for line in LINES if line[2] not in STATES or not line[1].strip() or not line[3].strip()] == []

    def test_the_counts_are_right(self) -> None:
        counts = Counter(state for _, _, state, _ in LINES)
        said = re.search(r"Of (\d+) lines (\d+) are met, (\d+) do not apply, (\d+) are not met\.", ASVS)
        assert said
        assert list(map(int, said.groups())) == [
            len(LINES),
            *(counts[state] for state in ("met", "not applicable", "not met")),
        ]
        assert f"{counts['met']} of {len(LINES)}" in SECURITY
        assert f"{counts['not met']} are not met" in SECURITY


@pytest.mark.parametrize(
    ("page", "text"),
    [
        pytest.param(ROOT / "SECURITY.md", SECURITY, id="SECURITY.md"),
        pytest.param(ROOT / "docs/asvs.md", ASVS, id="asvs.md"),
        *(
            pytest.param(ROOT / f"docs/{name}.md", (ROOT / f"docs/{name}.md").read_text("utf-8"), id=f"{name}.md")
            for name in ("logs", "data", "secrets", "egress")
        ),
    ],
)
class TestReferences:
    def test_tests_that_are_named_exist(self, page: Path, text: str) -> None:
        missing = [
            path + names
            for path, names in PATH.findall(text)
            if not (ROOT / path).exists()
            or not all(
                re.search(rf"^\s*(?:class|def) {name}\b", (ROOT / path).read_text("utf-8"), re.MULTILINE)
                for name in names.split("::")[1:]
            )
        ]
        assert missing == []

    def test_pages_that_are_named_exist(self, page: Path, text: str) -> None:
        assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []


class TestSecurity:
    def test_each_threat_has_a_guard_and_a_test(self) -> None:
        rows = rows_of("Threats")
        assert len(rows) >= 40
        assert [row for row in rows if len(row) != 3 or not all(row) or not PATH.search(row[2])] == []
        assert [threat for threat, times in Counter(row[0] for row in rows).items() if times > 1] == []

    def test_each_line_of_rfc_9700_is_shown_or_says_why_not(self) -> None:
        rows = rows_of("RFC 9700")
        assert len(rows) >= 25
        unshown = [row for row in rows if len(row) != 4 or not all(row) or not PATH.search(row[3])]
        assert [row for row in unshown if not row[2].startswith(("not met", "not applicable"))] == []

    def test_no_test_of_rfc_9700_is_forgotten(self) -> None:
        there = re.findall(
            r"^def (test_\w+)", (ROOT / "tests/platform/oauth/test_rfc9700.py").read_text(), re.MULTILINE
        )
        assert [name for name in there if f"::{name}`" not in SECURITY] == []
