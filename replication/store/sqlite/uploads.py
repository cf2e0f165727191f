"""Bytes of attachments: on their way in before their document is written, and on their way out."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterable
from hashlib import md5
from typing import Protocol, TypeVar

from replication.protocol import errors
from replication.protocol.attachments import StagedAttachment
from replication.store.sqlite.blobs import AttachmentTable, chunk_key
from replication.store.sqlite.connections import Connections
from replication.store.sqlite.schema import CHUNK_SIZE
from replication.store.sqlite.transaction import Transaction
from replication.store.values import AttachmentInfo

T = TypeVar("T")


class Submit(Protocol):
    """Runs a job in the next commit."""

    def __call__(self, run: Callable[[Transaction], T]) -> asyncio.Future[T]: ...


class Uploads:
    def __init__(self, connections: Connections, submit: Submit) -> None:
        self._connections = connections
        self._submit = submit
        self.waiting: set[int] = set()
        """Attachments that are being uploaded or wait for their document."""

    async def read(self, info: AttachmentInfo, start: int, end: int | None) -> AsyncIterator[bytes]:
        """The stored bytes from `start` to before `end`, in pieces. Raises if they are removed meanwhile."""
        end = info.stored_length if end is None else min(end, info.stored_length)
        while start < end:
            position, offset = divmod(start, CHUNK_SIZE)
            with self._connections.reader() as connection:
                data = connection.execute(
                    "SELECT data FROM chunks WHERE num = ?", (chunk_key(info.handle, position),)
                ).get
            if data is None:
                raise errors.internal(f"Attachment '{info.name}' was removed while being read")
            piece = bytes(data[offset : offset + end - start])
            if not piece:
                raise errors.internal(f"Attachment '{info.name}' is shorter than recorded")
            yield piece
            start += len(piece)

    async def stage(
        self, chunks: AsyncIterator[bytes], content_type: str, encoding: str | None
    ) -> StagedAttachment:
        """Stores the bytes; if they end in an error, nothing of them stays."""

        def reserve(transaction: Transaction) -> int:
            num = AttachmentTable(transaction.connection).reserve()
            self.waiting.add(num)
            return num

        num = await self._write(reserve)
        digest = md5(usedforsecurity=False)
        size = position = 0
        buffer = bytearray()
        try:
            async for piece in chunks:
                digest.update(piece)
                size += len(piece)
                buffer += piece
                while len(buffer) >= CHUNK_SIZE:
                    await self._add_chunk(num, position, bytes(buffer[:CHUNK_SIZE]))
                    del buffer[:CHUNK_SIZE]
                    position += 1
            if buffer:
                await self._add_chunk(num, position, bytes(buffer))
            text = "md5-" + b64encode(digest.digest()).decode("ascii")

            def complete(transaction: Transaction) -> None:
                AttachmentTable(transaction.connection).complete(num, text, size, size, encoding)

            await self._write(complete)
        except BaseException:
            self.waiting.discard(num)
            self._submit(lambda transaction: AttachmentTable(transaction.connection).remove(num))
            raise
        return StagedAttachment(num, content_type, text, size, size, encoding)

    async def discard(self, tokens: Iterable[int]) -> None:
        """Removes what no document has taken up."""
        given = list(tokens)

        def run(transaction: Transaction) -> None:
            table = AttachmentTable(transaction.connection)
            for token in given:
                if not table.is_referred(token):
                    table.remove(token)

        self.waiting.difference_update(given)
        await self._write(run)

    async def _write(self, run: Callable[[Transaction], T]) -> T:
        return await asyncio.shield(self._submit(run))

    async def _add_chunk(self, num: int, position: int, data: bytes) -> None:
        await self._write(
            lambda transaction: AttachmentTable(transaction.connection).add_chunk(num, position, data)
        )
