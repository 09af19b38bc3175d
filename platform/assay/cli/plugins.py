"""`assay plugins`: which are installed and what they offer, a new one, and the examination of one."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay import logs
from assay.cli.entrance import enter
from assay.cli.score_input import visible

if TYPE_CHECKING:
    from assay.plugins import Plugin, Plugins

COLOURS = {"broken": "red", "not configured": "yellow"}


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="The list for programs.")
@click.pass_context
def plugins(context: click.Context, as_json: bool) -> None:
    """The installed plugins: lists them, unless told otherwise."""
    if context.invoked_subcommand is None:
        context.invoke(list_plugins, as_json=as_json)
    elif as_json:
        raise click.UsageError("--json stands behind the command that it is for: list or examine.")


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_plugins(as_json: bool = False) -> None:
    """List plugins with their version, health and what they offer.

    Exits with 1 when one is broken.
    """
    found = _look()
    from assay.plugins import unknown_settings

    unknown = unknown_settings(found)
    if as_json:
        click.echo(
            json.dumps({"plugins": [_told(each) for each in found.found], "unknown_settings": unknown}, indent=2)
        )
    else:
        _show(found, unknown)
    sys.exit(1 if found.broken else 0)


def _look() -> "Plugins":
    """What plugins print themselves is no part of a table, let alone of JSON."""
    enter("plugins")
    # What is wrong with a plugin is told by the command; warnings would only repeat it.
    logs.configure("ERROR", process="plugins")
    from assay.plugins import installed

    with redirect_stdout(sys.stderr):
        return installed()


def _show(found: "Plugins", unknown: dict[str, str]) -> None:
    names = [plugin.name for plugin in found.found]
    for plugin in found.found:
        told = _told(plugin)
        click.echo(f"{visible(plugin.name):<16} {visible(plugin.version):<10} ", nl=False)
        click.secho(plugin.health, fg=COLOURS.get(plugin.health, "green"))
        whose = [f"of {plugin.distribution}"] if names.count(plugin.name) > 1 else []
        lines = [*whose, *told["offers"], *(f"needs {name}" for name in told["missing_settings"])]
        for line in [*lines, *(f"note: {each}" for each in plugin.warnings), *plugin.causes]:
            click.echo(f"{'':<17}{visible(line)}")
    if not found.found:
        click.echo("No plugin is installed.")
    for name, nearest in unknown.items():
        click.echo(f"No plugin has the setting {visible(name)}." + (f" Did you mean {nearest}?" if nearest else ""))


def _told(plugin: "Plugin") -> dict[str, Any]:
    from assay.plugins import missing_settings, variable

    missing = [variable(each, setting.name) for each in plugin.services.values() for setting in missing_settings(each)]
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "health": plugin.health,
        "offers": [] if plugin.is_broken else plugin.offers,
        "missing_settings": [] if plugin.is_broken else missing,
        "causes": plugin.causes,
        "warnings": plugin.warnings,
    }


@plugins.command()
@click.argument("name")
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Where; here by default."
)
def new(name: str, into: Path) -> None:
    """Write a working plugin called NAME, with tests and a stand-in of its vendor."""
    from assay_sdk.scaffold import CannotWrite, write

    try:
        folder = write(name, into)
    except CannotWrite as refusal:
        raise click.ClickException(visible(str(refusal))) from None
    click.echo(f"{visible(str(folder))} is written: a plugin that works. Its README.md says how to go on.")


@plugins.command()
@click.argument("name")
@click.option("--only", multiple=True, metavar="DRILL", help="This drill alone; may be given several times.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def examine(name: str, only: tuple[str, ...], as_json: bool) -> None:
    """Put the installed service NAME through the examination, offline, against its own stand-in.

    Exits with 1 when it fails a drill.
    """
    found = _look()
    from assay.plugins import NoSuchServiceError

    try:
        service = found.service(name)
    except NoSuchServiceError as error:
        cause = found.broken.get(name)
        there = ", ".join(sorted(found.services))
        words = f"The plugin {name!r} is broken: {cause}" if cause else f"{error} There are {there}."
        raise click.ClickException(visible(words)) from None
    try:
        from assay_sdk.testing import NotOffered
        from assay_sdk.testing import examine as hold
    except ImportError as error:
        raise click.ClickException(f"The examination needs assay-sdk[testing]: {error}.") from None
    try:
        with redirect_stdout(sys.stderr):
            report = hold(service, only=only)
    except (NotOffered, ValueError) as refusal:
        raise click.ClickException(visible(str(refusal))) from None
    click.echo(json.dumps(report.as_json(), indent=2) if as_json else str(report))
    sys.exit(0 if report.passed else 1)
