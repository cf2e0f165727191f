"""What the rules of the business may know of other documents: a transaction's state."""

from __future__ import annotations

from collections.abc import Sequence

from kompass.domain.changes import Body
from replication.protocol import jsontext
from replication.store.sqlite import Reading


class Lookups:
    """`Facts` of one state of the database. Make a new one when documents have been written."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def document(self, docid: str) -> Body | None:
        winner = self._reading.winner(docid)
        if winner is None or winner.deleted:
            return None
        body: Body = jsontext.decode_request(winner.text)
        return body

    def referring(self, doctype: str, field: str, docid: str) -> Sequence[Body]:
        return ()

    def sharing(self, key: str, value: str) -> Sequence[str]:
        return ()
