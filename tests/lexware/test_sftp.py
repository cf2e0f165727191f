"""Files by SFTP, to a real server: known by its key, fetched whole, tried again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import pytest_asyncio

from kompass.lexware import delivering, runs
from kompass.lexware.exporting import Wish
from kompass.lexware.runs import Kind, State
from kompass.lexware.sftp import Sftp
from kompass.lexware.targets import TargetError
from kompass.server import Product
from tests.lexware.world import exchange

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


class Remote:
    """An SSH server that shows a folder to whoever has the key."""

    def __init__(self, directory: Path) -> None:
        self.folder = directory / "remote"
        self.folder.mkdir()
        self.key_file = directory / "id_lexware"
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(self.key_file)
        self._allowed = directory / "authorized_keys"
        key.write_public_key(self._allowed)
        self._host = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = self._host.export_public_key().decode().strip()
        self.port = 0

    async def listen(self) -> asyncssh.SSHAcceptor:
        root = bytes(self.folder.parent)
        server = await asyncssh.listen(
            "127.0.0.1", self.port, server_host_keys=[self._host],
            authorized_client_keys=str(self._allowed),
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=root),
        )  # fmt: skip
        self.port = server.get_port()
        return server

    def target(self, host_key: str = "") -> Sftp:
        url = f"sftp://lexware@127.0.0.1:{self.port}/remote"
        return Sftp(url, self.key_file, host_key or self.host_key)


@pytest_asyncio.fixture(loop_scope="module")
async def remote(tmp_path: Path) -> AsyncIterator[Remote]:
    one = Remote(tmp_path)
    server = await one.listen()
    yield one
    server.close()
    await server.wait_closed()


async def test_a_file_arrives_whole_with_its_manifest(
    product: Product, tmp_path: Path, remote: Remote
) -> None:
    settings = {
        "lexware_sftp": f"sftp://lexware@127.0.0.1:{remote.port}/remote",
        "lexware_sftp_key_file": remote.key_file,
        "lexware_sftp_host_key": remote.host_key,
    }
    one = exchange(product, tmp_path, **settings)
    run, _ = await one.export(Wish(Kind.CONTRACTS, "buch1"))
    assert (run.state, run.target) == (State.DELIVERED, "sftp")
    assert {file.name for file in remote.folder.iterdir()} == {run.file, f"{run.file}.manifest.json"}
    assert (remote.folder / run.file).read_bytes() == b"".join(runs.pieces(one.opened(), run.num))
    one.close()


async def test_a_draft_that_is_gone_was_fetched(remote: Remote) -> None:
    target = remote.target()
    await target.stage(".draft", [b"one", b"two"])
    await target.publish(".draft", "file.csv", b"{}")
    assert (remote.folder / "file.csv").read_bytes() == b"onetwo"
    (remote.folder / "file.csv").unlink()
    await target.publish(".draft", "file.csv", b"{}")
    assert not (remote.folder / "file.csv").exists()
    await target.stage(".draft", [b"x"])
    (remote.folder / "file.csv").write_bytes(b"somebody else's")
    with pytest.raises(TargetError, match="not of this run"):
        await target.publish(".draft", "file.csv", b"{}")
    await target.withdraw(".draft", "")
    assert sorted(file.name for file in remote.folder.iterdir()) == ["file.csv", "file.csv.manifest.json"]


async def test_another_server_gets_nothing(remote: Remote) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    with pytest.raises(TargetError, match="shows another key"):
        await remote.target(other).stage(".draft", [b"secret"])
    assert list(remote.folder.iterdir()) == []


async def test_a_server_that_dies_amid_a_file_gets_it_whole_the_next_time(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = Remote(tmp_path)
    server = await remote.listen()
    one = exchange(product, tmp_path)
    one.target = remote.target()
    real = asyncssh.SFTPServer.write
    deaths = iter(["once", "twice"])

    def dying(self: asyncssh.SFTPServer, file: object, offset: int, data: bytes) -> Any:
        if not data.startswith(b"{") and next(deaths, None):
            self.channel.get_connection().abort()
            return real(self, file, offset, data[:10])
        return real(self, file, offset, data)

    async def sleep(_: float) -> None:
        pass

    with monkeypatch.context() as patch:
        patch.setattr(delivering, "pause", sleep)
        patch.setattr(asyncssh.SFTPServer, "write", dying)
        run, _ = await one.export(Wish(Kind.CONTRACTS, "buch1"))
    assert (run.state, run.attempts) == (State.DELIVERED, 2)
    assert sorted(file.name for file in remote.folder.iterdir()) == [run.file, f"{run.file}.manifest.json"]
    assert (remote.folder / run.file).read_bytes() == b"".join(runs.pieces(one.opened(), run.num))
    server.close()
    await server.wait_closed()
    one.close()


async def test_a_folder_that_is_gone_is_no_folder_that_was_fetched(remote: Remote) -> None:
    target = remote.target()
    await target.stage(".draft.x.part", [b"one"])
    remote.folder.rename(remote.folder.with_name("away"))
    with pytest.raises(TargetError, match="has no folder"):
        await target.publish(".draft.x.part", "file.csv", b"{}")


async def test_a_server_that_is_away_is_tried_again(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = Remote(tmp_path)
    server = await remote.listen()
    server.close()
    await server.wait_closed()
    one = exchange(product, tmp_path)
    one.target = remote.target()
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    with monkeypatch.context() as patch:
        patch.setattr(delivering, "pause", sleep)
        run, _ = await one.export(Wish(Kind.CONTRACTS, "buch1"))
    assert (run.state, run.attempts, waited) == (State.PREPARED, 5, [1.0, 2.0, 4.0, 8.0])
    assert "can't be reached by SFTP" in run.error
    back = await remote.listen()
    try:
        assert await one.deliver() == []
    finally:
        back.close()
        await back.wait_closed()
    assert (remote.folder / run.file).exists()
    one.close()
