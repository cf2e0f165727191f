"""Facts with documents on top that have been judged and aren't stored yet."""

from __future__ import annotations

from collections.abc import Sequence

from kompass.domain.changes import Body, Facts
from kompass.domain.keys import keys_of


class Overlay:
    """`Facts` as they will be when the documents noted here are stored: of a batch, each one is judged with
    those that were accepted before it.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._noted: dict[str, Body | None] = {}

    def note(self, docid: str, body: Body | None) -> None:
        """What is going to be stored under the id, with `_id`; None: it is deleted."""
        self._noted[docid] = body

    def document(self, docid: str) -> Body | None:
        if docid in self._noted:
            return self._noted[docid]
        return self._facts.document(docid)

    def referring(self, doctype: str, field: str, docid: str) -> Sequence[Body]:
        found = self._facts.referring(doctype, field, docid)
        if not self._noted:
            return found
        stored = [body for body in found if body.get("_id") not in self._noted]
        noted = [
            body
            for body in self._noted.values()
            if body is not None and body.get("type") == doctype and body.get(field) == docid
        ]
        return [*stored, *noted]

    def sharing(self, key: str, value: str) -> Sequence[str]:
        found = self._facts.sharing(key, value)
        if not self._noted:
            return found
        stored = [docid for docid in found if docid not in self._noted]
        noted = [
            docid for docid, body in self._noted.items() if body is not None and (key, value) in keys_of(body)
        ]
        return [*stored, *noted]
