"""Files made and read in memory."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from kompass.accounting.cells import Value
from kompass.accounting.profiles import Profile
from kompass.accounting.reading import Row, read
from kompass.accounting.writing import Writer


def written(profile: Profile, rows: Iterable[Sequence[Value]]) -> bytes:
    """The file with these rows, all of which fit."""
    writer = Writer(profile)
    data = b"".join(writer.pieces(rows))
    assert writer.problems == []
    return data


def rows_of(data: bytes, profile: Profile) -> list[Row]:
    return list(read(io.BytesIO(data), profile).rows)
