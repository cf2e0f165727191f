"""What was acknowledged survives a loss of power at any moment."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random

import pytest

from replication.protocol.revisions import parse_rev
from replication.store.sqlite import SqliteStore
from replication.store.sqlite.doctor import examine
from tests.replication.store.power import LossyDisk
from tests.replication.store.writes import doc


@pytest.mark.parametrize("seed", range(4))
async def test_acknowledged_writes_survive_a_loss_of_power(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    disk = LossyDisk()
    acknowledged: dict[str, str] = {}
    cuts: list[tuple[Path, dict[str, str]]] = []
    try:
        store = await SqliteStore.open(tmp_path / "data")
        db = await store.create("db")

        def maybe_cut() -> None:
            if random.random() < 0.01 and len(cuts) < 12:
                target = tmp_path / f"cut{len(cuts)}"
                known = dict(acknowledged)
                disk.cut(tmp_path / "data", target, random)
                cuts.append((target, known))

        disk.on_write = maybe_cut

        async def worker(number: int) -> None:
            for n in range(60):
                name = f"{number}-{n % 5}"
                old = acknowledged.get(name)
                members = {"_attachments": {"t": {"data": "aGVsbG8="}}} if n % 3 == 0 else {}
                [rev] = await db.write([doc(name, old, n=n, text="x" * random.randrange(3000), **members)])
                assert isinstance(rev, str)
                acknowledged[name] = rev

        await asyncio.gather(*(worker(number) for number in range(4)))
        disk.on_write = None
        await store.close()
    finally:
        disk.unregister()
    assert cuts
    for directory, known in cuts:
        store = await SqliteStore.open(directory)
        db = store.get("db")
        for name, rev in known.items():
            tree = await db.tree(name)
            assert tree is not None, name
            assert parse_rev(rev) in tree, (name, rev)
            found = await db.winner(name)
            assert found is not None
            assert json.loads(found.text)["_rev"] == found.rev
        rows = await db.change_rows(0, 1000)
        assert len({row.id for row in rows}) == len(rows)
        await db.write([doc("after")])
        await store.close()
        assert list(examine(directory)) == []
