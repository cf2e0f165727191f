"""The shape of documents: the first of the rules that a change has to keep.

A document that passes has every field that its type needs, none that its type doesn't know, and in each a
value that is allowed, and the fields fit each other. What other documents say, what was before, and who may
do it is judged elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from kompass.access.fields import BELONGS
from kompass.domain import bounds, messages
from kompass.domain.base import Document
from kompass.domain.changes import Body, Change, Facts
from kompass.domain.money import CENT
from kompass.domain.refusals import Refusal
from kompass.domain.registry import MODELS
from kompass.domain.settings import BusinessSettings
from kompass.domain.upcasting import upcast
from kompass.domain.values import Words

MAX_MEMBERS = 300
"""Members of a document; no type has so many fields."""

_VALIDATORS: dict[str, Callable[[Body], Document]] = {}
"""Made when the first document of a type comes: making all of them takes a while."""


def check(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Why the document's shape is wrong; None if it isn't. A deletion has none."""
    if change.doc is None:
        return None
    document = parse(change.doc)
    if isinstance(document, Refusal):
        return document
    return _adds_up(change, document) or bounds.check(change)


def _adds_up(change: Change, document: Document) -> Refusal | None:
    """Refuses a total that the change writes and that differs by more than a cent from what it is made of."""
    for field, said, expected, of in document.totals():
        if said is not None and abs(said - expected) > CENT and change.changes(field):
            return messages.wrong_total(change.type, field, said, expected, of)
    return None


def validate(body: Body) -> Refusal | None:
    """Why the body isn't a document of its type, whenever it was written; None if it is one."""
    found = parse(body)
    return found if isinstance(found, Refusal) else None


def parse(body: Body) -> Document | Refusal:
    """The document as an object, amounts as `Decimal`, times as times. Older forms are understood."""
    doctype = body.get("type")
    if not isinstance(doctype, str) or doctype not in MODELS:
        return Refusal(
            "type.unknown",
            "There is no such type of document.",
            "Eine solche Art von Dokument gibt es nicht.",
            ("type",),
        )
    if len(body) > MAX_MEMBERS:
        return Refusal(
            "model.many",
            f"{doctype}: has {len(body)} members, and at most {MAX_MEMBERS} are allowed.",
            f"Das Dokument hat {len(body)} Felder, und höchstens {MAX_MEMBERS} sind erlaubt.",
        )
    current = upcast(body)
    if isinstance(current, Refusal):
        return current
    validator = _VALIDATORS.get(doctype) or _made(doctype)
    try:
        return validator(current)
    except ValidationError as error:
        # What belongs to a companion may stand in the base as null.
        empty = [name for name in BELONGS.get(doctype, ()) if name in current and current[name] is None]
        if not empty:
            return messages.refusal(doctype, error)
    try:
        return validator({name: value for name, value in current.items() if name not in empty})
    except ValidationError as error:
        return messages.refusal(doctype, error)


def faults(body: Body) -> list[tuple[str, Words]]:
    """What is wrong with the shape of a document of today's form, place by place; nothing for a sound one.
    Raises `KeyError` for a type that there isn't.
    """
    doctype = str(body["type"])
    validator = _VALIDATORS.get(doctype) or _made(doctype)
    try:
        validator(body)
    except ValidationError as error:
        return messages.faults(doctype, error)
    return []


def current(change: Change) -> Change | Refusal:
    """The change with both of its documents in today's form."""
    doc = change.doc if change.doc is None else upcast(change.doc)
    if isinstance(doc, Refusal):
        return doc
    before = change.before if change.before is None else upcast(change.before)
    if isinstance(before, Refusal):
        before = change.before  # written by a newer server; only the new text must be understood
    if doc is change.doc and before is change.before:
        return change
    return replace(change, doc=doc, before=before)


def _made(doctype: str) -> Callable[[Body], Document]:
    model = MODELS[doctype]
    model.model_rebuild()
    validate: Callable[[Any], Any] = model.__pydantic_validator__.validate_python
    _VALIDATORS[doctype] = validate
    return validate
