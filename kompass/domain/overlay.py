"""Facts with documents on top that have been judged and aren't stored yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kompass.domain.changes import Body, Facts
from kompass.domain.keys import NUMBER, keys_of, number_of

Name = tuple[str, str, str]
"""What a noted document is found by: type, field and id that it names; or empty, key and value."""


class Overlay:
    """`Facts` as they will be when the documents noted here are stored: of a batch, each one is judged with
    those that were accepted before it.
    """

    def __init__(self, facts: Facts, coming: Mapping[str, Body] | None = None) -> None:
        """`coming`: what the same push brings, by id."""
        self._facts = facts
        self._coming = coming or {}
        self._noted: dict[str, Body | None] = {}
        self._found: dict[Name, dict[str, None]] = {}
        self._numbers: dict[str, dict[str, None]] = {}
        """A number stays the document's that came with it, whatever becomes of that."""

    def note(self, docid: str, body: Body | None) -> None:
        """What is going to be stored under the id, with `_id`; None: it is deleted."""
        old = self._noted.get(docid)
        if old is not None:
            for name in _names(old):
                self._found[name].pop(docid, None)
        self._noted[docid] = body
        if body is not None:
            for name in _names(body):
                self._found.setdefault(name, {})[docid] = None
            number = number_of(body)
            if number:
                self._numbers.setdefault(number, {})[docid] = None

    def notes(self, docid: str) -> bool:
        """Whether the document is one of those that are going to be stored or deleted."""
        return docid in self._noted

    def document(self, docid: str) -> Body | None:
        if docid in self._noted:
            return self._noted[docid]
        return self._facts.document(docid)

    def coming(self, docid: str) -> Body | None:
        return self._coming.get(docid)

    def referring(self, doctype: str, field: str, docid: str) -> Iterator[Body]:
        for one in tuple(self._found.get((doctype, field, docid), ())):
            body = self._noted[one]
            if body is not None:
                yield body
        for body in self._facts.referring(doctype, field, docid):
            if body.get("_id") not in self._noted:
                yield body

    def sharing(self, key: str, value: str, most: int | None = None) -> Sequence[str]:
        if not self._noted:
            return self._facts.sharing(key, value, most)
        if key == NUMBER:
            return [*self._facts.sharing(key, value, most), *self._numbers.get(value, ())]
        found = self._facts.sharing(key, value, None if most is None else most + len(self._noted))
        stored = [docid for docid in found if docid not in self._noted]
        return [*stored, *self._found.get(("", key, value), ())][:most]


def _names(body: Body) -> Iterator[Name]:
    doctype = body.get("type")
    if isinstance(doctype, str):
        for field, value in body.items():
            if isinstance(value, str):
                yield doctype, field, value
            elif isinstance(value, list) and field.endswith("Ids"):
                yield from ((doctype, field, one) for one in value if isinstance(one, str))
    for key, value in keys_of(body):
        yield "", key, value
