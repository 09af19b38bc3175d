"""The built assets: their names carry a hash, the manifest knows which is which."""

import json
from functools import cache
from pathlib import Path

from flask import url_for

DIST = Path(__file__).parent / "static" / "dist"


class AssetsNotBuilt(RuntimeError):  # named by what is wrong, as all errors here
    def __init__(self) -> None:
        super().__init__(
            f"The web assets are not built: {DIST} has no manifest.json. `make run` and `make test` build it."
        )


@cache
def manifest() -> dict[str, str]:
    try:
        names: dict[str, str] = json.loads((DIST / "manifest.json").read_text())
    except FileNotFoundError:
        raise AssetsNotBuilt from None
    return names


def asset(name: str) -> str:
    """The address of a built file: ``asset("app.js")``."""
    return url_for("web.static", filename=f"dist/{manifest()[name]}")


def is_built(path: str) -> bool:
    return path.rpartition("/")[2] in manifest().values()
