"""`kompass jobs`: what is to be done, was done and could not be; webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompass.cli.errors import UsableError
from kompass.cli.options import Data, Json
from kompass.cli.place import settings_there
from kompass.cli.telling import moment, tell_json

if TYPE_CHECKING:
    from kompass.jobs.desk import JobsDesk
    from kompass.jobs.store import JobStore

jobs = typer.Typer(no_args_is_help=True, help="Reminders, mails and webhooks that follow from changes.")
dead = typer.Typer(no_args_is_help=True, help="Jobs that were given up.")
webhooks = typer.Typer(no_args_is_help=True, help="Who is called when something happens.")
jobs.add_typer(dead, name="dead")
jobs.add_typer(webhooks, name="webhooks")

_Id = Annotated[str, typer.Argument(help="Id of the job, as `kompass jobs list` tells it.")]
_Name = Annotated[str, typer.Argument(help="Name of the webhook.")]


@jobs.command()
def status(data: Data = None, json: Json = False) -> None:
    """How many jobs wait, run, are done and given up. Ends with code 3 if they are not done in time."""
    from kompass.jobs.desk import LATE_SECONDS

    with _desk(data) as desk:
        told = desk.status()
    if json:
        tell_json(told)
    else:
        print_status(told)
    if told["state"] != "following" or told["late_seconds"] > LATE_SECONDS:
        raise typer.Exit(3)


def print_status(told: dict[str, Any]) -> None:
    """A line for each queue."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.width = max(console.width, 110)
    late = f", late by {told['late_seconds']:.0f} seconds" if told["late_seconds"] > 1 else ""
    console.print(f"jobs: {told['state']}{late}" + (f" ({told['why']})" if told["why"] else ""))
    states = ("planned", "queued", "done", "needless", "dead", "dropped")
    table = Table("queue", *states, box=None, padding=(0, 2, 0, 0), header_style="dim")
    for queue, counts in sorted(told["queues"].items()):
        table.add_row(queue, *(str(counts.get(state, 0)) for state in states))
    if table.row_count:
        console.print(table)
    for name, failures in told["webhooks"].items():
        console.print(f"webhook {name}: its receiver has failed {failures} times in a row")


@jobs.command("list")
def listed(
    state: Annotated[str | None, typer.Argument(help="Only those in this state.")] = None,
    trigger: Annotated[str | None, typer.Option(help="Only those of this trigger.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """All jobs that are known, by what happened last."""
    from kompass.jobs.desk import shown
    from kompass.jobs.store import Entry

    with _store(data) as store:
        found: list[Entry] = []
        while page := store.entries(state, trigger=trigger, after=found[-1].change if found else 0):
            found += page
    if json:
        tell_json([shown(one) for one in found])
        return
    for one in found:
        when = moment(one.due if one.state == "planned" else one.changed)
        typer.echo(f"{one.id}  {one.state:<8}  {when}  {one.trigger} {one.action}  {one.doc}  {one.reason}")
    if not found:
        typer.echo("there are none")


@jobs.command()
def show(job: _Id, data: Data = None) -> None:
    """All that is known of one."""
    from kompass.jobs.desk import shown

    with _store(data) as store:
        entry = store.entry(job)
    if entry is None:
        raise UsableError(f"there is no job {job}")
    for name, value in shown(entry).items():
        text = moment(value) if name in ("due", "made", "changed") else value
        typer.echo(f"{name:<10} {text}")


@jobs.command()
def replay(
    job: Annotated[str | None, typer.Argument(help="Id of the job.")] = None,
    everything: Annotated[bool, typer.Option("--dead", help="All that were given up.")] = False,
    trigger: Annotated[str | None, typer.Option(help="With --dead: only those of this trigger.")] = None,
    data: Data = None,
) -> None:
    """Do it once more, now, under the same id."""
    if (job is None) != everything:
        raise UsableError("name one job, or all that were given up with --dead")
    with _store(data) as store:
        if job is None:
            typer.echo(f"{store.replay_dead(trigger)} are tried again")
        elif not store.replay(job):
            raise UsableError(f"there is no job {job}, or a worker has it")


@jobs.command()
def drop(job: _Id, data: Data = None) -> None:
    """Don't do it."""
    with _store(data) as store:
        if not store.drop(job):
            raise UsableError(f"there is no job {job} that waits or was given up")


@dead.command("list")
def dead_list(data: Data = None, json: Json = False) -> None:
    """Which jobs were given up, and why."""
    listed("dead", None, data, json)


@webhooks.command("list")
def webhooks_list(data: Data = None) -> None:
    """Who is called, for what."""
    from kompass.jobs import receivers

    with _store(data) as store:
        found = receivers.webhooks(store)
    for one in found:
        state = "" if one.active else "  (switched off)"
        typer.echo(f"{one.name}  {one.url}  as {one.person}  {', '.join(one.events)}{state}")
    if not found:
        typer.echo("there are none")


@webhooks.command("put")
def webhooks_put(
    name: _Name,
    url: Annotated[str, typer.Argument(help="Where to call.")],
    person: Annotated[str, typer.Option("--as", help="The person as whom it reads.")],
    event: Annotated[list[str], typer.Option(help="An event, as offer.sent; may be given again.")],
    field: Annotated[list[str] | None, typer.Option(help="A field to send along; again, too.")] = None,
    data: Data = None,
) -> None:
    """Make or change one. A new one's secret is printed: the receiver needs it."""
    from kompass.jobs import receivers

    with _desk(data) as desk:
        store = desk.opened()
        before = receivers.webhook(store, name)
        try:
            made = receivers.put(store, name, url, event, field or (), person)
        except receivers.WebhookError as error:
            raise UsableError(str(error)) from error
    if before is None:
        typer.echo(made.secret)


@webhooks.command("remove")
def webhooks_remove(name: _Name, data: Data = None) -> None:
    """Call it no more, and forget its calls."""
    from kompass.jobs import receivers

    with _store(data) as store:
        if not receivers.remove(store, name):
            raise UsableError(f"there is no webhook {name}")


@webhooks.command("history")
def webhooks_history(name: _Name, data: Data = None, json: Json = False) -> None:
    """Its calls, the latest first. `kompass jobs replay JOB` delivers one again."""
    from kompass.jobs import receivers

    with _store(data) as store:
        found = receivers.history(store, name)
    if json:
        tell_json([asdict(one) for one in found])
        return
    for one in found:
        outcome = one.error or "taken"
        typer.echo(f"{moment(one.at)}  {one.job}  attempt {one.attempt}  {one.milliseconds} ms  {outcome}")
    if not found:
        typer.echo("there are none")


@jobs.command()
def events() -> None:
    """The events that webhooks may ask for."""
    from kompass.jobs.catalogue import BY_NAME
    from kompass.jobs.schedules import EVENTS

    for name in sorted((*BY_NAME, *EVENTS)):
        typer.echo(name)


@contextmanager
def _desk(data: Path | None) -> Iterator[JobsDesk]:
    """The jobs of a data directory."""
    from kompass.jobs.desk import JobsDesk
    from kompass.jobs.store import JobStoreError
    from kompass.sqlfile import shared_files

    settings = settings_there(data)
    with closing(JobsDesk(settings.directory, shared=shared_files(settings))) as desk:
        try:
            yield desk
        except JobStoreError as error:
            raise UsableError(str(error)) from error


@contextmanager
def _store(data: Path | None) -> Iterator[JobStore]:
    """Their file."""
    with _desk(data) as desk:
        store = desk.store
        if store is None:
            raise UsableError(f"there were no jobs in {settings_there(data).directory} yet")
        yield store
