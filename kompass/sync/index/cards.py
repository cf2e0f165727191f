"""Cards follow their documents in the same transaction, so what basic readers get is never out of date.

A card is written by the server alone, and only when what it says has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from kompass.audit import Cause
from kompass.business.server_made import raise_refusals, server_made
from kompass.sync.index.rules import Rules
from kompass.sync.tombstones import Tombstones
from replication.protocol import jsontext
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Rev
from replication.store.sqlite import ChangedDocument, Reading, Writing

Card = dict[str, Any]
CARD = Cause("card")


def follow(
    writing: Writing, documents: Iterable[ChangedDocument], rules: Rules, tombstones: Tombstones
) -> None:
    """Writes, changes and ends the cards of documents that have changed."""
    writes = []
    for document in documents:
        if document.seq and not document.deleted:
            for card in rules.cards(jsontext.decode_request(document.text)):
                write = _written(writing, card, tombstones.keyed_revision)
                if write is not None:
                    writes.append(write)
        else:
            for docid in _cards_before(writing, document, rules):
                write = server_made(writing, docid, b"{}", tombstones.keyed_revision, deleted=True)
                if write is not None:
                    writes.append(write)
    for write in writes:
        write.note = CARD
    if writes:
        raise_refusals(writing.write(writes, replicated=True))


def differing(reading: Reading, document: Card, rules: Rules) -> list[Card]:
    """The cards of a live document that don't say what they should, or aren't there, as they should be."""
    return [card for card in rules.cards(document) if not _says(reading, card)]


def put_right(writing: Writing, docid: str, rules: Rules, tombstones: Tombstones) -> None:
    """Writes the cards of a document that aren't as they should be."""
    winner = writing.winner(docid)
    if winner is None or winner.deleted:
        return
    cards = differing(writing, jsontext.decode_request(winner.text), rules)
    writes = [_written(writing, card, tombstones.keyed_revision) for card in cards]
    needed = [write for write in writes if write is not None]
    for write in needed:
        write.note = CARD
    raise_refusals(writing.write(needed, replicated=True))


def _says(reading: Reading, card: Card) -> bool:
    """Whether a card is stored as it should be."""
    winner = reading.winner(card["_id"])
    if winner is None or winner.deleted:
        return False
    stored = jsontext.decode_request(winner.text)
    body = {key: value for key, value in card.items() if key != "_id"}
    return {key: value for key, value in stored.items() if key[:1] != "_"} == body


def _written(
    writing: Writing, card: Card, keyed_revision: Callable[[str, Rev | None, bytes], str]
) -> DocumentWrite | None:
    if _says(writing, card):
        return None
    body = {key: value for key, value in card.items() if key != "_id"}
    return server_made(writing, card["_id"], jsontext.encode(body), keyed_revision)


def _cards_before(writing: Writing, document: ChangedDocument, rules: Rules) -> list[str]:
    """The cards of a document that has ended, by what it was when it lived."""
    kept = writing.connection.execute("SELECT lineage FROM access_docs WHERE num = ?", (document.num,)).get
    if not kept:
        return []
    return [card["_id"] for card in rules.cards({**orjson.loads(kept), "_id": document.id})]
