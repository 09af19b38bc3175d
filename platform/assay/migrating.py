"""Where the migrations lie, and how far a database is."""

from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

log = structlog.get_logger()

# Beside this file in a wheel, at the root of a working copy.
_FOLDERS = (Path(__file__).parent / "migrations", Path(__file__).parents[2] / "migrations")


def configuration(url: str) -> Config:
    config = Config()
    folder = next(folder for folder in _FOLDERS if (folder / "env.py").is_file())
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def upgrade(url: str) -> None:
    command.upgrade(configuration(url), "head")
    log.info("database.migrated", revision=newest())


def newest() -> str | None:
    """The revision a database of this version has."""
    return ScriptDirectory.from_config(configuration("")).get_current_head()
