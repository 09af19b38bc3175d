"""`assay models apply`: models kept as files, brought to a server over its API."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import httpx

from assay.cli.model_files import Filed, Step, Stored, check, left_alone, plan, read_folder
from assay.cli.score_input import Problems, visible

PATIENCE = 60.0
#: ``--dry-run`` says so where something would change, for whoever asks from a script.
WOULD_CHANGE = 3


class Refused(Exception):
    """The server's own sentence, or why there was none."""


@click.group()
def models() -> None:
    """Models kept as files."""


@models.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--url", envvar="ASSAY_URL", required=True, help="The server, such as https://assay.example.com.")
@click.option("--key", envvar="ASSAY_API_KEY", required=True, help="An API key; better given as ASSAY_API_KEY.")
@click.option("--dry-run", is_flag=True, help="Only tell what would change.")
@click.option("--yes", is_flag=True, help="Don't ask before applying.")
def apply(folder: Path, url: str, key: str, dry_run: bool, yes: bool) -> None:
    """Make the server's models those of FOLDER: create, update and publish them.

    Everything is checked before anything changes; models that are not in the folder are left alone. A second run
    changes nothing. Exits with 0 when the server has what the folder has, 1 when the server refuses or can't be
    reached, 2 when a file is wrong, and 3 when --dry-run finds something to change.
    """
    if not (key.isascii() and key.isprintable()):
        raise click.ClickException("--key is no API key: they consist of letters, digits, _ and -.")
    problems = Problems()
    files = read_folder(folder, problems)
    if problems.found:
        problems.stop()
    try:
        with httpx.Client(
            base_url=url.rstrip("/") + "/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE
        ) as client:
            stored = _stored(client)
            check(files, stored, problems)
            if problems.found:
                problems.stop()
            steps = plan(files, stored)
            _show(steps, left_alone(files, stored))
            todo = [step for step in steps if step.action != "unchanged"]
            if dry_run:
                sys.exit(WOULD_CHANGE if todo else 0)
            if todo and not yes and sys.stdin.isatty():
                click.confirm("Apply this?", abort=True)
            for step in todo:
                version = _apply(client, step, files[step.name], stored)
                click.echo(f"{visible(step.name)}: version {version} is live")
    except Refused as refusal:
        raise click.ClickException(visible(str(refusal))) from None
    except httpx.InvalidURL as error:
        raise click.ClickException(f"--url is no address: {error}") from None
    except httpx.HTTPError as error:
        raise click.ClickException(f"{url} can't be reached: {error or type(error).__name__}") from None


def _stored(client: httpx.Client) -> dict[str, Stored]:
    found = {}
    for listed in _ask(client, "GET", "/models")["items"]:
        name, version = listed["name"], listed["published_version"]
        whole = _ask(client, "GET", _path(name))
        source = _ask(client, "GET", f"{_path(name)}/versions/{version}")["source"] if version else None
        archived = whole["state"] == "archived"
        found[name] = Stored(name, whole["draft"], whole["revision"], whole["draft_by"], version, source, archived)
    return found


def _apply(client: httpx.Client, step: Step, filed: Filed, stored: Mapping[str, Stored]) -> int:
    path = _path(step.name)
    if step.action == "create":
        revision = _send(client, "POST", "/models", filed)["revision"]
    elif step.action == "update":
        # Whoever saved the draft since it was looked at is not overwritten.
        revision = _send(client, "PUT", f"{path}/draft", filed, {"If-Match": f'"{stored[step.name].revision}"'})[
            "revision"
        ]
    else:
        revision = stored[step.name].revision
    published = _ask(client, "POST", f"{path}/publish", headers={"If-Match": f'"{revision}"'})
    version: int = published["version"]
    return version


def _send(
    client: httpx.Client, method: str, path: str, filed: Filed, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    of_kind = {"Content-Type": "application/yaml", **(headers or {})}
    return _ask(client, method, path, content=filed.text.encode(), headers=of_kind)


def _ask(client: httpx.Client, method: str, path: str, **options: Any) -> dict[str, Any]:
    answer = client.request(method, path, **options)
    try:
        body: dict[str, Any] = answer.json()
        if answer.is_success:
            return body
        told = [f"{error['field']}: {error['message']}" for error in body.get("errors", [])]
        raise Refused(" ".join([f"{method} {path}: {body['detail']}", *told]))
    except (ValueError, KeyError, TypeError):
        raise Refused(
            f"{client.base_url} answered {answer.status_code} to {method} {path}, and not as Assay does."
        ) from None


def _path(name: str) -> str:
    return f"/models/{quote(name, safe='')}"


def _show(steps: list[Step], alone: list[str]) -> None:
    for step in steps:
        click.echo(f"{step.action:<10}{visible(step.name)}")
        for words in step.words:
            click.echo(f"{'':<12}{visible(words)}")
    if alone:
        click.echo(f"left alone: {visible(', '.join(alone))} (not in the folder)")
    if all(step.action == "unchanged" for step in steps):
        click.echo("Nothing to change.")
