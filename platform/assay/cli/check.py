"""`assay check`: are these files models, and does what they say of themselves come true?"""

import sys
from pathlib import Path

import click

from assay.cli.score_input import Problems, read_models, visible
from assay.scoring.examples import Check, Outcome, run_examples
from assay.scoring.language.quantities import duration


@click.command()
@click.argument("models", type=click.Path(path_type=Path), nargs=-1, required=True)
def check(models: tuple[Path, ...]) -> None:
    """Check files of MODELS, which may refer to one another, and run their examples."""
    problems = Problems()
    compiled = read_models(models, problems)
    if problems.found:
        problems.stop()
    failed = 0
    for model in compiled:
        outcomes = run_examples(model)
        failed += sum(not outcome.holds for outcome in outcomes)
        come_true = sum(outcome.holds for outcome in outcomes)
        told = f"{come_true} of {len(outcomes)} examples come true" if outcomes else "no examples"
        click.echo(visible(f"{model.name}: {told}"))
        for outcome in outcomes:
            for failure in outcome.failures:
                click.echo(visible(f"  {_failure(outcome, failure)}"))
    sys.exit(1 if failed else 0)


def _failure(outcome: Outcome, failure: Check) -> str:
    at = duration(int(failure.at.total_seconds() * 1_000_000))
    word = failure.word if failure.dimension is None else f"dimension {failure.dimension}"
    return f"{outcome.example}: at {at}, {word}: expected {_shown(failure.expected)}, found {_shown(failure.found)}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)
