"""Every example of the partner guide, run: from nothing to a plugin that is examined."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from assay_sdk.testing.examination import DRILLS

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "plugins.md").read_text()
CONSOLE = [block.strip() for block in re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)]
PYTHON = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


def in_a_shell(command: str, folder: Path, acme: Path | None) -> str:
    """What a command prints. Its programs are those of this environment; ``acme`` is installed, if given."""
    paths = [str(acme / "src"), str(acme.parent)] if acme else []
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "ASSAY_PLUGIN"))},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(paths),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written as the guide says; its metadata beside it, as an installer would leave it."""
    folder = tmp_path_factory.mktemp("guide")
    command, _, expected = CONSOLE[0].partition("\n")
    assert in_a_shell(command.removeprefix("$ "), folder, None).strip() == expected
    info = folder / "assay_acme-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: assay-acme\nVersion: 0.1.0\nRequires-Dist: assay-sdk<0.2\n"
    )
    (info / "entry_points.txt").write_text("[assay]\nacme = assay_acme.plugin\n")
    return folder / "assay-acme"


@pytest.mark.parametrize("block", CONSOLE[1:], ids=lambda block: block.splitlines()[-2 if "cd" in block else 0][:40])
def test_what_is_typed_says_what_the_guide_shows(written: Path, block: str) -> None:
    commands = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
    told = " ".join(in_a_shell(" && ".join(commands), written.parent, written).split())
    for expected in [line for line in block.splitlines() if not line.startswith("$ ")]:
        assert " ".join(expected.split()) in told


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code.splitlines()[0])
def test_examples_run(acme: SimpleNamespace, loopback: None, code: str) -> None:
    exec(compile(code, "docs/plugins.md", "exec"), {})


@pytest.mark.parametrize("drill", [drill.__name__ for drill in DRILLS])
def test_every_drill_is_told(drill: str) -> None:
    assert f"| `{drill}` |" in GUIDE


def test_there_are_examples() -> None:
    assert (len(CONSOLE), len(PYTHON)) == (4, 2)
