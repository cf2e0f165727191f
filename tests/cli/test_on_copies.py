"""What each command does with the copies of a cluster: nothing changes them but what follows the journal."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from kompass.cli.app import app
from kompass.cli.errors import UsableError
from kompass.cluster.files import files_of
from kompass.feed.ledger import Ledger
from kompass.jobs.store import JobStore
from kompass.sync.opening import DATABASE, extensions, feed_index
from tests.cluster.harness import Cluster, cluster
from tests.replication.store.writes import edit
from tests.serving import ADMIN

pytestmark = pytest.mark.slow

SAYS = ("cluster", "in use by another process", "isn't empty")
"""One of these has each refusal in it."""


class Case(NamedTuple):
    """A command with the arguments that it needs besides `--data`."""

    arguments: tuple[str, ...] = ()
    refused: bool = True
    """Whether a process uses the copies or not, and when the settings name the cluster as well."""
    in_cluster: bool = False
    """With the settings of the cluster it works."""


CHANGES = Case()
READS = Case(refused=False)
JOBS = Case(in_cluster=True)
"""The file of jobs, which is a copy as well."""

CASES: Mapping[str, Case] = {
    "doctor": CHANGES,
    "rebuild derived": CHANGES,
    "keycloak sync": CHANGES,
    "privacy replay": CHANGES,
    "replicate": Case(("kompass", "http://127.0.0.1:1/x")),
    "serve": CHANGES,
    "backup": Case(("--repository", "{tmp}/repository", "--key-file", "{tmp}/key")),
    "restore": Case(("--repository", "{tmp}/repository", "--key-file", "{tmp}/key", "--replace")),
    "migrate to-cluster": CHANGES,
    "migrate to-directory": CHANGES,
    "jobs list": JOBS,
    "jobs show": Case(("x",), in_cluster=True),
    "jobs status": JOBS,
    "jobs replay": Case(("x",), in_cluster=True),
    "jobs drop": Case(("x",), in_cluster=True),
    "jobs dead list": JOBS,
    "jobs webhooks list": JOBS,
    "jobs webhooks history": Case(("x",), in_cluster=True),
    "jobs webhooks put": Case(
        ("x", "https://example.com/", "--as", "gf1", "--event", "visit.created"), in_cluster=True
    ),
    "jobs webhooks remove": Case(("x",), in_cluster=True),
    "rebuild jobs": Case(("--no-wait",), in_cluster=True),
    "rebuild readstore": Case(("--no-wait",), refused=False, in_cluster=True),
    "rebuild search": Case(("--no-wait",), refused=False, in_cluster=True),
    "rebuild vectors": Case(("--no-wait",), refused=False, in_cluster=True),
    "feed dead list": JOBS,
    "feed dead show": Case(("1",), in_cluster=True),
    "feed dead drop": Case(("1",), in_cluster=True),
    "feed dead replay": Case(("1",), in_cluster=True),
    "audit export": Case(("--format", "json"), refused=False),
    "audit keys": READS,
    "verify-audit": CHANGES,
    # It changes nothing: it has no keys to verify with.
    "numbers check": READS,
    "numbers list": READS,
    "status": Case(in_cluster=True),
    "feed status": Case(in_cluster=True),
    "readstore login": Case(("gf1",), refused=False),
    "readstore logins": READS,
    "readstore logout": Case(("gf1",), refused=False),
}
"""What is done with copies. Those that follow the journal are tried where a cluster runs."""
FOLLOWING = {"api", "index", "feed", "worker", "upgrade"}
NOWHERE = {
    "init", "explain", "export", "import", "schemas", "jobs events", "keycloak realm", "privacy erase",
    "privacy export", "privacy tickets", "verify-backup", "print", "datev accounts", "datev batches",
    "datev bookings",
    "datev validate", "lexware errors", "lexware export", "lexware import", "lexware reconcile",
    "lexware resolve", "lexware status",
}  # fmt: skip


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    if hasattr(command, "commands"):
        if command.invoke_without_command:
            yield " ".join(path)
        for name, one in command.commands.items():
            yield from _leaves(one, (*path, name))
    else:
        yield " ".join(path)


def test_every_command_is_in_the_table() -> None:
    assert set(_leaves(typer.main.get_command(app))) == CASES.keys() | FOLLOWING | NOWHERE


class World(NamedTuple):
    directory: Path
    cluster: Cluster

    def state(self) -> dict[str, str]:
        """The bytes of all copies, and how far their journals are."""
        member = self.cluster.members[0]
        return {
            **{name: str(head) for name, head in member.catalogue.heads().items()},
            **{
                str(path.relative_to(self.directory)): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in self.directory.rglob("*")
                if path.is_file() and path.suffix in {".sqlite", ".origin", ".json"}
            },
        }


def invoke(world: World, command: str, case: Case, **variables: str) -> tuple[int, str]:
    """Its exit code, and what it said."""
    arguments = [one.format(tmp=world.directory.parent) for one in case.arguments]
    (world.directory.parent / "key").write_text("0" * 64)
    result = CliRunner().invoke(
        app,
        [*command.split(), *arguments, "--data", str(world.directory)],
        env={"KOMPASS_ADMIN": ":".join(ADMIN), "KOMPASS_PORT": "1", **variables},
    )
    if isinstance(result.exception, UsableError):
        return 1, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), (command, result.exception)
    return result.exit_code, result.output


async def test_nothing_changes_copies_behind_their_journal(tmp_path: Path) -> None:
    directory = tmp_path / "api"
    with cluster() as made:
        store = await made.open(directory, extensions=extensions(feed_index()))
        await edit(await store.create(DATABASE), "a")
        shared = files_of(made.dsn)
        for file in (JobStore(directory, shared=shared), Ledger(directory, shared=shared)):
            file.close()
        world = World(directory, made)
        await asyncio.to_thread(tried, world, "running")
        await store.close()
        await asyncio.to_thread(tried, world, "stopped")
        await asyncio.to_thread(tried, world, "named")


def tried(world: World, situation: str) -> None:
    variables = {"KOMPASS_JOURNAL_DSN": world.cluster.dsn} if situation == "named" else {}
    for command, case in CASES.items():
        before = world.state()
        code, told = invoke(world, command, case, **variables)
        where = (situation, command, code, told)
        if case.in_cluster and situation == "named":
            assert "a copy of a cluster" not in told, where
            continue
        if case.refused:
            assert code == 1, where
            assert any(one in told for one in SAYS), where
        assert world.state() == before, where
