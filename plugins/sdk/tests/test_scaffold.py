"""New plugins, without Assay."""

import subprocess
import sys
from pathlib import Path

import pytest

from assay_sdk.scaffold import CannotWrite, write


def test_names_stand_everywhere(tmp_path: Path) -> None:
    folder = write("big-crm", tmp_path)
    texts = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert "src/assay_big_crm/service.py" in texts
    assert 'name = "assay-big-crm"' in texts["pyproject.toml"]
    assert '"assay-sdk>=0.1,<0.2"' in texts["pyproject.toml"]
    assert "class BigCrm(Service):" in texts["src/assay_big_crm/service.py"]
    assert "ASSAY_PLUGIN_BIG_CRM_CLIENT_ID" in texts["README.md"]
    for path, text in texts.items():
        for word in ("%name%", "%package%", "%Class%", "%title%", "%ENV%", "%range%", "__package__"):
            assert word not in text + path


@pytest.mark.parametrize("name", ["", "Acme", "acme_crm", "-acme", "acme-", "über", "a b", "sdk", "billing"])
def test_names_that_do_not_fit(tmp_path: Path, name: str) -> None:
    with pytest.raises(CannotWrite):
        write(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="can't be written: Not a directory"):
        write("acme", tmp_path / "file")


@pytest.mark.parametrize(("name", "code"), [pytest.param("acme", 0, id="good"), pytest.param("Acme", 1, id="bad")])
def test_from_the_command_line(tmp_path: Path, name: str, code: int) -> None:
    command = [sys.executable, "-m", "assay_sdk.scaffold", name, "--into", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("lower-case" in done.stderr) is (code == 1)
    assert (tmp_path / "assay-acme").exists() is (code == 0)


def test_it_keeps_the_rules_of_this_house(acme: object) -> None:
    folder = acme.folder  # type: ignore[attr-defined] # a namespace
    ruff = Path(sys.executable).parent / "ruff"
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    rules = "E,F,W,B,UP,SIM,RUF,PIE"
    done = subprocess.run(
        [ruff, "check", "--isolated", "--line-length=120", f"--select={rules}", "--ignore=RUF012", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
