"""What each command does first: settings, then logging in its process's name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from assay import logs
from assay.embedded import completed
from assay.settings import BadSetting, Settings


def enter(process: str) -> Settings:
    settings = completed(Settings.from_environ())
    logs.configure(settings.log_level, process=process)
    logs.watch_for_crashes()
    return settings


def enter_with_key(process: str) -> Settings:
    settings = enter(process)
    if not settings.secret_key:
        raise BadSetting("secret_key", "is not set, and there is no data folder to keep one in", "32 random characters")
    return settings


def as_operator(by: str | None = None) -> str:
    """What this process does to tenants, an operator does: under this name, or that of the machine's user."""
    from getpass import getuser

    from assay_tenants.context import Actor, act_as, arrive

    try:
        name = by or getuser()
    except OSError:
        # A container whose user has no name.
        name = f"user {os.getuid()}"
    arrive("command")
    act_as(Actor("operator", "", name))
    return name


@contextmanager
def starting() -> Iterator[None]:
    """Whoever can't be reached is named in a sentence: a page of our code says nothing about it."""
    from redis import RedisError
    from sqlalchemy.exc import OperationalError

    from assay_tenants.database import PowerfulRole
    from assay_tenants.sealing import SealingError

    try:
        yield
    except (PowerfulRole, SealingError) as refused:
        raise click.ClickException(str(refused)) from None
    except OperationalError as error:
        raise click.ClickException(f"PostgreSQL is {reason(error)}. `assay doctor` says more.") from None
    except RedisError as error:
        raise click.ClickException(f"Redis is {reason(error)}. `assay doctor` says more.") from None


def reason(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    return f"not reachable: {lines[0].rstrip('.') if lines else type(cause).__name__}"
