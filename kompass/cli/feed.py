"""`kompass feed`: keeps search, reports and other copies of the documents up to date; tells how far."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompass.cli.asking import asking
from kompass.cli.errors import UsableError, read_settings
from kompass.cli.options import Child, Data, Followed, Json, Password
from kompass.cli.place import settings_there
from kompass.cli.telling import moment, tell_json

if TYPE_CHECKING:
    from kompass.feed.ledger import DeadLetter, Ledger
    from kompass.settings import Settings

feed = typer.Typer(help="Follow the changes of the documents with search, reports and other copies of them.")
dead = typer.Typer(no_args_is_help=True, help="Documents that a sink could not store.")
feed.add_typer(dead, name="dead")

_Number = Annotated[int, typer.Argument(help="Number of the letter, as `kompass feed dead list` tells it.")]


@feed.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    data: Data = None,
    server: Followed = None,
    child: Child = False,
) -> None:
    """Follow the feed with every sink there is, until stopped.

    `kompass serve` does it by itself beside the server. On another machine it needs the server's feed_secret.
    """
    if context.invoked_subcommand is not None:
        return
    settings = read_settings(data=data)
    if settings.feed_secret is None:
        raise UsableError(
            "the server wouldn't let this process in: give both the same secret, KOMPASS_FEED_SECRET. "
            "(kompass serve on this machine runs kompass feed by itself.)"
        )
    asyncio.run(_run(settings, server or settings.feed_server or f"http://127.0.0.1:{settings.port}", child))


async def _run(settings: Settings, url: str, child: bool) -> None:
    # Imported here: `kompass --help` needn't wait for it.
    from kompass import log
    from kompass.feed.consumer import consume, stop_on_signals
    from kompass.feed.ledger import LedgerError
    from kompass.supervisor import watch_parent

    assert settings.feed_secret is not None
    log.configure(settings.log_level, settings.log_format)
    stop = asyncio.Event()
    stop_on_signals(stop)
    if child:
        loop = asyncio.get_running_loop()
        watch_parent(lambda: loop.call_soon_threadsafe(stop.set))
    try:
        await consume(settings, url=url, secret=settings.feed_secret.get_secret_value(), stop=stop)
    except LedgerError as error:
        raise UsableError(str(error)) from error


@feed.command()
def status(
    data: Data = None,
    server: Annotated[
        str | None, typer.Option(help="A running server that tells it, instead of a directory.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--user", envvar="KOMPASS_USER", help="Who asks it: with ADMIN, or its administrator."),
    ] = None,
    password: Password = None,
    json: Json = False,
) -> None:
    """How far each sink is. Ends with code 3 if one is not up to date, or none runs."""
    if server is None:
        told = status_of(read_settings(data=data))
    elif data is None:
        with asking(server, name, password) as client:
            told = client.get("/feed/status")
    else:
        raise UsableError("ask one of them: --data or --server")
    if json:
        tell_json(told)
    else:
        print_status(told)
    behind = [one for one in told["sinks"] if one["state"] != "following" or one["lag"] > 0]
    if behind or not told["running"]:
        raise typer.Exit(3)


def status_of(settings: Settings) -> dict[str, Any]:
    """What `FeedDesk.status` tells of the directory. Raises `UsableError`."""
    from kompass.feed.desk import FeedDesk
    from kompass.feed.ledger import LedgerError

    with closing(FeedDesk(settings)) as desk:
        try:
            return desk.status()
        except LedgerError as error:
            raise UsableError(str(error)) from error


def print_status(told: dict[str, Any]) -> None:
    """A line for each sink."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.width = max(console.width, 110)
    if not told["running"]:
        console.print("kompass feed does not run.")
    columns = ("sink", "state", "changes behind", "seconds behind", "documents/s", "errors", "dead")
    table = Table(*columns, box=None, padding=(0, 2, 0, 0), header_style="dim")
    for one in told["sinks"]:
        state = str(one["state"])
        if one["rebuild_target"]:
            state += f" {100 * one['rebuild_position'] // max(one['rebuild_target'], 1)} %"
        if one.get("busy"):
            state += f", {one['busy']}"
        figures = (one["lag"], one["lag_seconds"], one["rate"], one["errors"], one["dead"])
        table.add_row(one["sink"], state, *map(str, figures))
    for name, why in told["absent"].items():
        table.add_row(name, f"absent: {why}")
    if table.row_count:
        console.print(table)
    for one in told["sinks"]:
        if one["last_error"] and one["state"] != "following":
            console.print(f"{one['sink']}: {one['last_error']}")


@dead.command("list")
def listed(
    sink: Annotated[str | None, typer.Argument(help="Only those of this sink.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Which documents could not be stored, and why."""
    with _ledger(data) as ledger:
        letters: list[DeadLetter] = []
        while page := ledger.letters(sink, after=letters[-1].num if letters else 0):
            letters += page
    if json:
        from kompass.feed.desk import shown_letter

        tell_json([shown_letter(one) for one in letters])
        return
    for one in letters:
        again = "" if one.due is None else ", is tried again"
        typer.echo(f"{one.num:>6}  {one.sink}  {one.id}  {one.attempts} times{again}  {one.reason}")
    if not letters:
        typer.echo("there are none")


@dead.command()
def show(number: _Number, data: Data = None) -> None:
    """All that is known of one."""
    with _ledger(data) as ledger:
        letter = ledger.letter(number)
    if letter is None:
        raise UsableError(f"there is no letter {number}: it was stored, or dropped")
    for name, value in (
        ("document", letter.id),
        ("revision", letter.rev or "-"),
        ("sink", letter.sink),
        ("reason", letter.reason),
        ("attempts", letter.attempts),
        ("first", moment(letter.first)),
        ("last", moment(letter.last)),
        ("tried again", "no" if letter.due is None else moment(letter.due)),
    ):
        typer.echo(f"{name:<12} {value}")


@dead.command()
def replay(
    number: Annotated[int | None, typer.Argument(help="Number of the letter.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them, or all of --sink.")] = False,
    sink: Annotated[str | None, typer.Option(help="With --all: only those of this sink.")] = None,
    data: Data = None,
) -> None:
    """Try again, with the document as it is now. The running `kompass feed` does it within seconds."""
    if (number is None) != everything:
        raise UsableError("name one letter, or all of them with --all")
    with _ledger(data) as ledger:
        if number is None:
            typer.echo(f"{ledger.replay_all(sink)} are tried again")
        elif not ledger.replay(number):
            raise UsableError(f"there is no letter {number}: it was stored, or dropped")


@dead.command()
def drop(number: _Number, data: Data = None) -> None:
    """Forget one. The sink lacks the document until it changes, or the sink is rebuilt."""
    with _ledger(data) as ledger:
        if not ledger.drop(number):
            raise UsableError(f"there is no letter {number}: it was stored, or dropped")


def rebuild_sink(name: str, data: Path | None, wait: bool) -> None:
    """A new generation beside the old one; readers have the old one until the new one has caught up."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from kompass.feed.leader import is_led
    from kompass.feed.registry import SinkAbsentError, create

    settings = read_settings(data=data)
    try:
        create(name, settings)
    except SinkAbsentError as error:
        raise UsableError(f"{name}: {error}") from error
    with _ledger(data) as ledger:
        ledger.ask_rebuild(name, "somebody asked for it")
        if not is_led(settings.directory):
            typer.echo("kompass feed does not run: it begins with this when it is started")
            return
        if not wait:
            return
        columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=False) as progress:
            task = progress.add_task(name, total=None)
            while ledger.rebuild_asked(name) is not None:
                at = ledger.statuses().get(name)
                if at is not None and at.rebuild_target:
                    progress.update(task, total=at.rebuild_target, completed=at.rebuild_position)
                time.sleep(0.2)
            at = ledger.statuses().get(name)
            done = max(at.target, 1) if at is not None else 1
            progress.update(task, total=done, completed=done)
    typer.echo(f"{name} was rebuilt, and the new generation is read")


@contextmanager
def _ledger(data: Path | None) -> Iterator[Ledger]:
    """The list of a data directory."""
    from kompass.feed.ledger import Ledger, LedgerError

    try:
        ledger = Ledger.of(settings_there(data))
    except LedgerError as error:
        raise UsableError(str(error)) from error
    with closing(ledger):
        yield ledger
