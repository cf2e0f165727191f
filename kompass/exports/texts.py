"""Files that are texts, and can be sent while they are written: CSV, JSON, JSON line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kompass.accounting.cells import Value
from kompass.accounting.profiles import Profile
from kompass.accounting.writing import Writer
from kompass.exports.encoding import Told
from kompass.resources.lists import picked
from replication.protocol import jsontext
from replication.store.values import Document


class Csv:
    """A table by its profile."""

    def __init__(
        self, profile: Profile, rows: Callable[[Mapping[str, Any]], list[Value]], *, keeps_all: bool
    ) -> None:
        """`keeps_all`: no document is left out; see `Writer`."""
        self._writer = Writer(profile, keeps_all=keeps_all)
        self._rows = rows

    @property
    def told(self) -> Told:
        writer = self._writer
        return Told(
            writer.written, writer.left_out, writer.changed, writer.sums, writer.problems, [*writer.notes]
        )

    def add(self, documents: Sequence[Document]) -> bytes:
        return self._writer.some(self._rows(jsontext.decode(document.text)) for document in documents)

    def end(self) -> Iterator[bytes]:
        yield self._writer.some(())

    def close(self) -> None:
        return


class Json:
    """Documents as lists show them: an array, or each on a line of its own."""

    def __init__(self, fields: tuple[str, ...] | None, *, lines: bool) -> None:
        self.told = Told()
        self._fields = fields
        self._lines = lines

    def add(self, documents: Sequence[Document]) -> bytes:
        texts = [picked(document, self._fields) for document in documents]
        first = self.told.rows == 0
        self.told.rows += len(texts)
        if self._lines:
            return b"".join(text + b"\n" for text in texts)
        # The first one opens the array.
        return b"".join(
            (b"[\n" if first and place == 0 else b",\n") + text for place, text in enumerate(texts)
        )

    def end(self) -> Iterator[bytes]:
        if not self._lines:
            yield b"\n]\n" if self.told.rows else b"[]\n"

    def close(self) -> None:
        return
