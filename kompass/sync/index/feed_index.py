"""The feed index of the embedded engine: who sees which documents, and in which order he hears of them.

It is an extension of the database's file: what a write does to anybody's feed is part of the write. Whoever
reads gives a `Reading`, one snapshot, so that what is shown and what is checked belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import apsw
import orjson

from kompass.access import DEFAULT, Action, Matrix, Principal, companions, decide
from kompass.access.channels import Relation
from kompass.access.principals import Role, known_roles
from kompass.sync.index import cards, schema, touching
from kompass.sync.index.feed import FeedReader, FeedRow
from kompass.sync.index.keeping import Step
from kompass.sync.index.listing import MINE, SEES
from kompass.sync.index.people import Person, person
from kompass.sync.index.remembering import is_lasting
from kompass.sync.index.rules import MatrixRules, Rules
from kompass.sync.index.second_look import Disagreements, SecondLook, StatedRoles
from kompass.sync.index.stored import StoredParents, StoredRelations
from kompass.sync.index.touched import Touched, touched_in
from kompass.sync.index.waiting import Wakers
from kompass.sync.positions import position
from kompass.sync.tombstones import Tombstones
from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import Path, Rev, format_rev
from replication.store.sqlite import ChangedDocument, Extension, Reading, SqliteDatabase, Writing, id_list
from replication.store.values import Document

_REMEMBERED = 2000
_FIRST = (
    "min((SELECT min(since) FROM access_entries WHERE doc = d.num),"
    " ifnull((SELECT min(since) FROM access_left WHERE doc = d.num), e.since))"
)
"""Since when a document has had any channel."""
_WRITTEN = (
    "(SELECT CASE count(*) WHEN :count THEN min(body) END FROM ("
    "SELECT r.body FROM json_each(:revs) CROSS JOIN revs r ON r.doc = d.num AND r.rev = value"
    " UNION SELECT w.body FROM docs w WHERE w.id = d.id AND w.rev IN (SELECT value FROM json_each(:revs))))"
)
"""When the earliest of some versions was written; null if one isn't stored."""


class FeedIndex(Extension):
    """See the module. One per database; give it to `SqliteStore.open`."""

    def __init__(self, database: str, rules: Rules) -> None:
        """`rules` as they are without any document that sets other ones."""
        self.database_name = database
        self._rules: dict[str, Rules] = {"": rules}
        """By what set them."""
        self._tombstones: Tombstones | None = None
        self._wakers = Wakers()
        self._people: dict[str, Person] = {}
        self._counts: dict[str, tuple[int, tuple[int, int]]] = {}
        self._stated_roles = StatedRoles()
        self.disagreements = Disagreements()
        self.touches_waiting: Callable[[], None] = lambda: None
        """Called in a writing thread when there is work for the toucher."""
        self.taken: Callable[[Writing, Collection[str], Collection[str]], None] = lambda *_: None
        """`(writing, people, documents)`: called in a transaction in which these people have lost channels or
        these documents have left some. May write documents."""

    # -- the extension -------------------------------------------------------------------------

    def make_tables(self, connection: apsw.Connection) -> None:
        schema.make_tables(connection)

    def prepare(self, writing: Writing) -> None:
        # What was remembered is of another file: its numbers may come again and mean something else.
        self._people.clear()
        self._counts.clear()
        self._rules = {"": self._rules[""]}
        self._stated_roles = StatedRoles()
        new = schema.begin(writing.connection)
        self._tombstones = Tombstones(schema.key(writing.connection), self.database_name)
        if new:
            self._index_everything(writing)

    def _index_everything(self, writing: Writing) -> None:
        """A database that was there before its index: everything is granted as of now."""
        rows: Any = writing.connection.execute(
            "SELECT docs.id, num, docs.seq, rev, deleted, text, leaves"
            " FROM docs JOIN bodies ON bodies.seq = body ORDER BY docs.seq"
        ).fetchall()
        documents = [
            ChangedDocument(docid, num, 0, seq, rev, bool(deleted), bytes(text), leaves)
            for docid, num, seq, rev, deleted, text, leaves in rows
        ]
        if documents:
            self.changed(writing, documents)

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        rules = self.rules(writing)
        cards.follow(writing, documents, rules, self.tombstones)
        step = Step(writing, rules)
        step.run(documents)
        self.follow(writing, step)

    def follow(self, writing: Writing, step: Step) -> None:
        """What a step has changed is told, now and when it is durable."""
        writing.tell(step.touched)
        left = step.left()
        if step.lost_by or left:
            self.taken(writing, step.lost_by, left)

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        self._wake(touched_in(notes))

    def shared(self, notes: Sequence[object]) -> str | None:
        return touched_in(notes).encoded()

    def played(self, update_seq: int, shared: str | None) -> None:
        if shared is not None:
            self._wake(Touched.decoded(shared))

    def _wake(self, touched: Touched) -> None:
        self._wakers.wake(touched.channels, touched.users)
        if touched.touches:
            self.touches_waiting()

    def closed(self) -> None:
        """Whoever waits finds the database gone."""
        self._wakers.wake_all()

    # -- people --------------------------------------------------------------------------------

    @property
    def tombstones(self) -> Tombstones:
        assert self._tombstones is not None, "the database has not been opened"
        return self._tombstones

    def person(self, reading: Reading, user: str) -> Person:
        """Somebody as this snapshot has him."""
        if not is_lasting(reading):
            return person(reading, user)
        version = reading.connection.execute("SELECT version FROM access_users WHERE name = ?", (user,)).get
        known = self._people.get(user)
        if known is None or version is None or known.version != version:
            known = person(reading, user)
            if len(self._people) >= _REMEMBERED:
                self._people.clear()
            if version is not None:
                self._people[user] = known
        return known

    def roles(self, reading: Reading, user: str) -> frozenset[Role] | None:
        """By the user's document; None if there is none, or it isn't active."""
        found = reading.connection.execute(
            "SELECT roles FROM access_users WHERE name = ? AND active", (user,)
        ).get
        return None if found is None else known_roles(found.split())

    def parents(self, reading: Reading) -> StoredParents:
        return StoredParents(reading)

    def rules(self, reading: Reading) -> Rules:
        """The access rules as this snapshot has them."""
        setting: str = (
            reading.connection.execute("SELECT value FROM access_meta WHERE name = 'rules'").get or ""
        )
        rules = self._rules.get(setting)
        if rules is None:
            # What set them, as it was then: the document itself may be changing in this very transaction.
            source = orjson.loads(setting)
            rules = self._rules[""].changed_by(source["id"], source["doc"]) or self._rules[""]
            self._rules = {"": self._rules[""], setting: rules}
        return rules

    def matrix(self, reading: Reading) -> Matrix:
        """The permissions that are in force."""
        rules = self.rules(reading)
        return rules.matrix if isinstance(rules, MatrixRules) else DEFAULT

    def relations(self, reading: Reading, user: str) -> AbstractSet[Relation]:
        """What stored documents say about somebody, as long as the snapshot lasts."""
        return StoredRelations(reading, user)

    def may_read(self, reading: Reading, user: str, doc: Mapping[str, Any]) -> bool:
        """Whether somebody may read a document by the rules, also one that the index hasn't heard of yet."""
        roles = self.roles(reading, user)
        if roles is None:
            return False
        return decide(
            Principal(user, roles),
            Action.READ,
            doc,
            relations=self.relations(reading, user),
            parents=self.parents(reading),
            matrix=self.matrix(reading),
        ).allowed

    def reads_text(self, reading: Reading, principal: Principal, doc: Mapping[str, Any]) -> bool:
        """Whether the rules let somebody read such a text, fields that belong in companions included.

        `doc` has its `_id`.
        """
        relations, parents = self.relations(reading, principal.name), self.parents(reading)
        matrix = self.matrix(reading)
        return all(
            decide(principal, Action.READ, one, relations=relations, parents=parents, matrix=matrix).allowed
            for one in (doc, *companions.named(doc))
        )

    def channels_of(self, reading: Reading, docid: str) -> dict[str, int]:
        """The channels a document is in, each since which change."""
        rows: Any = reading.connection.execute(
            "SELECT c.name, e.since FROM access_docs d CROSS JOIN access_entries e ON e.doc = d.num"
            " CROSS JOIN access_channels c ON c.num = e.channel WHERE d.id = ?",
            (docid,),
        )
        return dict(rows)

    def channels_held(self, reading: Reading, user: str) -> dict[str, int]:
        """The channels somebody holds, each since which change."""
        rows: Any = reading.connection.execute(
            "SELECT c.name, h.since FROM access_holdings h CROSS JOIN access_channels c ON c.num = h.channel"
            " WHERE h.user = ?",
            (user,),
        )
        return dict(rows)

    # -- reading -------------------------------------------------------------------------------

    def sees(self, reading: Reading, user: str, docids: Iterable[str]) -> set[str]:
        """Which of these documents somebody may read now, deleted ones included."""
        rows: Any = reading.connection.execute(
            f"SELECT d.id FROM json_each(:ids) CROSS JOIN access_docs d ON d.id = value WHERE {SEES}",
            {"ids": id_list(docids), "user": user},
        )
        return {docid for (docid,) in rows}

    def saw(self, reading: Reading, user: str, docid: str, revs: Collection[str]) -> bool:
        """Whether a channel through which somebody sees a document was its channel when it said this, too.

        True for certain if the document was in that channel from its beginning; otherwise the versions have
        to be stored still, for only those tell when they were written.
        """
        found = reading.connection.execute(
            "SELECT 1 FROM access_docs d CROSS JOIN access_entries e ON e.doc = d.num"
            " CROSS JOIN access_holdings h ON h.channel = e.channel AND h.user = :user"
            f" WHERE d.id = :id AND (e.since <= {_FIRST} OR e.since <= {_WRITTEN}) LIMIT 1",
            {"user": user, "id": docid, "revs": id_list(revs), "count": len(revs)},
        ).get
        return found is not None

    def readable(self, reading: Reading, user: str, docids: Iterable[str]) -> dict[str, Document]:
        """The winners of those of these documents that somebody may read now, deleted ones included.

        Whatever is said of a text goes through here, or through both of what it asks: the index has to show
        the document to him, and the rules have to agree. If they don't, the document isn't there.
        """
        seen = self.sees(reading, user, docids)
        if not seen:
            return {}
        look = self.second_look(reading, user)
        return {docid: winner for docid, winner in reading.winners(seen).items() if look.allows(winner)}

    def second_look(self, reading: Reading, user: str) -> SecondLook:
        """What judges once more, by the rules alone, what `sees` has said yes to."""
        roles = self._stated_roles.of(reading, user)
        if roles is None:
            roles = self.roles(reading, user) or frozenset()
        return SecondLook(reading, self.rules(reading), user, roles, self.disagreements)

    def knew(self, reading: Reading, docids: Iterable[str]) -> set[str]:
        """Which of these documents there are or ever were, purged ones included."""
        rows: Any = reading.connection.execute(
            "SELECT DISTINCT d.id FROM json_each(?) CROSS JOIN access_docs d ON d.id = value",
            (id_list(docids),),
        )
        return {docid for (docid,) in rows}

    def may_hold(self, reading: Reading, user: str, docids: Collection[str]) -> dict[str, set[Rev]]:
        """Of documents that somebody doesn't see: the stored revisions he may know from when he did.

        Those are the leaves that were closed for him, and what they come from.
        """
        closed = self._feed(reading, user).closed_leaves(docids)
        return {docid: self._may_hold(reading, docid, closed.get(docid, set())) for docid in docids}

    def _may_hold(self, reading: Reading, docid: str, leaves: Collection[Rev]) -> set[Rev]:
        held: set[Rev] = set()
        for tree in self._trees(reading, docid) if leaves else ():
            for leaf in leaves:
                if leaf in tree:
                    held |= {leaf} | tree.ancestors(leaf)
        return held

    def purged(self, reading: Reading, docids: Iterable[str]) -> dict[str, set[Rev]]:
        """The revisions of documents that were purged, whether or not there is such a document again.

        For those who may hold one of them; nobody else must learn from it that there was such a document.
        """
        rows: Any = reading.connection.execute(
            "SELECT d.id, p.tree FROM json_each(?) CROSS JOIN access_docs d ON d.id = value"
            " CROSS JOIN access_purged p ON p.doc = d.num",
            (id_list(docids),),
        )
        found: dict[str, set[Rev]] = {}
        for docid, text in rows:
            found.setdefault(docid, set()).update(RevisionTree.from_json(orjson.loads(text)))
        return found

    def _feed(self, reading: Reading, user: str) -> FeedReader:
        return FeedReader(reading, self.person(reading, user), self.tombstones)

    def rows(
        self,
        reading: Reading,
        user: str,
        since: int,
        limit: int,
        *,
        descending: bool = False,
        docids: Iterable[str] | None = None,
    ) -> list[FeedRow]:
        """At most `limit` rows of somebody's feed after the position `since`; descending: before it.

        With `docids` only the rows of these documents.
        """
        feed = self._feed(reading, user)
        if docids is not None:
            return feed.rows_of(docids, since, descending=descending)[:limit]
        return feed.rows(since, limit, descending=descending)

    def row_of(self, reading: Reading, user: str, docid: str) -> FeedRow | None:
        """The row of one document; None if he never heard of it."""
        return self._feed(reading, user).row_of(docid)

    def pending(self, reading: Reading, user: str, since: int) -> int:
        """How many rows there are after `since`."""
        return self._feed(reading, user).pending(since)

    def held(self, reading: Reading, user: str, since: int) -> int:
        """How many live documents that somebody sees have not changed for him since a place in his feed."""
        return self.counts(reading, user)[0] - self._feed(reading, user).pending_live(since)

    def latest(self, reading: Reading, user: str) -> int:
        """The end of everybody's feed at this moment."""
        return position(reading.update_seq)

    def counts(self, reading: Reading, user: str) -> tuple[int, int]:
        """(live, deleted) documents somebody sees."""
        number = reading.update_seq
        lasting = is_lasting(reading)
        known = self._counts.get(user)
        if lasting and known is not None and known[0] == number:
            return known[1]
        live = deleted = 0
        for is_deleted, count in reading.connection.execute(
            f"SELECT d.deleted, count(*) FROM (SELECT DISTINCT doc FROM ({MINE})) m"
            " CROSS JOIN access_docs d ON d.num = m.doc GROUP BY d.deleted",
            {"user": user},
        ):
            live, deleted = (live, count) if is_deleted else (count, deleted)
        if lasting:
            if len(self._counts) >= _REMEMBERED:
                self._counts.clear()
            self._counts[user] = (number, (live, deleted))
        return live, deleted

    async def wait(self, database: SqliteDatabase, user: str, since: int) -> None:
        """Returns when somebody's feed has a row after `since`, or the database is gone."""
        while True:
            with database.reading() as reading:
                who = self.person(reading, user)
                if FeedReader(reading, who, self.tombstones).is_after(since):
                    return
                at = reading.update_seq
            waiter = self._wakers.add(user, who.held)
            try:
                # A commit between the reading and here has woken nobody.
                if database.update_seq != at:
                    continue
                await waiter.future
            finally:
                self._wakers.remove(waiter)

    # -- tombstones ----------------------------------------------------------------------------

    def knows_tombstone(self, docid: str, rev: Rev) -> bool:
        """Whether a revision is a synthetic tombstone of this server."""
        return self.tombstones.made(docid, rev)

    def tombstone(self, docid: str, rev: Rev) -> Rev:
        return self.tombstones.of(docid, rev)

    def tombstone_text(self, docid: str, tombstone: Rev) -> bytes:
        return self.tombstones.text(docid, tombstone)

    def tombstone_path(self, reading: Reading, user: str, docid: str, tombstone: Rev) -> Path | None:
        """A tombstone's history, back to where its document's begins; None if its revision is unknown.

        Known are the document's own revisions and those of this user that were refused.
        """
        wanted = tombstone[0] - 1
        for tree in self._trees(reading, docid):
            for rev in tree:
                if rev[0] == wanted and self.tombstones.closes(docid, tombstone, rev):
                    path = tree.path(rev)
                    return Path(path.start + 1, [tombstone[1], *path.ids])
        for (text,) in reading.connection.execute(
            "SELECT path FROM access_refused WHERE user = ? AND id = ?", (user, docid)
        ):
            value = orjson.loads(text)
            for at, name in enumerate(value["ids"]):
                rev = (value["start"] - at, name)
                if rev[0] == wanted and self.tombstones.closes(docid, tombstone, rev):
                    return Path(rev[0] + 1, [tombstone[1], *value["ids"][at:]])
        return None

    def _trees(self, reading: Reading, docid: str) -> list[RevisionTree]:
        """The histories a document has, and had before it was purged."""
        state = reading.revisions(docid)
        trees = [] if state is None else [state.tree]
        for (text,) in reading.connection.execute(
            "SELECT p.tree FROM access_docs d CROSS JOIN access_purged p ON p.doc = d.num WHERE d.id = ?",
            (docid,),
        ):
            trees.append(RevisionTree.from_json(orjson.loads(text)))
        return trees

    def keyed_revision(self, docid: str, parent: Rev | None, body: bytes) -> str:
        """The id (without its generation) of a revision that the server writes itself."""
        return self.tombstones.keyed_revision(docid, parent, body)

    # -- writing -------------------------------------------------------------------------------

    def refuse(self, writing: Writing, user: str, docid: str, path: Path) -> None:
        """From now on T of this revision is in the user's feed, with every later row of the document.

        If the refused revision hides the winner, which he may see, the winner is touched at once.
        """
        place = writing.next_seq()
        rev = format_rev(path.leaf)
        writing.connection.execute(
            "INSERT OR IGNORE INTO access_refused VALUES (?, ?, ?, ?, ?)",
            (user, docid, rev, orjson.dumps({"start": path.start, "ids": list(path.ids)}).decode(), place),
        )
        if not writing.connection.changes():
            return
        writing.connection.execute(
            "INSERT INTO access_users VALUES (?, '', 0, ?)"
            " ON CONFLICT (name) DO UPDATE SET version = excluded.version",
            (user, place),
        )
        writing.tell(Touched(users={user}))
        if docid in self.sees(writing, user, [docid]):
            touching.touch_shadowed(writing, self.tombstones, docid, [user])

    def reopen(self, writing: Writing, user: str, closed: Mapping[str, Rev]) -> None:
        """Touches the winners that these tombstones close on somebody's devices, if he may see them.

        Needed where nothing is known any more of what closed them.
        """
        for docid in sorted(self.sees(writing, user, closed)):
            touching.touch_closed(writing, self.tombstones, docid, closed[docid])

    def refused(self, reading: Reading, docid: str, rev: Rev) -> bool:
        """Whether this revision was refused, whoever sent it."""
        found = reading.connection.execute(
            "SELECT 1 FROM access_refused WHERE id = ? AND rev = ?", (docid, format_rev(rev))
        ).get
        return found is not None
