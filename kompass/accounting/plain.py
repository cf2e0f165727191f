"""A plain profile for every type of document, derived from its model: every field is a column.

Headings are the names of the fields, so that what was exported can be imported again whatever language
somebody reads; the German names are aliases where they mean one field. Parts of a document, as an address,
have a column for each of their fields; lists of parts are JSON in one cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kompass.accounting.profiles import CellKind, Column, Profile, heading_key
from kompass.accounting.sources import cell_kind
from kompass.domain.kinds import markers, plain
from kompass.domain.labels import label
from kompass.domain.registry import LABELS, MODELS
from kompass.domain.values import Number

_SKIPPED = frozenset({"_rev", "_attachments", "type"})
"""The server's own, and what the file is about anyway."""


@cache
def plain_profile(doctype: str) -> Profile:
    """Raises `KeyError` for a type that there isn't."""
    found = list(_columns(MODELS[doctype], ()))
    meanings = Counter(
        key for column, german in found for key in {heading_key(column.heading), heading_key(german)}
    )
    columns = tuple(
        column.model_copy(update={"aliases": (german,)})
        if meanings[heading_key(german)] == 1 and heading_key(german) != heading_key(column.heading)
        else column
        for column, german in found
    )
    return Profile(
        name=doctype,
        title=LABELS[doctype],
        type=doctype,
        direction="both",
        file_name=f"{doctype}_export_{{time}}.csv",
        columns=columns,
    )


def _columns(model: type[BaseModel], outer: tuple[str, ...]) -> Iterator[tuple[Column, str]]:
    """Each column with its German name."""
    for key, field in model.model_fields.items():
        name = field.alias or key
        if not outer and name in _SKIPPED:
            continue
        steps = (*outer, name)
        bare = plain(field.annotation)
        if isinstance(bare, type) and issubclass(bare, BaseModel):
            yield from _columns(bare, steps)
        else:
            yield _column(".".join(steps), name, field), label(steps)


def _column(path: str, name: str, field: FieldInfo) -> Column:
    cell = cell_kind(field.annotation)
    if cell is CellKind.TEXT and name in ("phone", "mobile"):
        cell = CellKind.PHONE
    limits = [marker.decimals for marker in markers(field) if isinstance(marker, Number)]
    money = cell is CellKind.DECIMAL and limits == [2]
    return Column(heading=path, kind=cell, source=(path,), decimals=2 if money else None)
