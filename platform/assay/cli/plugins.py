import click

from assay.cli.entrance import enter


@click.command()
def plugins() -> None:
    """Lists the installed plugins, and those that could not be loaded."""
    enter("plugins")
    from assay.plugins import installed

    found = installed()
    for name in sorted(found.sources):
        click.echo(f"{name:<16} source")
    for name, reason in sorted(found.broken.items()):
        click.secho(f"{name:<16} broken: {reason}", fg="red")
