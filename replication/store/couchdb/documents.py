"""Reading documents from a CouchDB database: by `_bulk_get`, some at a time.

Asked for a document without a revision, `_bulk_get` tells all of its leaves with their histories: the winner,
the tree and what is conflicted all come from that. How many documents are asked for at once follows
their size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from replication.protocol import errors, jsontext
from replication.protocol.documents import parse_document, revisions_member, stored_text
from replication.protocol.revision_tree import RevisionTree, winner_key
from replication.protocol.revisions import Path, Rev, format_rev, parse_rev, parse_revisions
from replication.store.couchdb.client import Client, Repeat
from replication.store.paging import PageSize
from replication.store.values import Document, Missing

_MOST = 500
_FIRST = 50

Asked = tuple[str, Rev | None]


class Leaves:
    """All leaves of one document, as they were answered."""

    def __init__(self, values: Iterable[Mapping[str, Any]], seq: int) -> None:
        """`values`: documents with `_revisions`."""
        found = [(parse_rev(value["_rev"]), value) for value in values]
        found.sort(key=lambda leaf: winner_key(leaf[0], leaf[1].get("_deleted") is True), reverse=True)
        self.documents = [document(value, seq, len(found) > 1) for _, value in found]

    @property
    def winner(self) -> Document | None:
        return self.documents[0] if self.documents else None

    def tree(self) -> RevisionTree | None:
        tree = RevisionTree()
        for leaf in self.documents:
            # A leaf may be in the history of one that was read a moment later: then it is none any more.
            tree.merge(RevisionTree.of(_path(leaf), leaf.deleted))
        return tree if self.documents else None


def _path(leaf: Document) -> Path:
    return parse_revisions(jsontext.decode(leaf.revisions))


def document(value: Mapping[str, Any], seq: int, conflicted: bool) -> Document:
    """A document from its JSON object, which has `_revisions`."""
    docid, rev = value["_id"], value["_rev"]
    deleted = value.get("_deleted") is True
    attached = value.get("_attachments") or {}
    # Nothing is checked that the server has checked: only the members that aren't the body's are taken out.
    body = parse_document({key: each for key, each in value.items() if key not in _APART}, most=None).body
    stubs = jsontext.encode(attached) if attached else b""
    text = stored_text(jsontext.quote(docid), rev, deleted, body, stubs)
    path = parse_revisions(value["_revisions"])
    return Document(docid, rev, deleted, text, revisions_member(path), bool(attached), seq, conflicted)


_APART = frozenset({"_id", "_rev", "_revisions", "_deleted", "_attachments"})


class Documents:
    """Reads one database. Whatever it raises is a `ProtocolError`."""

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path
        self._size = PageSize(_FIRST, most=_MOST)

    async def bulk_get(
        self, asked: Sequence[Asked], *, latest: bool = False, histories: bool = True
    ) -> list[list[dict[str, Any]]]:
        """One list of documents for each request; empty for what isn't there.

        With `histories` they have `_revisions`.
        """
        answers: list[list[dict[str, Any]]] = []
        while len(answers) < len(asked):
            some = asked[len(answers) : len(answers) + self._size.rows]
            try:
                answers += await self._some(some, latest, histories)
            except errors.ProtocolError as error:
                if error.status != 413 or len(some) == 1:
                    raise
                self._size.rows = max(1, len(some) // 2)
        return answers

    async def _some(
        self, asked: Sequence[Asked], latest: bool, histories: bool
    ) -> list[list[dict[str, Any]]]:
        query = {name: "true" for name, wanted in (("revs", histories), ("latest", latest)) if wanted}
        docs = [{"id": docid, **({"rev": format_rev(rev)} if rev else {})} for docid, rev in asked]
        answer = await self._client.request(
            "POST", f"{self._path}/_bulk_get", query=query, json={"docs": docs}, repeat=Repeat.ALWAYS
        )
        self._size.saw(len(asked), len(answer.body))
        value = jsontext.decode(answer.body)
        results = value.get("results") if isinstance(value, dict) else None
        if not isinstance(results, list) or len(results) != len(asked):
            raise errors.internal("The database server answered _bulk_get with other rows than asked for.")
        return [_documents(row, docid) for row, (docid, _) in zip(results, asked, strict=True)]

    async def missing(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, Missing]:
        body = {docid: [format_rev(rev) for rev in revs] for docid, revs in asked.items() if revs}
        if not body:
            return {}
        value = await self._client.ask("POST", f"{self._path}/_revs_diff", json=body, repeat=Repeat.ALWAYS)
        found = {}
        for docid, entry in value.items():
            missing = set(entry.get("missing", []))
            ancestors = sorted(map(parse_rev, entry.get("possible_ancestors", [])), reverse=True)
            found[docid] = Missing(
                [rev for rev in body[docid] if rev in missing], [format_rev(rev) for rev in ancestors]
            )
        return {docid: found[docid] for docid in body if docid in found and found[docid].missing}


def _documents(row: Any, docid: str) -> list[dict[str, Any]]:
    docs = row.get("docs") if isinstance(row, dict) and row.get("id") == docid else None
    if not isinstance(docs, list):
        raise errors.internal("The database server answered _bulk_get with a row that wasn't asked for.")
    return [item["ok"] for item in docs if isinstance(item, dict) and isinstance(item.get("ok"), dict)]
