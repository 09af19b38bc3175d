import click

from assay import logs
from assay.embedded import completed
from assay.settings import Settings


@click.command()
def doctor() -> None:
    """Says what is configured, reachable and wrong, with what to do about it. Exit code 1 when something is wrong."""
    given = Settings.from_environ()
    settings = completed(given)
    # Its findings are its words; what the libraries log would only repeat them.
    logs.configure("ERROR", process="doctor")
    from assay.cli.checks import CHECKS

    click.secho("Settings", bold=True)
    for row, original in zip(settings.rows(), given.rows(), strict=True):
        source = "set" if original.is_set else "embedded" if row.is_set else "default"
        click.echo(f"  {row.variable:<30} {row.value or '-'}  ({source})")
        click.secho(f"  {'':<30} {row.help}", dim=True)
    click.secho("\nFindings", bold=True)
    wrong = 0
    for check in CHECKS:
        for finding in check(settings):
            wrong += bool(finding.remedy)
            mark = click.style("✗", fg="red") if finding.remedy else click.style("✓", fg="green")
            click.echo(f"  {mark} {finding.what:<20} {finding.found}")
            if finding.remedy:
                click.echo(f"    {'':<20} → {finding.remedy}")
    if wrong:
        raise click.ClickException(f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong.")
    click.echo("\nAll is well.")
