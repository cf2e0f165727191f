"""A server comes back from a backup as a cluster, in a new epoch: devices read the list of changes again, and
no document.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import apsw
import pytest

from replication.replicator import LocalPeer, connect, replicate
from replication.replicator.checkpoints import Statistics
from replication.store.sqlite import SqliteStore
from replication.store.sqlite.restored import come_back, drop_checkpoints
from tests.cluster import over
from tests.in_process import serving
from tests.sync.personal.world import DATABASE, PASSWORD, Side, World

pytestmark = [pytest.mark.slow, pytest.mark.alone("makes a cluster of its own")]
DOCUMENTS = 40


async def pulled(url: str, device: SqliteStore) -> Statistics:
    """What it takes a device to get everything that is Ada's."""
    peer = connect(f"{url.replace('//', f'//ada:{PASSWORD}@')}/{DATABASE}")
    result = await replicate(peer, LocalPeer(device, DATABASE))
    await peer.close()
    return result.progress.statistics


async def test_devices_read_the_list_again_and_no_document(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    device = await SqliteStore.open(tmp_path / "device")
    await device.create(DATABASE)
    async with AsyncExitStack() as stack:
        world = await World.open(directory, stack)
        for number in range(DOCUMENTS):
            await world.put(f"d{number}", readers=["ada"], n=number)
        async with serving(world.app) as url:
            assert (await pulled(url, device)).docs_read == DOCUMENTS
            assert (await pulled(url, device)).missing_checked == 0
    connection = apsw.Connection(str(directory / f"{DATABASE}.sqlite"))
    come_back(connection)
    drop_checkpoints(connection, "personal_local")
    connection.close()
    async with AsyncExitStack() as stack:
        cluster = await over.cluster_of(directory)
        sides = []
        for _ in range(1 + over.APIS):
            process = await cluster.join()
            stack.push_async_callback(cluster.leave, process)
            sides.append(await Side.open(process.directory, process.open_store, [], stack))
        app = over.Balanced.of([side.app for side in sides[1:]], sides[0].store)
        async with serving(app) as url:
            again = await pulled(url, device)
            assert (again.missing_checked, again.missing_found) == (DOCUMENTS, 0)
            assert again.docs_read == 0
            assert (await pulled(url, device)).missing_checked == 0, "and only once"
        world = World(app, sides[0].app.server, sides[0].store, sides[0].index, [], stack, {})
        await world.put("d0", readers=["ada"], n=-1)
        async with serving(app) as url:
            assert (await pulled(url, device)).docs_read == 1
    await device.close()
