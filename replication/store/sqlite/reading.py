"""Reading documents: each function is one or two statements on a reading connection.

Texts come out of the file as the wire wants them; a thousand rows are one value, glued together
by SQLite.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apsw
import orjson

from replication.protocol.partitions import id_range
from replication.protocol.revisions import Rev, format_rev, parse_rev
from replication.store.sqlite.entries import ROW, Entry, parse_tree, revisions_text, tree_knows
from replication.store.values import (
    Change,
    ChangesPage,
    Document,
    KeyRange,
    LocalDocument,
    Missing,
    MissingRevision,
    PartitionInfo,
    RowsPage,
)

_WINNER = (
    "SELECT id, rev, deleted, text, tree, attached, docs.seq, leaves"
    " FROM docs JOIN bodies ON bodies.seq = body"
)
_WINNERS = (
    "SELECT id, rev, deleted, text, tree, attached, docs.seq, leaves"
    " FROM (SELECT value AS asked FROM json_each(?)) CROSS JOIN docs ON docs.id = asked"
    " CROSS JOIN bodies ON bodies.seq = body"
)
_TREES = (
    "SELECT id, rev, deleted, leaves, tree"
    " FROM (SELECT value AS asked FROM json_each(?)) CROSS JOIN docs ON docs.id = asked"
)
_MANY = 8
"""Questions to one document from which on its tree is made once, instead of searching its text each time."""
_OTHERS = "SELECT rev, deleted, text, attached FROM revs JOIN bodies ON bodies.seq = body WHERE doc = ?"


def id_list(ids: Iterable[str] | Iterable[int]) -> str:
    """Ids, or numbers, as the JSON that `json_each` takes."""
    return orjson.dumps(list(ids)).decode()


def _document(
    docid: str,
    rev: str,
    deleted: int,
    text: bytes,
    tree: bytes,
    attached: int,
    seq: int,
    leaves: int,
) -> Document:
    revisions = tree if leaves == 1 and tree[:1] == b"{" else revisions_text(tree, bool(deleted), rev)
    return Document(docid, rev, bool(deleted), text, revisions, bool(attached), seq, leaves > 1)


def winner(connection: apsw.Connection, docid: str) -> Document | None:
    row = connection.execute(f"{_WINNER} WHERE id = ?", (docid,)).fetchone()
    return None if row is None else _document(*row)


def winners(connection: apsw.Connection, docids: Iterable[str]) -> dict[str, Document]:
    return {row[0]: _document(*row) for row in connection.execute(_WINNERS, (id_list(docids),))}


def entry(connection: apsw.Connection, docid: str) -> Entry | None:
    row = connection.execute(f"SELECT {ROW} FROM docs WHERE id = ?", (docid,)).fetchone()
    return None if row is None else Entry(*row)


def stored_revisions(connection: apsw.Connection, found: Entry, rev: str | None = None) -> list[Document]:
    """Revisions with bodies, the winner first: all, or the one asked for."""
    documents = []
    if rev is None or rev == found.rev:
        text = connection.execute("SELECT text FROM bodies WHERE seq = ?", (found.body,)).get
        documents.append(_of_entry(found, found.rev, found.deleted, text, found.attached))
        if rev is not None:
            return documents
    is_known = found.knows if rev is not None else found.tree.__contains__
    query, args = (_OTHERS, (found.num,)) if rev is None else (f"{_OTHERS} AND rev = ?", (found.num, rev))
    for name, deleted, text, attached in connection.execute(query, args):
        if is_known(parse_rev(name)):
            documents.append(_of_entry(found, name, deleted, text, attached))
    return documents


def leaves(connection: apsw.Connection, found: Entry) -> list[Document]:
    """All leaves, the winner first, the others in the order in which they would win."""
    if found.leaves == 1:
        return stored_revisions(connection, found, found.rev)
    by_rev = {document.rev: document for document in stored_revisions(connection, found)}
    names = [format_rev(leaf) for leaf in found.tree.leaves()]
    return [by_rev[name] for name in names if name in by_rev]


def _of_entry(found: Entry, rev: str, deleted: int, text: bytes, attached: int) -> Document:
    return Document(
        found.id,
        rev,
        bool(deleted),
        text,
        found.revisions(rev),
        bool(attached),
        found.seq,
        found.leaves > 1,
    )


def revision(connection: apsw.Connection, found: Entry, rev: Rev, latest: bool) -> list[Document]:
    """One revision, or the leaves below it."""
    if latest:
        if not found.knows(rev):
            return []
        if found.leaves == 1:
            return stored_revisions(connection, found, found.rev)
        below = [format_rev(leaf) for leaf in found.tree.leaves_below(rev)]
        return [document for name in below for document in stored_revisions(connection, found, name)]
    return stored_revisions(connection, found, format_rev(rev))


def bulk_get(
    connection: apsw.Connection, requests: Sequence[tuple[str, Rev | None]], latest: bool
) -> list[list[Document | MissingRevision]]:
    found = winners(connection, {docid: None for docid, _ in requests})
    conflicted: dict[str, Entry] = {}  # a peer asks for all leaves of a document one after the other
    answers: list[list[Document | MissingRevision]] = []
    for docid, rev in requests:
        document = found.get(docid)
        if document is not None and (
            (rev is None and not document.conflicted)
            or (rev is not None and document.rev == f"{rev[0]}-{rev[1]}")
        ):
            answers.append([document])
            continue
        if document is None:
            answers.append([] if rev is None else [MissingRevision(docid, format_rev(rev))])
            continue
        whole = conflicted.get(docid)
        if whole is None:
            whole = entry(connection, docid)
            assert whole is not None
            conflicted[docid] = whole
        if rev is None:
            answers.append([*leaves(connection, whole)])
            continue
        documents = revision(connection, whole, rev, latest)
        answers.append([*documents] if documents else [MissingRevision(docid, format_rev(rev))])
    return answers


def missing_revisions(connection: apsw.Connection, asked: Mapping[str, Sequence[Rev]]) -> dict[str, Missing]:
    known = {row[0]: row for row in connection.execute(_TREES, (id_list(asked),))}
    answer: dict[str, Missing] = {}
    for docid, revs in asked.items():
        row: Any = known.get(docid)
        if row is None:
            if revs:
                answer[docid] = Missing([format_rev(rev) for rev in revs], [])
            continue
        _, winning, deleted, leaves, tree = row
        whole = parse_tree(tree, bool(deleted)) if len(revs) >= _MANY else None
        missing, highest = [], 0
        for rev in revs:
            text = f"{rev[0]}-{rev[1]}"
            if whole is not None:
                is_known = rev in whole
            else:
                # A hash that does not even occur in the tree's text needs no tree.
                is_known = text == winning or (
                    rev[1].encode() in tree and tree_knows(tree, bool(deleted), rev)
                )
            if not is_known:
                missing.append(text)
                highest = max(highest, rev[0])
        if missing:
            ends = [parse_rev(winning)] if leaves == 1 else parse_tree(tree, bool(deleted)).leaves()
            ancestors = [format_rev(leaf) for leaf in ends if leaf[0] < highest]
            answer[docid] = Missing(missing, ancestors)
    return answer


# -- listings ----------------------------------------------------------------------------------


def partition_info(connection: apsw.Connection, partition: str) -> PartitionInfo:
    ids = id_range(partition)
    counts = {0: 0, 1: 0}
    external = active = 0
    for deleted, count, texts, trees in connection.execute(
        "SELECT deleted, count(*), sum(length(text)), sum(length(tree))"
        " FROM docs CROSS JOIN bodies ON bodies.seq = body WHERE id >= ? AND id < ? GROUP BY deleted",
        ids,
    ):
        counts[deleted] = count
        external += texts
        active += trees
    (others,) = _one(
        connection.execute(
            "SELECT coalesce(sum(length(text)), 0) FROM docs CROSS JOIN revs ON revs.doc = docs.num"
            " CROSS JOIN bodies ON bodies.seq = revs.body WHERE id >= ? AND id < ?",
            ids,
        )
    )
    (attached,) = _one(
        connection.execute(
            "SELECT coalesce(sum(stored_length), 0) FROM attachments WHERE num IN (SELECT attachment FROM"
            " (SELECT docs.body FROM docs WHERE attached AND id >= ? AND id < ? UNION ALL"
            " SELECT revs.body FROM docs CROSS JOIN revs ON revs.doc = docs.num"
            " WHERE revs.attached AND id >= ? AND id < ?)"
            " AS stored CROSS JOIN attachment_refs ON attachment_refs.body = stored.body)",
            (*ids, *ids),
        )
    )
    external += others
    return PartitionInfo(counts[0], counts[1], active + external + attached, external)


def id_span(span: KeyRange) -> tuple[str, list[str], str]:
    """WHERE and ORDER of a range of ids."""
    bounds = [
        (span.start, "<" if span.descending else ">", span.inclusive_start),
        (span.end, ">" if span.descending else "<", span.inclusive_end),
    ]
    clauses, args = [], []
    for bound, operator, inclusive in bounds:
        if bound is not None:
            clauses.append(f"id {operator}{'=' if inclusive else ''} ?")
            args.append(bound)
    where = "".join(f" AND {clause}" for clause in clauses)
    return where, args, "id DESC" if span.descending else "id"


_JSON_ID = "json_quote(id)"
_ROW_HEAD = (
    f'\'{{"id":\' || {_JSON_ID} || \',"key":\' || {_JSON_ID} || \',"value":{{"rev":"\' || rev || \'"}}\''
)


def all_docs(
    connection: apsw.Connection, span: KeyRange, skip: int, limit: int, include_docs: bool
) -> RowsPage:
    where, args, order = id_span(span)
    if include_docs:
        inner = (
            f"SELECT id, {_ROW_HEAD} || ',\"doc\":' || text || '}}' AS line"
            " FROM docs CROSS JOIN bodies ON bodies.seq = body"
        )
    else:
        inner = f"SELECT id, {_ROW_HEAD} || '}}' AS line FROM docs"
    last = "min" if span.descending else "max"
    line_text, count, last_id = _one(
        connection.execute(
            f"SELECT CAST(group_concat(line, ?) AS BLOB), count(*), {last}(id) FROM"
            f" ({inner} WHERE NOT deleted{where} ORDER BY {order} LIMIT ? OFFSET ?)",
            (",\r\n", *args, limit, skip),
        )
    )
    return RowsPage(line_text or b"", count, last_id)


def documents(connection: apsw.Connection, span: KeyRange, skip: int, limit: int) -> list[Document]:
    where, args, order = id_span(span)
    return [
        _document(*row)
        for row in connection.execute(
            "SELECT id, rev, deleted, text, tree, attached, docs.seq, leaves"
            " FROM docs CROSS JOIN bodies ON bodies.seq = body"
            f" WHERE NOT deleted{where} ORDER BY {order} LIMIT ? OFFSET ?",
            (*args, limit, skip),
        )
    ]


def changes(
    connection: apsw.Connection,
    since: int,
    limit: int,
    *,
    all_leaves: bool,
    include_docs: bool,
    descending: bool,
) -> ChangesPage:
    line = "coalesce(changes.leaves, changes.winner)" if all_leaves else "changes.winner"
    table = "changes"
    if include_docs:
        line += " || ',\"doc\":' || text"
        table = "changes CROSS JOIN bodies ON bodies.seq = body"
    where, order, last = _feed(since, descending)
    line_text, count, last_seq = _one(
        connection.execute(
            f"SELECT CAST(group_concat(line, ?) AS BLOB), count(*), {last}(seq) FROM"
            f" (SELECT changes.seq AS seq, {line} || '}}' AS line FROM {table}"
            f" WHERE changes.{where} ORDER BY changes.seq{order} LIMIT ?)",
            (",\n", since, limit),
        )
    )
    return ChangesPage(line_text or b"", count, since if last_seq is None else last_seq)


def _one(cursor: apsw.Cursor) -> Any:
    """The only row of an aggregate."""
    return cursor.fetchone()


def _feed(since: int, descending: bool) -> tuple[str, str, str]:
    if descending:
        return "seq < ?", " DESC", "min"
    return "seq > ?", "", "max"


def change_rows(
    connection: apsw.Connection,
    since: int,
    limit: int,
    *,
    all_leaves: bool,
    include_docs: bool,
    descending: bool,
    docids: Sequence[str] | None,
) -> list[Change]:
    line = "coalesce(changes.leaves, changes.winner)" if all_leaves else "changes.winner"
    where, order, _ = _feed(since, descending)
    args: list[str | int] = []
    if docids is None:
        source = "changes"
    else:
        source = (
            "(SELECT value AS asked FROM json_each(?)) CROSS JOIN docs ON docs.id = asked"
            " CROSS JOIN changes ON changes.seq = docs.seq"
        )
        args.append(id_list(dict.fromkeys(docids)))
    text = "text" if include_docs else "NULL"
    if include_docs:
        source += " CROSS JOIN bodies ON bodies.seq = changes.body"
    rows = connection.execute(
        f"SELECT changes.seq, changes.id, changes.deleted, {line}, {text} FROM {source}"
        f" WHERE changes.{where} ORDER BY changes.seq{order} LIMIT ?",
        (*args, since, limit),
    )
    return [Change(seq, docid, bool(deleted), row, doc) for seq, docid, deleted, row, doc in rows]


# -- local documents ---------------------------------------------------------------------------


def local(connection: apsw.Connection, docid: str) -> LocalDocument | None:
    row = connection.execute("SELECT rev, body FROM local WHERE id = ?", (docid,)).fetchone()
    return None if row is None else local_document(docid, *row)


def local_document(docid: str, rev: int, body: bytes) -> LocalDocument:
    head = b'{"_id":%b,"_rev":"0-%d"' % (orjson.dumps(f"_local/{docid}"), rev)
    return LocalDocument(docid, f"0-{rev}", head + (b"," + body[1:] if len(body) > 2 else b"}"))


def local_documents(
    connection: apsw.Connection, span: KeyRange, skip: int, limit: int
) -> Iterator[LocalDocument]:
    where, args, order = id_span(span)
    for row in connection.execute(
        f"SELECT id, rev, body FROM local WHERE true{where} ORDER BY {order} LIMIT ? OFFSET ?",
        (*args, limit, skip),
    ):
        yield local_document(*row)
