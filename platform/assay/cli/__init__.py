"""The command line. Each command is imported when it is called: `score` never loads Flask, `run` never Polars."""

from importlib import import_module

import click

from assay.places import EmbeddedError
from assay.settings import BadSetting

COMMANDS = {
    "run": "Everything on this machine: database, queue, web, workers, demonstration.",
    "serve": "The web server alone.",
    "worker": "One worker for one queue.",
    "timetable": "Starts what is due by the clock.",
    "migrate": "Brings the database to this version's tables.",
    "rescore": "Scores all leads of a tenant anew.",
    "score": "Scores a file of leads by a model file, without any server.",
    "check": "Checks model files and runs their examples, without any server.",
    "models": "Brings a folder of model files to a server.",
    "import": "Brings a file of leads or events to a server.",
    "operator": "Opens a tenant's pages to an operator, for a reason and some minutes; checks audit logs.",
    "people": "Helps persons who are locked out: takes their second factors away.",
    "plan": "Which plan a tenant is on, and which there are.",
    "plugins": "Lists the installed plugins; writes and examines new ones.",
    "simulators": "Stand-ins of the vendors that plugins speak with, for trying things out.",
    "demo": "Makes the demonstration tenant and sends its traffic.",
    "doctor": "Says what is configured, reachable and wrong.",
}
#: Commands whose names are words of Python's own.
MODULES = {"import": "imports"}


class Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = MODULES.get(cmd_name, cmd_name)
        command: click.Command = getattr(import_module(f"assay.cli.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (BadSetting, EmbeddedError) as refusal:
            raise click.ClickException(str(refusal)) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="assay")
def main() -> None:
    """Assay finds out how much gold is in a company's leads."""
