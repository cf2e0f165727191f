"""`kompass numbers`: every number of every series, and whether one is missing without a reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from kompass.cli.errors import UsableError, read_settings
from kompass.cli.options import Data
from kompass.cli.place import database_file
from kompass.settings import Settings

if TYPE_CHECKING:
    from replication.store.sqlite import Reading

numbers = typer.Typer(no_args_is_help=True, help="Numbers of documents: list them, or look for gaps.")


@numbers.command("list")
def list_numbers(
    data: Data = None,
    series: Annotated[
        str | None, typer.Option(help="`offer`, `contract`, `customer`, …; all if none is named.")
    ] = None,
) -> None:
    """Every number that was given, its document, and what became of it, while the server runs or not.

    Tab-separated: number, series, document, state, reason, when it was given.
    """
    from kompass.business import numbers as register

    settings = read_settings(data=data)
    known = [one.name for one in settings.series.series]
    if series is not None and series not in known:
        raise UsableError(f"there is no series {series}; there are {', '.join(known)}")
    with _reading(settings) as reading:
        after = ""
        while page := register.listed(reading, series=series, after=after):
            for one in page:
                after = one.number
                given = one.given.isoformat(timespec="seconds")
                typer.echo(f"{one.number}\t{one.series}\t{one.doc}\t{one.state}\t{one.reason or ''}\t{given}")
        for gap in register.skipped(reading):
            if series is None or gap.series == series:
                pattern = settings.series.named(gap.series).pattern
                first, last = (pattern.number(gap.prefix, value) for value in (gap.first, gap.last))
                why = "lost by a restore" if gap.doc == register.RESTORED else "by an import"
                typer.echo(f"{first} to {last}\t{gap.series}\t{gap.doc}\tskipped\t{why}")


@numbers.command()
def check(data: Data = None) -> None:
    """Look for numbers that are missing without a reason, or that two documents have: then it ends with 1."""
    from kompass.business import numbers as register

    settings = read_settings(data=data)
    with _reading(settings) as reading:
        count = sum(last for _, last in register.counters(reading).values())
        wrong = [str(one) for one in register.problems(reading, settings.series)]
    for one in wrong:
        typer.echo(one)
    if wrong:
        raise typer.Exit(1)
    typer.echo(f"{count} numbers, none is missing without a reason")


@contextmanager
def _reading(settings: Settings) -> Iterator[Reading]:
    """The database as it is now, also while a server writes it."""
    from kompass.audit.inspecting import opened
    from replication.protocol.sequences import Epochs
    from replication.store.sqlite import Reading

    file = database_file(settings.directory)
    with opened(file) as connection:
        if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'business_numbers'").get is None:
            raise UsableError(f"{file} has no numbers yet: start the server once.")
        yield Reading(connection, Epochs(()))
