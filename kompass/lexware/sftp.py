"""A server where Lexware fetches files, reached by SFTP: by a key, and only if it is the right one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from kompass.lexware.targets import DRAFTS, TargetError, mark_of, others

if TYPE_CHECKING:
    import asyncssh

SECONDS = 20.0
"""That connecting and logging in may take."""
MOST_SECONDS = 600.0
"""That a file may take."""


class Sftp:
    """A folder there; see `Target`."""

    name = "sftp"

    def __init__(self, url: str, key_file: Path, host_key: str) -> None:
        """`url`: `sftp://NAME@HOST:PORT/FOLDER`. `host_key`: the server's, as `ssh-ed25519 AAAA…`."""
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or 22
        self._login = unquote(parts.username or "")
        self._folder = unquote(parts.path).rstrip("/")
        self._key_file = key_file
        self._host_key = host_key
        self.mark = mark_of(url)

    async def stage(self, draft: str, pieces: Iterable[bytes]) -> None:
        async with self._connected() as server:
            await self._sweep(server, others(draft))
            await self._write(server, draft, pieces)

    async def publish(self, draft: str, name: str, manifest: bytes) -> None:
        async with self._connected() as server:
            if not await server.isdir(self._folder or "/"):
                raise TargetError(f"{self._host} has no folder {self._folder}.")
            if not await server.exists(self._place(draft)):
                return
            if await server.exists(self._place(name)):
                raise TargetError(f"{self._place(name)} is there already, and not of this run.")
            told = f"{name}.manifest.json"
            await self._write(server, f".{told}.part", [manifest])
            if await server.exists(self._place(told)):  # of an attempt that broke off
                await server.remove(self._place(told))
            await server.rename(self._place(f".{told}.part"), self._place(told))
            await server.rename(self._place(draft), self._place(name))

    async def withdraw(self, draft: str, name: str) -> None:
        async with self._connected() as server:
            for one in (draft, *((name, f"{name}.manifest.json") if name else ())):
                if one and await server.exists(self._place(one)):
                    await server.remove(self._place(one))

    async def erase(self, draft: str, name: str) -> bool:
        async with self._connected() as server:
            there = [one for one in (draft, name) if one and await server.exists(self._place(one))]
            await self._sweep(server, DRAFTS)  # of what was killed before anybody knew of it
        await self.withdraw(draft, name)
        return bool(there)

    async def _sweep(self, server: asyncssh.SFTPClient, names: str) -> None:
        for left in await server.listdir(self._folder or "/"):
            if fnmatch(str(left), names):
                await server.remove(self._place(str(left)))

    async def _write(self, server: asyncssh.SFTPClient, name: str, pieces: Iterable[bytes]) -> None:
        import asyncssh

        async with server.open(self._place(name), "wb") as file:
            for piece in pieces:
                await file.write(piece)
            with suppress(asyncssh.SFTPOpUnsupported):  # then it is as durable as that server makes it
                await file.fsync()

    def _place(self, name: str) -> str:
        return f"{self._folder}/{name}"

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncssh.SFTPClient]:
        try:
            import asyncssh
        except ImportError:
            raise TargetError("SFTP needs asyncssh: pip install 'kompass[office]'.") from None
        try:
            known = asyncssh.import_public_key(self._host_key)
            key = await asyncio.to_thread(asyncssh.read_private_key, self._key_file)
            async with (
                asyncio.timeout(MOST_SECONDS),
                asyncssh.connect(
                    self._host, self._port, username=self._login, client_keys=[key],
                    known_hosts=([known], [], []), config=None, agent_path=None,
                    connect_timeout=SECONDS, login_timeout=SECONDS,
                ) as connection,
                connection.start_sftp_client() as server,
            ):  # fmt: skip
                yield server
        except asyncssh.HostKeyNotVerifiable:
            raise TargetError(
                f"{self._host} shows another key than lexware_sftp_host_key: it may be another server."
            ) from None
        except (OSError, TimeoutError, asyncssh.Error, asyncssh.KeyImportError) as error:
            raise TargetError(f"{self._host} can't be reached by SFTP: {_said(error)}.") from None


def _said(error: Exception) -> str:
    return str(error).strip().rstrip(".")[:200] or type(error).__name__
