"""Which kinds of files there are, and which of them somebody asks for."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec
from typing import NamedTuple


class Format(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"
    JSON = "json"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class Kind(NamedTuple):
    media_type: str
    """What it is sent as, and asked for by `Accept`."""
    needs: str = ""
    """The library that writes it."""
    extra: str = ""
    """What brings that library."""


KINDS = {
    Format.CSV: Kind("text/csv"),
    Format.XLSX: Kind(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsxwriter", "office"
    ),
    Format.JSON: Kind("application/json"),
    Format.NDJSON: Kind("application/x-ndjson"),
    Format.PARQUET: Kind("application/vnd.apache.parquet", "pyarrow", "parquet"),
}

BINARY = frozenset({Format.XLSX, Format.PARQUET})
"""Files that nobody can read before their end is there: they are made whole before they are sent."""


def accepted(header: str) -> Format | None:
    """The one that `Accept` likes best, CSV if it likes anything; None if there is none that it takes."""
    likings: list[tuple[float, str]] = []
    for part in header.lower().split(","):
        name, *parameters = (one.strip() for one in part.split(";"))
        said = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        try:
            likings.append((float(said), name))
        except ValueError:
            continue
    for weight, name in sorted(likings, key=lambda one: -one[0]):
        if weight <= 0:
            continue
        for form, kind in KINDS.items():
            if name in (kind.media_type, kind.media_type.partition("/")[0] + "/*", "*/*"):
                return form
    return None


def absent(form: Format) -> str | None:
    """What to install for it; None if it can be written."""
    kind = KINDS[form]
    if not kind.needs or find_spec(kind.needs) is not None:
        return None
    return f"{kind.needs} is not installed: pip install 'kompass[{kind.extra}]'"
