"""A list as a Parquet file: columns of types that follow from the model, in groups of rows.

| in the model | in the file |
|---|---|
| text, id, one of several words | string |
| euros | decimal128(18, 2) |
| other numbers | double |
| whole number | int64 |
| day | date32 |
| time | timestamp in microseconds, UTC |
| list of texts | list of strings |
| list of parts, anything else | string with JSON |
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kompass.accounting.cells import Value
from kompass.accounting.problems import Problem
from kompass.accounting.profiles import CellKind, Column, Profile
from kompass.exports.encoding import Told
from replication.protocol import jsontext
from replication.store.values import Document

if TYPE_CHECKING:
    import pyarrow

GROUP = 20_000
"""Rows of a group."""
_PIECE = 256 * 1024
_CENT = Decimal("0.01")


class Parquet:
    def __init__(
        self, profile: Profile, rows: Callable[[Mapping[str, Any]], list[Value]], directory: Path
    ) -> None:
        """`directory`: where the file lies until it is closed; it has no name there."""
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        self.told = Told()
        self._columns = profile.columns
        self._rows = rows
        self._schema = pyarrow.schema([(column.heading, _type(column)) for column in self._columns])
        self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed by close
        self._writer: Any = ParquetWriter(self._file, self._schema, compression="zstd")
        self._waiting: list[pyarrow.RecordBatch] = []
        self._size = 0

    def add(self, documents: Sequence[Document]) -> bytes:
        import pyarrow

        rows = [self._rows(jsontext.decode(document.text)) for document in documents]
        arrays = [
            pyarrow.array(
                [self._fitting(self.told.rows + at, column, row[place]) for at, row in enumerate(rows, 1)],
                type=self._schema.field(place).type,
            )
            for place, column in enumerate(self._columns)
        ]
        self.told.rows += len(rows)
        self._waiting.append(pyarrow.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._size += len(rows)
        if self._size >= GROUP:
            self._write()
        return b""

    def end(self) -> Iterator[bytes]:
        self._write()
        self._writer.close()
        self._file.seek(0, os.SEEK_SET)
        while piece := self._file.read(_PIECE):
            yield piece

    def close(self) -> None:
        with suppress(OSError):  # the file's end, for a disk that is full
            if self._writer.is_open:
                self._writer.close()
        with suppress(OSError):
            self._file.close()

    def _write(self) -> None:
        import pyarrow

        if self._waiting:
            self._writer.write_table(pyarrow.Table.from_batches(self._waiting), row_group_size=GROUP)
        self._waiting, self._size = [], 0

    def _fitting(self, row: int, column: Column, value: Value) -> Any:
        """The value as its column has it. What is of another kind is missing in the file, and told."""
        if value is None:
            return None
        try:
            return _HOLDERS[column.kind](value, column)
        except (TypeError, ValueError, InvalidOperation, OverflowError):
            self.told.note(
                Problem(
                    "cell.kind",
                    f"is no value for a column of kind {column.kind}: it was left out",
                    "passt nicht zur Art der Spalte: weggelassen",
                ).at(row, column.heading, str(value))
            )
            return None


def _type(column: Column) -> pyarrow.DataType:
    import pyarrow

    match column.kind:
        case CellKind.DECIMAL:
            return pyarrow.decimal128(18, 2) if column.decimals == 2 else pyarrow.float64()
        case CellKind.INTEGER:
            return pyarrow.int64()
        case CellKind.BOOLEAN:
            return pyarrow.bool_()
        case CellKind.DAY:
            return pyarrow.date32()
        case CellKind.MOMENT:
            return pyarrow.timestamp("us", tz="UTC")
        case CellKind.TEXTS:
            return pyarrow.list_(pyarrow.string())
        case _:
            return pyarrow.string()


def _decimal(value: Value, column: Column) -> Decimal | float:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError(value)
    if column.decimals != 2:
        return float(value)
    cents = Decimal(value).quantize(_CENT)
    if cents != value or cents.adjusted() > 15:
        raise ValueError(value)
    return cents


def _integer(value: Value, column: Column) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise TypeError(value)
    return value


def _boolean(value: Value, column: Column) -> bool:
    if type(value) is not bool:
        raise TypeError(value)
    return value


def _day(value: Value, column: Column) -> date:
    if isinstance(value, datetime) or not isinstance(value, date):
        raise TypeError(value)
    return value


def _moment(value: Value, column: Column) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError(value)
    return value


def _text(value: Value, column: Column) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _texts(value: Value, column: Column) -> list[str]:
    if not isinstance(value, tuple) or not all(isinstance(one, str) for one in value):
        raise TypeError(value)
    return [str(one) for one in value]


def _json(value: Value, column: Column) -> str:
    return jsontext.encode(value).decode("utf-8")


_HOLDERS: Mapping[CellKind, Callable[[Value, Column], Any]] = {
    CellKind.TEXT: _text,
    CellKind.PHONE: _text,
    CellKind.DIGITS: _text,
    CellKind.DECIMAL: _decimal,
    CellKind.INTEGER: _integer,
    CellKind.BOOLEAN: _boolean,
    CellKind.DAY: _day,
    CellKind.MOMENT: _moment,
    CellKind.TEXTS: _texts,
    CellKind.JSON: _json,
}
