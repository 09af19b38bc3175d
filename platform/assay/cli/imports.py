"""`assay import`: a file brought to a server over its API, in parts, going on after a broken connection."""

import sys
import time
from pathlib import Path
from typing import Any

import click
import httpx

from assay.cli.score_input import visible

PART = 8 * 1024 * 1024
PATIENCE = 120.0
#: Tries in a row before a connection is given up.
TRIES = 8
#: Some rows were refused, or the file could not be read to its end.
INCOMPLETE = 3
_AT_WORK = ("receiving", "looking", "checking", "waiting", "undoing")


class Refused(Exception):
    """The server's own sentence, or why there was none."""


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--kind", type=click.Choice(["leads", "events"]), required=True, help="What a row is.")
@click.option("--url", envvar="ASSAY_URL", required=True, help="The server, such as https://assay.example.com.")
@click.option("--key", envvar="ASSAY_API_KEY", required=True, help="An API key; better given as ASSAY_API_KEY.")
@click.option("--check", is_flag=True, help="Only check the file: nothing is kept.")
@click.option("--type", "type_", help="The type of all events, where no column says it.")
@click.option("--dates", help="How instants are written: iso, dmy, mdy, ymd, epoch_s, epoch_ms or epoch_us.")
@click.option("--time-zone", help="Of instants that don't say theirs.")
@click.option("--numbers", help="point or comma.")
@click.option("--name", help="Tells rows without any id from those of other lists.")
def imports(file: Path, kind: str, url: str, key: str, check: bool, type_: str | None, **how: str | None) -> None:
    """Import FILE: CSV, JSON lines or Parquet. Its columns are guessed from their names and values.

    Exits with 0 when every row was taken in, 1 when the server refuses or can't be reached, and 3 when rows were
    refused or the file could not be read to its end.
    """
    if not (key.isascii() and key.isprintable()):
        raise click.ClickException("--key is no API key: they consist of letters, digits, _ and -.")
    said = {name: value for name, value in {**how, "type": type_}.items() if value is not None}
    query = {"kind": kind, "filename": file.name, "size": file.stat().st_size, "review": "true", **said}
    try:
        with httpx.Client(
            base_url=url.rstrip("/") + "/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE
        ) as client:
            path = f"/imports/{_ask(client, 'POST', '/imports', params=query)['id']}"
            _send(client, path, file)
            _settled(client, path)
            for warning in _ask(client, "GET", f"{path}/mapping")["warnings"]:
                click.echo(visible(warning), err=True)
            report = _told(client, path, "check" if check else "start")
    except Refused as refusal:
        raise click.ClickException(visible(str(refusal))) from None
    except httpx.InvalidURL as error:
        raise click.ClickException(f"--url is no address: {error}") from None
    except httpx.HTTPError as error:
        raise click.ClickException(f"{url} can't be reached: {error or type(error).__name__}") from None
    sys.exit(_say(report, check=check))


def _send(client: httpx.Client, path: str, file: Path) -> None:
    """All of the file, from wherever the server has it up to."""
    failures = 0
    offset = 0
    with file.open("rb") as stream:
        while True:
            try:
                stream.seek(offset)
                part = stream.read(PART)
                headers = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
                told = _ask(client, "PATCH", f"{path}/content", content=part, headers=headers)
                offset, failures = told["offset"], 0
                if told["is_over"]:
                    return
            except httpx.TransportError:
                failures += 1
                if failures == TRIES:
                    raise
                time.sleep(min(0.5 * 2**failures, 20))
                offset = _ask(client, "GET", f"{path}/content")["offset"]


def _settled(client: httpx.Client, path: str) -> dict[str, Any]:
    """Once nothing goes on with it any more."""
    pause = 0.1
    while (report := _ask(client, "GET", path))["state"] in _AT_WORK:
        time.sleep(pause)
        pause = min(pause * 1.5, 2.0)
    if report["state"] == "failed" and not report["rows_read"]:
        raise Refused(report["error"])
    return report


def _told(client: httpx.Client, path: str, verb: str) -> dict[str, Any]:
    _ask(client, "POST", f"{path}/{verb}")
    report = _settled(client, path)
    if verb == "check":
        # What was only looked at is not left behind.
        _ask(client, "POST", f"{path}/cancel")
    return report


def _say(report: dict[str, Any], *, check: bool) -> int:
    found = report["check"] if check else None
    if found is not None:
        click.echo(f"{found['rows']:,} rows, {found['refused']:,} would be refused.")
        click.echo(f"Leads: {found['leads_new']:,} new, {found['leads_known']:,} known.")
        if found["events"]:
            click.echo(f"Events: {found['events_new']:,} new, {found['events_known']:,} known.")
        error, refused = found["error"], found["refused"]
    else:
        error, refused = report["error"], report["rows_refused"]
        click.echo(f"Import {report['id']}: {report['rows_read'] - refused:,} rows taken in, {refused:,} refused.")
    if error:
        click.echo(visible(error), err=True)
    return INCOMPLETE if refused or error else 0


def _ask(client: httpx.Client, method: str, path: str, **options: Any) -> dict[str, Any]:
    answer = client.request(method, path, **options)
    try:
        body: dict[str, Any] = answer.json()
        if answer.is_success:
            return body
        told = [f"{error['field']}: {error['message']}" for error in body.get("errors", [])]
        raise Refused(" ".join([body["detail"], *told]))
    except (ValueError, KeyError, TypeError):
        raise Refused(
            f"{client.base_url} answered {answer.status_code} to {method} {path}, and not as Assay does."
        ) from None
