"""`kompass replicate`: from one database to another, wherever they are."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompass.cli.errors import UsableError, read_settings
from kompass.cli.place import check_no_copies

if TYPE_CHECKING:
    from replication.replicator import Options, Progress, Result
    from replication.replicator.peer import Peer

INCOMPLETE = 3
"""Exit code for a replication that is done, but for documents that one end refused."""

_SECONDS_BETWEEN_LINES = 1.0


def replicate(
    source: Annotated[str, typer.Argument(help="URL of a database, or with --data the name of one.")],
    target: Annotated[str, typer.Argument(help="The same for where to.")],
    data: Annotated[
        Path | None, typer.Option(help="Directory of the databases given by name; no server may run on it.")
    ] = None,
    continuous: Annotated[
        bool, typer.Option("--continuous", help="Go on with new changes until stopped.")
    ] = False,
    create_target: Annotated[
        bool, typer.Option("--create-target", help="Make the target if it isn't there.")
    ] = False,
    doc_ids: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this document; may be repeated.")
    ] = None,
    selector: Annotated[
        str | None, typer.Option(metavar="JSON", help="Only documents that this Mango selector matches.")
    ] = None,
    filter: Annotated[
        str | None, typer.Option(metavar="DESIGN/NAME", help="Only what this filter of the source lets pass.")
    ] = None,
    query_params: Annotated[
        str | None, typer.Option(metavar="JSON", help="Parameters for the filter, as an object.")
    ] = None,
    since_seq: Annotated[
        str | None, typer.Option(metavar="SEQ", help="Begin behind this change, whatever was done before.")
    ] = None,
    winning_revs_only: Annotated[
        bool, typer.Option("--winning-revs-only", help="Leave conflicts behind.")
    ] = False,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints/--no-checkpoints", help="Remember at both ends how far it got.")
    ] = True,
    batch_size: Annotated[int, typer.Option(min=1, max=10_000, help="Changes looked at together.")] = 1000,
    source_token: Annotated[
        str | None, typer.Option(envvar="KOMPASS_SOURCE_TOKEN", help="Bearer token for the source.")
    ] = None,
    target_token: Annotated[
        str | None, typer.Option(envvar="KOMPASS_TARGET_TOKEN", help="Bearer token for the target.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Tell the outcome as JSON on stdout.")] = False,
) -> None:
    """Replicate a database to another one. Name and password may stand in a URL.

    Ends with code 0 when everything is there, 3 when one end refused documents, 1 when it failed.
    """
    # Imported here: `kompass --help` needn't wait for the replicator.
    from replication.replicator.failures import InvalidReplication
    from replication.replicator.options import parse_options

    members: dict[str, Any] = {
        "continuous": continuous,
        "create_target": create_target,
        "doc_ids": doc_ids or None,
        "filter": filter,
        "selector": _object("--selector", selector),
        "query_params": _object("--query-params", query_params),
        "since_seq": since_seq,
        "use_checkpoints": checkpoints,
        "winning_revs_only": winning_revs_only,
        "worker_batch_size": batch_size,
    }
    try:
        options = parse_options(members)
    except InvalidReplication as error:
        raise UsableError(str(error)) from error
    ends = ((source, source_token), (target, target_token))
    result = asyncio.run(_replicate(ends, data, options, json))
    if result is not None and (result.progress.refused or result.progress.unreadable):
        raise typer.Exit(INCOMPLETE)


def _object(name: str, text: str | None) -> dict[str, Any] | None:
    from replication.protocol import jsontext
    from replication.protocol.errors import ProtocolError

    if text is None:
        return None
    try:
        value = jsontext.decode(text)
    except ProtocolError:
        value = None
    if not isinstance(value, dict):
        raise UsableError(f'{name} must be a JSON object such as \'{{"type": "customer"}}\', not {text!r}')
    return value


async def _replicate(
    ends: tuple[tuple[str, str | None], tuple[str, str | None]],
    data: Path | None,
    options: Options,
    as_json: bool,
) -> Result | None:
    """The outcome; None for a continuous replication that was stopped."""
    from replication.protocol.errors import ProtocolError
    from replication.replicator.failures import ReplicationError
    from replication.replicator.run import Replication, run_for_ever
    from replication.store.sqlite import DirectoryInUseError

    async with AsyncExitStack() as stack:
        show = stack.enter_context(_JsonLines() if as_json else _Bar(options.continuous))
        try:
            source, target = await _open(stack, ends, data, options)
            if options.continuous:
                await _until_stopped(run_for_ever(lambda: Replication(source, target, options, notify=show)))
                return None
            result = await Replication(source, target, options, notify=show).run()
        except (ReplicationError, ProtocolError, DirectoryInUseError) as error:
            raise UsableError(str(error)) from error
    _tell(result, as_json)
    return result


async def _open(
    stack: AsyncExitStack,
    ends: tuple[tuple[str, str | None], tuple[str, str | None]],
    data: Path | None,
    options: Options,
) -> list[Peer]:
    from kompass.cli.acting import act_here
    from kompass.sync.opening import chain_of, extensions, feed_index
    from replication.replicator import LocalPeer, connect
    from replication.replicator.options import parse_endpoint
    from replication.store.sqlite import SqliteStore

    parsed = [
        parse_endpoint({"url": url, "auth": {"bearer": {"token": token}}} if token else url)
        for url, token in ends
    ]
    store = None
    if any(end.is_local for end in parsed):
        if data is None:
            raise UsableError("a database without a URL needs --data, the directory that it is in")
        settings = read_settings(data=data)
        check_no_copies(
            settings.directory, "Name a database by the URL of an API process instead of by --data."
        )
        act_here()
        store = await SqliteStore.open(
            data,
            extensions=extensions(feed_index(), audit=chain_of(data), series=settings.series),
        )
        stack.push_async_callback(store.close)
    peers: list[Peer] = []
    for end in parsed:
        if end.is_local:
            assert store is not None
            peers.append(LocalPeer(store, end.url))
        else:
            peer = connect(end, options)
            stack.push_async_callback(peer.close)
            peers.append(peer)
    return peers


async def _until_stopped(running: Any) -> None:
    """Runs until Ctrl+C or SIGTERM; what was done is checkpointed then."""
    task = asyncio.ensure_future(running)
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl+C cancels all the same
            loop.add_signal_handler(each, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


# -- what is shown -------------------------------------------------------------------------------


class _Shown:
    """Something that shows progress for a while."""

    def __enter__(self) -> Callable[[Progress], None]:
        return self.show

    def __exit__(self, *_: object) -> None:
        return

    def show(self, progress: Progress) -> None:
        raise NotImplementedError


class _JsonLines(_Shown):
    """A line on stderr now and then."""

    def __init__(self) -> None:
        self._next = 0.0

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _SECONDS_BETWEEN_LINES
            typer.echo(_line(_members(progress)), err=True)


class _Bar(_Shown):
    """A bar on the terminal, on stderr; nothing where there is no terminal."""

    def __init__(self, continuous: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        self._columns = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rest]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=not continuous,
        )
        self._task = self._columns.add_task("changes", total=None, rest="")

    def __enter__(self) -> Callable[[Progress], None]:
        self._columns.start()
        return self.show

    def __exit__(self, *_: object) -> None:
        self._columns.stop()

    def show(self, progress: Progress) -> None:
        statistics = progress.statistics
        done = statistics.missing_checked
        rest = f"{statistics.docs_written} written"
        if statistics.doc_write_failures:
            rest += f", {statistics.doc_write_failures} refused"
        total = None if progress.pending is None else done + progress.pending
        self._columns.update(self._task, completed=done, total=total, rest=rest)


def _members(progress: Progress) -> dict[str, Any]:
    return {
        **progress.statistics.members(),
        "pending": progress.pending,
        "through_seq": progress.through_seq,
        "checkpointed_seq": progress.checkpointed_seq,
    }


def _line(value: dict[str, Any]) -> str:
    from replication.protocol import jsontext

    return jsontext.encode(value).decode("utf-8")


def _tell(result: Result, as_json: bool) -> None:
    """The outcome on stdout, and what is wrong with it."""
    progress = result.progress
    if as_json:
        told = {"replication_id": result.id, **result.members()}
        told["refused"] = [each._asdict() for each in progress.refused]
        told["unreadable"] = [each._asdict() for each in progress.unreadable]
        told["warnings"] = progress.warnings
        typer.echo(_line(told))
        return
    statistics = progress.statistics
    if result.no_changes:
        typer.echo("nothing new")
    else:
        typer.echo(f"{statistics.docs_written} revisions written, {statistics.missing_checked} looked at")
    for warning in progress.warnings:
        typer.echo(f"warning: {warning}", err=True)
    for refused in progress.refused:
        told_by = f"{refused.error}, {refused.reason}"
        typer.echo(f"the target refused {refused.id} {refused.rev}: {told_by}", err=True)
    for unreadable in progress.unreadable:
        told_by = unreadable.reason
        typer.echo(f"the source could not give {unreadable.id} {unreadable.rev}: {told_by}", err=True)
    hidden = statistics.doc_write_failures - len(progress.refused)
    if hidden > 0:
        typer.echo(f"and {hidden} more that the target refused", err=True)
