"""`./scripts/bench engine|access|feed|cluster|…`: figures as tables; `./scripts/bench --help` lists all."""

from __future__ import annotations

import datetime
import os
import platform
import re
from pathlib import Path
from typing import Annotated

import typer

from bench import (
    access,
    audit,
    backup,
    books,
    cluster,
    engine,
    export,
    feed,
    imports,
    jobs,
    lexware,
    models,
    readstore,
    replication,
    rest,
    search,
)
from bench.servers import ROOT
from kompass.settings_values import DemoSize

app = typer.Typer(add_completion=False, no_args_is_help=True)

Peer = Annotated[
    str | None,
    typer.Option(envvar="KOMPASS_BENCH_COUCHDB_URL", help="CouchDB to compare with; else pouchdb-server"),
]
Documents = Annotated[int, typer.Option(help="documents in the database; a multiple of 1,000")]
Rounds = Annotated[int, typer.Option(help="rounds of each operation")]


@app.callback()
def main() -> None:
    """Benchmarks. Times vary from machine to machine: read the ratios."""


@app.command("engine")
def run_engine(
    peer: Peer = None,
    documents: Documents = 20_000,
    rounds: Rounds = 3,
    feeds: Annotated[int, typer.Option(help="idle longpoll feeds")] = 1000,
    footprint: Annotated[bool, typer.Option(help="also measure memory and growth (minutes)")] = True,
    readme: Annotated[bool, typer.Option(help="write the table into README.md")] = False,
) -> None:
    """What replication does: bulk writes and reads, feeds, single requests; memory and idle feeds."""
    if readme and not peer:
        raise typer.BadParameter(
            "the README's figures are beside CouchDB: name it by --peer", param_hint="--readme"
        )
    rows = engine.compare(documents, rounds, peer)
    if footprint:
        engine.footprint(documents, feeds)
    if readme:
        _write_readme(engine.table(rows))


@app.command("replication")
def run_replication(
    peer: Peer = None,
    documents: Documents = 20_000,
    rounds: Rounds = 3,
) -> None:
    """Building a view, and replicating between two servers; memory on the way."""
    rows, memory = replication.compare(documents, rounds, peer)
    print(engine.table(rows))
    print(f"our largest server with its workers: {memory:.0f} MB")


@app.command("access")
def run_access(
    peer: Annotated[
        str | None,
        typer.Option(envvar="KOMPASS_BENCH_COUCHDB_URL", help="CouchDB to compare with"),
    ] = None,
    documents: Documents = 20_000,
    rounds: Rounds = 3,
    devices: Annotated[int, typer.Option(help="live devices, each of a person of his own")] = 1000,
    seconds: Annotated[int, typer.Option(help="how long they are written to, 50 times a second")] = 10,
    growth: Annotated[bool, typer.Option(help="also ten times the documents (minutes)")] = True,
) -> None:
    """Feeds of single people beside a filter, pushes through the gate, live devices, decisions."""
    access.run(documents, rounds, peer, devices, seconds, growth=growth)


@app.command("cluster")
def run_cluster(
    couchdb: Annotated[
        str,
        typer.Option(envvar="KOMPASS_BENCH_COUCHDB_URL", help="CouchDB with an administrator's login"),
    ],
    rounds: Rounds = 3,
) -> None:
    """API processes over a journal, with documents in a CouchDB, beside that CouchDB alone."""
    cluster.run(couchdb, rounds)


@app.command("backup")
def run_backup(
    couchdb: Annotated[
        str,
        typer.Option(envvar="KOMPASS_BENCH_COUCHDB_URL", help="CouchDB with an administrator's login"),
    ],
    rounds: Rounds = 3,
) -> None:
    """Backups of a running cluster, and what they cost its writers."""
    backup.run(couchdb, rounds)


@app.command("rest")
def run_rest(
    customers: Annotated[int, typer.Option(help="customers there are")] = 50_000,
    seconds: Annotated[float, typer.Option(help="seconds of each way of asking")] = 30,
    rounds: Annotated[int, typer.Option(help="questions of each kind that are asked alone")] = 50,
) -> None:
    """Lists of 50 customers over REST: 50 people of all roles at once."""
    rest.run(customers, seconds, rounds)


@app.command("export")
def run_export(
    rows: Annotated[int, typer.Option(help="contracts that are exported")] = 100_000,
    form: Annotated[list[str] | None, typer.Option("--format", help="only these")] = None,
) -> None:
    """Lists as files, over REST and by the command line: time, and the server's memory."""
    export.run(rows, tuple(form or export.FORMS))


@app.command("import")
def run_import(
    rows: Annotated[int, typer.Option(help="customers that are imported")] = 10_000,
) -> None:
    """Tables of customers: reading, dry run, import, updates, undoing: time, and memory."""
    imports.run(rows)


@app.command("books")
def run_books(
    invoices: Annotated[int, typer.Option(help="invoices of a year")] = 10_000,
) -> None:
    """Files for DATEV and for a tax audit: time, and the server's memory."""
    books.run(invoices)


@app.command("lexware")
def run_lexware(
    rows: Annotated[int, typer.Option(help="invoices, and payments for them")] = 10_000,
) -> None:
    """Files from Lexware over REST: invoices mirrored, payments matched and written."""
    lexware.run(rows)


@app.command("feed")
def run_feed(
    documents: Annotated[int, typer.Option(help="documents that the sinks are built from")] = 20_000,
    seconds: Annotated[float, typer.Option(help="how long single documents are written")] = 20,
    rate: Annotated[int, typer.Option(help="how many a second")] = 100,
    away: Annotated[float, typer.Option(help="how long one sink is away; 0 for not at all")] = 10,
) -> None:
    """Copies of the documents: how soon a write is in them, how fast they are built and catch up."""
    feed.run(documents, seconds, rate, away)


@app.command("jobs")
def run_jobs(
    size: Annotated[DemoSize, typer.Option(help="demo data that is there")] = DemoSize.MEDIUM,
    seconds: Annotated[float, typer.Option(help="how long single documents are written")] = 20,
    rate: Annotated[int, typer.Option(help="how many a second")] = 100,
) -> None:
    """Everything together: how soon after a write a webhook is called, and what memory all of it takes."""
    jobs.run(size, seconds, rate)


@app.command("models")
def run_models() -> None:
    """What judging the shape of a document costs."""
    models.run()


@app.command("audit")
def run_audit(
    rounds: Annotated[int, typer.Option(help="batches of 1,000 new documents, and as many of edits")] = 10,
) -> None:
    """What the chain of writes costs a push."""
    audit.run(rounds)


@app.command("search")
def run_search(
    size: Annotated[DemoSize, typer.Option(help="of the demo that is searched")] = DemoSize.LARGE,
    rounds: Annotated[int, typer.Option(help="rounds of all questions")] = 3,
) -> None:
    """Full text: building the index, and how long questions take."""
    search.run(size, rounds)


@app.command("readstore")
def run_readstore(
    size: Annotated[DemoSize, typer.Option(help="of the generated data")] = DemoSize.LARGE,
) -> None:
    """What the PostgreSQL of the read store takes in, and how long its reports take."""
    readstore.run(size)


def _write_readme(table: str) -> None:
    path = ROOT / "README.md"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    caption = (
        f"Measured {datetime.datetime.now(datetime.UTC):%Y-%m-%d} on {os.cpu_count()} cores, {memory:.0f} GB,"
        f" Python {platform.python_version()}."
    )
    block = f"<!-- bench:engine -->\n{caption}\n\n{table}\n<!-- /bench -->"
    text = path.read_text("utf-8")
    new = re.sub(r"<!-- bench:engine -->.*?<!-- /bench -->", lambda _: block, text, flags=re.DOTALL)
    Path(path).write_text(new, "utf-8")


if __name__ == "__main__":
    app()
