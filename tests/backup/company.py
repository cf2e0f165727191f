"""A small company's directory with something of everything in it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import apsw
import orjson
from typer.testing import CliRunner, Result

from kompass.audit.checkpoints import Signer
from kompass.audit.signing import SigningKeys
from kompass.cli.app import app
from kompass.sync.personal.local import LocalNotes
from kompass.texts import TextFile
from replication.store.sqlite.store import SUFFIX
from tests.sync.gate_world import World, customer, customer_body, new

KEY = "korrekt pferd batterie"


def run(*args: object) -> Result:
    """`kompass …` in this process."""
    return CliRunner().invoke(app, [str(one) for one in args])


class Company:
    """Its directory, and a repository beside it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.data = place / "data"
        self.anchor = place / "anchor"
        (place / "key").write_text(KEY)
        self.where = ("--repository", place / "repository", "--key-file", place / "key")

    async def open(self, data: Path | None = None) -> World:
        directory = data or self.data
        directory.mkdir(exist_ok=True)
        signer = Signer(SigningKeys(TextFile(directory / "audit-keys.json")), anchor=self.anchor)
        return await World.open(directory, signer=signer, follows=True)

    def fill(self) -> None:
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        world = await self.open()
        for number in range(5):
            await world.has_customer(number)
        await world.put(customer(1), customer_body(phone="1"))
        await world.put(customer(4), None)
        above = await world.path(customer(2))
        body = await world.live(customer(2))
        mine = new({**body, "phone": "2", "version": 9}, above)
        theirs = new({**body, "phone": "3", "version": 9}, above)
        photo = new(body, above, photo=b"\0" * 300_000)
        for version in (mine, theirs, photo):
            assert await world.push("adm1", (customer(2), version)) == [""]
        # What adm2 may not write lies in quarantine.
        assert await world.push("adm2", (customer(3), new(customer_body("adm2")))) != [""]
        await world.database.put_local("settings", 0, b'{"theme":"dark"}')
        await world.database.put_local("checkpoint", 0, CHECKPOINT)
        notes = LocalNotes(world.database)
        await notes.put("adm1", "checkpoint", 0, CHECKPOINT)
        await notes.put("adm1", "notes", 0, b'{"session_id":"mine"}')
        await world.transact(world.audit.checkpoint)
        await world.close()

    def change(self, number: int = 10) -> None:
        """A later state: one more customer, and the chain is signed."""

        async def run() -> None:
            world = await self.open()
            await world.has_customer(number)
            await world.transact(world.audit.checkpoint)
            await world.close()

        asyncio.run(run())

    def backup(self, *options: object) -> dict[str, Any]:
        told = run("backup", "--data", self.data, *self.where, "--json", *options)
        assert told.exit_code == 0, (told.output, told.exception)
        value: dict[str, Any] = orjson.loads(told.stdout)
        return value

    def restore(self, into: Path, *options: object) -> Result:
        return run("restore", "--data", into, *self.where, *options)


CHECKPOINT = orjson.dumps(
    {
        "session_id": "b",
        "history": [{"session_id": "b", "last_seq": 7}, {"session_id": "a", "last_seq": 3}],
        "version": 1,
        "last_seq": 7,
    }
)

CHANGED = {("kompass.sqlite", name) for name in ("local", "personal_local", "meta")}
"""What differs after a restore, beside epochs: checkpoints, and the note for the chain."""


def tables(directory: Path) -> dict[tuple[str, str], list[Any]]:
    """Every row of every database: (file, table) -> rows in order."""
    found = {}
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        connection = apsw.Connection(str(path))
        names: Any = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (name,) in names:
            found[path.name, name] = sorted(
                connection.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr
            )
        connection.close()
    return found
