"""The command line. One file per command group; heavy imports happen inside the commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from onetake.cli import (
    account,
    budget,
    compare,
    doctor,
    generate,
    jobs,
    models,
    prices,
    report,
    sandbox,
)

app = typer.Typer(
    name="onetake",
    help="Generate video and images through any provider, and pay for each take exactly once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich costs more time than the rest of `--help`
)


def _version(wished: bool) -> None:
    if wished:
        from onetake import __version__

        print(__version__)  # noqa: T201
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Print the version."),
    ] = False,
) -> None:
    """Generate video and images through any provider, and pay for each take exactly once."""


app.command("generate")(generate.generate)
jobs.app.command("bill")(account.bill)
app.add_typer(jobs.app, name="jobs")
app.add_typer(models.app, name="models")
app.command("providers")(models.providers)
app.command("estimate")(prices.estimate)
app.command("compare")(compare.compare)
app.add_typer(prices.app, name="prices")
app.command("report")(report.report)
app.add_typer(budget.app, name="budget")
app.add_typer(sandbox.app, name="sandbox")
app.command("account")(account.account)
app.add_typer(account.app, name="resources")
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the command line."""
    from onetake.cli.output import guarded

    sys.exit(guarded(app))
