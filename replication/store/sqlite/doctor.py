"""Looking over a data directory that nobody serves, and mending what can be mended.

What is stored twice for speed can be made anew from what is stored once: the feed and the counters
from `docs`, indexes from documents. What nobody refers to can be removed. A text or an attachment
that is lost can't be brought back; the finding names it, and the answer is the backup.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import apsw
import orjson

from replication.protocol import jsontext
from replication.protocol.revisions import format_rev
from replication.store.sqlite.blobs import AttachmentTable, chunk_key
from replication.store.sqlite.entries import ROW, Entry, change_text, leaves_text
from replication.store.sqlite.lock import check_no_copies, lock_directory
from replication.store.sqlite.schema import UnknownSchemaError, migrate
from replication.store.sqlite.store import SUFFIX
from replication.store.sqlite.transaction import Counters


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    database: str
    what: str
    advice: str
    repaired: bool = False


def examine(directory: Path, *, repair: bool = False) -> Iterator[Finding]:
    """Goes through every database of a data directory.

    Raises `DirectoryInUseError` while a server runs on it, or if it has copies. With `repair`, mends what
    `Finding.repaired` then says.
    """
    with lock_directory(directory):
        check_no_copies(directory)
        for path in sorted(directory.glob(f"*{SUFFIX}")):
            yield from _examine_file(unquote(path.name.removesuffix(SUFFIX)), path, repair)


def _examine_file(name: str, path: Path, repair: bool) -> Iterator[Finding]:
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        migrate(connection)
    except (apsw.Error, UnknownSchemaError) as error:
        yield Finding(name, f"cannot be opened: {error}", "restore it from a backup")
        return
    try:
        checkup = _Checkup(name, connection, repair)
        with connection:
            yield from checkup.run()
    except (apsw.CorruptError, apsw.NotADBError) as error:
        yield Finding(name, f"the file is damaged: {error}", "restore it from a backup")
    finally:
        connection.close()


class _Checkup:
    def __init__(self, name: str, connection: apsw.Connection, repair: bool) -> None:
        self._name = name
        self._connection = connection
        self._repair = repair

    def run(self) -> Iterator[Finding]:
        yield from self._file()
        yield from self._documents()
        yield from self._feed()
        yield from self._leftovers()
        yield from self._attachments()
        yield from self._indexes()
        yield from self._counters()

    def _found(self, what: str, repaired: bool, advice: str = "run with --repair") -> Finding:
        return Finding(self._name, what, "" if repaired else advice, repaired)

    def _rows(self, sql: str, *args: Any) -> list[Any]:
        return self._connection.execute(sql, args).fetchall()

    def _file(self) -> Iterator[Finding]:
        for (problem,) in self._rows("PRAGMA integrity_check(20)"):
            if problem != "ok":
                if self._repair:
                    self._connection.execute("REINDEX")
                    again = self._rows("PRAGMA integrity_check(1)")
                    if again == [("ok",)]:
                        yield self._found(f"damaged index: {problem}", True)
                        return
                yield self._found(f"damaged file: {problem}", False, "restore it from a backup")

    def _documents(self) -> Iterator[Finding]:
        """Trees against winners and bodies. What is wrong here is wrong with the truth itself."""
        for row in self._connection.execute(f"SELECT {ROW} FROM docs"):
            entry = Entry(*row)
            try:
                problem = self._document_problem(entry)
            except (ValueError, KeyError, IndexError, TypeError) as error:
                problem = f"its revision tree can't be read ({error})"
            if problem:
                yield self._found(
                    f"document {jsontext.quote(entry.id)}: {problem}", False, "restore it from a backup"
                )

    def _document_problem(self, entry: Entry) -> str | None:
        leaves = entry.tree.leaves()
        if format_rev(leaves[0]) != entry.rev or len(leaves) != entry.leaves:
            return "its winner does not fit its revision tree"
        if entry.tree.is_deleted(leaves[0]) != bool(entry.deleted):
            return "its deletion does not fit its revision tree"
        others = dict(self._rows("SELECT rev, body FROM revs WHERE doc = ? AND leaf", entry.num))
        if set(others) != {format_rev(leaf) for leaf in leaves[1:]}:
            return "its list of leaves does not fit its revision tree"
        for rev, body in [(entry.rev, entry.body), *others.items()]:
            text = self._connection.execute("SELECT text FROM bodies WHERE seq = ?", (body,)).get
            if text is None:
                return f"the text of revision {rev} is missing"
            value = orjson.loads(text) if len(text) < 1_000_000 else jsontext.decode(text)
            if value.get("_id") != entry.id or value.get("_rev") != rev:
                return f"the text of revision {rev} is another's"
        return None

    def _feed(self) -> Iterator[Finding]:
        """Rows of `changes` against `docs`; they can be written anew."""
        wrong = self._rows(
            "SELECT docs.id FROM docs LEFT JOIN changes ON changes.seq = docs.seq"
            " WHERE changes.id IS NOT docs.id OR changes.body IS NOT docs.body"
            " OR changes.deleted IS NOT docs.deleted"
        )
        surplus = self._rows(
            "SELECT changes.seq FROM changes LEFT JOIN docs ON docs.id = changes.id"
            " WHERE docs.seq IS NOT changes.seq"
        )
        if self._repair:
            self._connection.executemany("DELETE FROM changes WHERE seq = ?", surplus)
            epoch = self._connection.execute("SELECT name FROM epochs ORDER BY rowid DESC LIMIT 1").get
            for (docid,) in wrong:
                self._rewrite(docid, str(epoch))
        if wrong:
            yield self._found(f"{len(wrong)} documents are not in the feed as they are", self._repair)
        if surplus:
            yield self._found(f"{len(surplus)} rows of the feed belong to no document", self._repair)

    def _rewrite(self, docid: str, epoch: str) -> None:
        row = self._connection.execute(f"SELECT {ROW} FROM docs WHERE id = ?", (docid,)).fetchone()
        entry = Entry(*row)  # type: ignore[misc]
        quoted, seq = jsontext.quote(docid), f"{entry.seq}-{epoch}"
        self._connection.execute(
            "INSERT OR REPLACE INTO changes VALUES (?, ?, ?, ?, ?, ?)",
            (
                entry.seq,
                docid,
                entry.deleted,
                entry.body,
                change_text(seq, quoted, [entry.rev], bool(entry.deleted)),
                leaves_text(seq, entry, quoted),
            ),
        )

    def _leftovers(self) -> Iterator[Finding]:
        """Texts and revision rows that no document leads to."""
        lost = self._rows("SELECT doc, rev FROM revs WHERE doc NOT IN (SELECT num FROM docs)")
        if lost:
            if self._repair:
                self._connection.executemany("DELETE FROM revs WHERE doc = ? AND rev = ?", lost)
            yield self._found(f"{len(lost)} revisions belong to no document", self._repair)
        bodies = self._rows(
            "SELECT seq FROM bodies WHERE seq NOT IN (SELECT body FROM docs UNION ALL SELECT body FROM revs)"
        )
        if bodies:
            if self._repair:
                self._connection.executemany("DELETE FROM bodies WHERE seq = ?", bodies)
                self._connection.executemany("DELETE FROM attachment_refs WHERE body = ?", bodies)
            yield self._found(f"{len(bodies)} texts belong to no revision", self._repair)

    def _attachments(self) -> Iterator[Finding]:
        table = AttachmentTable(self._connection)
        orphans = table.unreferenced()
        if orphans:
            if self._repair:
                for num in orphans:
                    table.remove(num)
            yield self._found(f"{len(orphans)} attachments belong to no document", self._repair)
        stray = self._rows(
            "SELECT body, name FROM attachment_refs WHERE body NOT IN (SELECT seq FROM bodies)"
        )
        if stray:
            if self._repair:
                self._connection.executemany("DELETE FROM attachment_refs WHERE body = ? AND name = ?", stray)
            yield self._found(f"{len(stray)} attachments are listed for texts that are gone", self._repair)
        for num, digest, size in self._rows("SELECT num, digest, stored_length FROM attachments"):
            if num in orphans:
                continue
            if not self._bytes_fit(num, digest, size):
                yield self._found(
                    f"attachment {num} ({digest}) does not hold the bytes it was stored with",
                    False,
                    "restore it from a backup",
                )

    def _bytes_fit(self, num: int, digest: str, size: int) -> bool:
        total, checksum = 0, md5(usedforsecurity=False)
        for (data,) in self._connection.execute(
            "SELECT data FROM chunks WHERE num BETWEEN ? AND ? ORDER BY num",
            (chunk_key(num, 0), chunk_key(num + 1, 0) - 1),
        ):
            piece: Any = data
            total += len(piece)
            checksum.update(piece)
        return total == size and f"md5-{b64encode(checksum.digest()).decode()}" == digest

    def _indexes(self) -> Iterator[Finding]:
        stray = self._rows(
            "SELECT DISTINCT index_num FROM index_entries WHERE id NOT IN"
            " (SELECT id FROM docs WHERE NOT deleted)"
            " AND index_num IN (SELECT num FROM indexes WHERE seq >= (SELECT update_seq FROM counters))"
        )
        if stray:
            if self._repair:
                self._connection.executemany("DELETE FROM row_partials WHERE index_num = ?", stray)
                self._connection.executemany("DELETE FROM index_entries WHERE index_num = ?", stray)
                self._connection.executemany("DELETE FROM indexes WHERE num = ?", stray)
            yield self._found(f"{len(stray)} indexes list documents that are not there", self._repair)

    def _counters(self) -> Iterator[Finding]:
        known = Counters.load(self._connection)
        live, gone, highest, size = self._rows(
            "SELECT (SELECT count(*) FROM docs WHERE NOT deleted), (SELECT count(*) FROM docs WHERE deleted),"
            " (SELECT coalesce(max(seq), 0) FROM bodies),"
            " (SELECT coalesce(sum(length(text)), 0) FROM bodies)"
        )[0]
        right = Counters(max(known.update_seq, highest), known.purge_seq, live, gone, size)
        if right != known:
            if self._repair:
                right.save(self._connection)
            yield self._found("its counts do not fit its documents", self._repair)
