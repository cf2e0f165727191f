"""A TCP port that leads to another one, and what can go wrong on the way."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum


class Wrong(Enum):
    """What becomes of a request."""

    RESET = "reset before it reaches the server"
    LOST = "reset when the server answers"
    TRUNCATED = "closed in the middle of the answer"
    SILENT = "swallowed: the connection stays open"
    MUTE = "done, and the answer is swallowed: the connection stays open"
    LATE = "delayed"
    ANSWERED = "answered by somebody in between"


@dataclass
class Fault:
    wrong: Wrong
    where: bytes = b""
    """In what the request begins with."""
    times: int = 1
    """How many of them; a negative number: all."""
    answer: bytes = b""
    """Of `ANSWERED`."""
    passed: int = 0
    """Bytes of the answer that `TRUNCATED` lets through."""
    seconds: float = 0.0
    """Of `LATE`."""
    within: int = 4096
    """Bytes of the beginning."""


def answer(status: int, *headers: str) -> bytes:
    """An answer of somebody in between, who closes the connection."""
    body = b"<html>bad day</html>"
    lines = [
        f"HTTP/1.1 {status} Bad Day",
        "Connection: close",
        f"Content-Length: {len(body)}",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


class Relay:
    """Can be closed and opened again, and does to requests what its faults say."""

    def __init__(self, to: int | str) -> None:
        """`to`: a port, or the path of a socket."""
        self._to = to
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.port = 0
        self.faults: list[Fault] = []
        self.gone_wrong = asyncio.Event()
        """Set when a fault has been at work."""
        self.thawed = asyncio.Event()
        """While it isn't set nothing passes, and no connection ends: as with a machine that is gone."""
        self.thawed.set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self.cut()
        await self._server.wait_closed()

    async def cut(self) -> None:
        """Breaks all connections; new ones are taken."""
        cut = list(self._open)
        for one in cut:
            one.cancel()
        await asyncio.gather(*cut, return_exceptions=True)

    def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._relayed(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _relayed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self._to, str):
            beyond, there = await asyncio.open_unix_connection(self._to)
        else:
            beyond, there = await asyncio.open_connection("127.0.0.1", self._to)
        way = _Way(self, reader, writer, beyond, there)
        try:
            await asyncio.gather(way.asked(), way.answered())
        except (_Ended, OSError):
            pass
        finally:
            writer.transport.abort()
            there.transport.abort()

    def take(self, data: bytes) -> Fault | None:
        """What is to go wrong with a request that begins so."""
        for fault in self.faults:
            if fault.times and fault.where in data[: fault.within]:
                fault.times -= 1
                self.gone_wrong.set()
                return fault
        return None


class _Ended(Exception):
    """This connection has been broken on purpose."""


class _Way:
    """One connection."""

    def __init__(
        self,
        relay: Relay,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        beyond: asyncio.StreamReader,
        there: asyncio.StreamWriter,
    ) -> None:
        self._relay = relay
        self._reader, self._writer = reader, writer
        self._beyond, self._there = beyond, there
        self._left: int | None = None
        """Bytes of answers that still pass."""
        self._reset = False
        self._mute = False

    async def asked(self) -> None:
        while data := await self._reader.read(65536):
            await self._relay.thawed.wait()
            fault = self._relay.take(data)
            match fault.wrong if fault else None:
                case Wrong.RESET:
                    self._abort()
                case Wrong.LOST:
                    self._left, self._reset = 0, True
                case Wrong.TRUNCATED:
                    assert fault is not None
                    self._left = fault.passed
                case Wrong.SILENT:
                    await asyncio.Event().wait()
                case Wrong.MUTE:
                    self._mute = True
                case Wrong.LATE:
                    assert fault is not None
                    await asyncio.sleep(fault.seconds)
                case Wrong.ANSWERED:
                    assert fault is not None
                    self._writer.write(fault.answer)
                    await self._writer.drain()
                    self._writer.close()
                    raise _Ended
            self._there.write(data)
            await self._there.drain()
        with suppress(OSError):
            self._there.close()

    async def answered(self) -> None:
        while data := await self._beyond.read(65536):
            await self._relay.thawed.wait()
            if self._mute:
                continue
            if self._left is not None:
                data, over = data[: self._left], len(data) > self._left
                self._left -= len(data)
                if over:
                    if self._reset:
                        self._abort()
                    self._writer.write(data)
                    await self._writer.drain()
                    self._writer.close()
                    await self._writer.wait_closed()
                    raise _Ended
            self._writer.write(data)
            await self._writer.drain()
        self._writer.close()

    def _abort(self) -> None:
        """Ends the connection with a reset."""
        inner: socket.socket = self._writer.get_extra_info("socket")
        inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        raise _Ended
