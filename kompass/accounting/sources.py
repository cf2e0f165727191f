"""Where a column's value comes from: a dotted path from the row's document.

`billingAddress.city` leads into the document. A field that names another document leads on into that one
(`customerId.companyName`), and a field that readers' rights keep in a companion document is found there
(`grossAmount` of an invoice). Documents are asked for by id, so whoever exports decides what he lets be
found: what isn't given is an empty cell. Paths are compared with the models when a profile is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel

from kompass.access.companions import companion_id
from kompass.access.fields import BELONGS
from kompass.accounting.cells import Value
from kompass.accounting.profiles import CellKind, Column, Profile
from kompass.domain.kinds import kind, plain
from kompass.domain.money import amount, json_number
from kompass.domain.registry import MODELS, references

Body = Mapping[str, Any]
Documents = Callable[[str], Body | None]
"""A document by its id, as far as whoever exports may read it; None if he may not, or there is none."""


class Step(NamedTuple):
    how: Literal["member", "document", "companion"]
    name: str
    """Of the member; the type of the companion."""


@cache
def steps(doctype: str, path: str) -> tuple[Step, ...]:
    """The way that a path goes. Raises `ValueError` for one that no document of the type has."""
    return tuple(_steps(doctype, path))


def _steps(doctype: str, path: str) -> Iterator[Step]:
    names = path.split(".")
    model: type[BaseModel] = MODELS[doctype]
    within = ""
    for place, name in enumerate(names):
        companion = BELONGS.get(doctype, {}).get(name) if not within else None
        if companion is not None:
            yield Step("companion", companion)
            doctype, model = companion, MODELS[companion]
        fields = {field.alias or key: field for key, field in model.model_fields.items()}
        if name not in fields:
            raise ValueError(f"{path}: {doctype} has no {within}{name}")
        yield Step("member", name)
        if place == len(names) - 1:
            return
        bare = plain(fields[name].annotation)
        if isinstance(bare, type) and issubclass(bare, BaseModel):
            model, within = bare, f"{within}{name}."
            continue
        targets = references(doctype).get(within + name, ())
        if len(targets) != 1:
            raise ValueError(f"{path}: {within}{name} of {doctype} leads nowhere")
        yield Step("document", "")
        doctype, model, within = targets[0], MODELS[targets[0]], ""


def check(profile: Profile) -> Profile:
    """The profile, if documents of its type have everything that its columns name. Raises `ValueError`."""
    for column in profile.columns:
        for path in column.source:
            if profile.type is None or profile.type not in MODELS:
                raise ValueError(f"{profile.name}: {column.heading} has a source, and the rows have no type")
            steps(profile.type, path)
    for member in profile.where:
        steps(profile.type or "", member)
    return profile


def values(profile: Profile, body: Body, documents: Documents) -> list[Value]:
    """A row: what the document has for each column of its profile."""
    assert profile.type is not None
    return [_value(profile.type, column, body, documents) for column in profile.columns]


def _value(doctype: str, column: Column, body: Body, documents: Documents) -> Value:
    for path in column.source:
        found = typed(_found(body, steps(doctype, path), documents), column.kind)
        if found not in (None, "", (), {}):
            return found
    return None


def _found(body: Body, way: tuple[Step, ...], documents: Documents) -> Any:
    here: Any = body
    for step in way:
        if step.how == "document":
            here = documents(here) if isinstance(here, str) else None
        elif step.how == "companion":
            base = here.get("_id") if isinstance(here, Mapping) else None
            here = documents(companion_id(step.name, base)) if isinstance(base, str) else None
        else:
            here = here.get(step.name) if isinstance(here, Mapping) else None
        if here is None:
            return None
    return here


def typed(value: Any, cell: CellKind) -> Value:
    """A member of a document as a cell has it; as it is if it is of another kind, for the writer to tell."""
    try:
        if cell is CellKind.DECIMAL and (number := amount(value)) is not None:
            return number
        if cell is CellKind.DAY and isinstance(value, str):
            return date.fromisoformat(value[:10])
        if cell is CellKind.MOMENT and isinstance(value, str):
            return datetime.fromisoformat(value)
        if cell is CellKind.TEXTS and isinstance(value, list):
            return tuple(value)
    except ValueError:
        return str(value)
    found: Value = value
    return found


def body_of(profile: Profile, row: Mapping[str, Value]) -> dict[str, Any]:
    """The document that a row says, without what its cells leave out: `values` the other way.

    Only for profiles whose paths stay within the document, as the plain ones do.
    """
    body: dict[str, Any] = {}
    for column in profile.columns:
        value = row.get(column.heading)
        if value is None or not column.source:
            continue
        *outer, last = column.source[0].split(".")
        here = body
        for name in outer:
            here = here.setdefault(name, {})
        here[last] = _member(value)
    return body


def _member(value: Value) -> Any:
    if isinstance(value, Decimal):
        return json_number(value)
    if isinstance(value, datetime):
        text = value.isoformat(timespec="microseconds" if value.microsecond % 1000 else "milliseconds")
        return text.replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def cell_kind(annotation: Any) -> CellKind:
    """What a field of a model is in a cell."""
    found = kind(plain(annotation))
    if found is None:
        return CellKind.JSON
    return CellKind.DECIMAL if found == "number" else CellKind(found.value)
