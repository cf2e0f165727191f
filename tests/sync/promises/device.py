"""A device: what PouchDB is to replication, with every chance to break off.

It keeps revision trees that only grow, bodies of leaves, and checkpoints on both sides, and replicates by the
same requests in the same order as PouchDB 9. Everything is remembered in memory; a device that is thrown away
is a new object.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import Path, Rev, format_rev, parse_rev, parse_revisions

Answer = tuple[int, Any]
"""Status and decoded body."""
Ask = Callable[..., Awaitable[Answer]]
"""`ask(method, path, body)`: a request of this device's user to the database."""

Between = Callable[[], Awaitable[None]]
"""Something that happens elsewhere in the middle of a replication."""

HISTORY = 5


class Break(StrEnum):
    """Where a replication breaks off, in its first batch."""

    NEVER = "never"
    LISTED = "listed"
    """After the source's feed has been read."""
    COMPARED = "compared"
    """After the target has said what it lacks; of a pull, after the documents have come."""
    HALFWAY = "halfway"
    """Half of the batch has been written."""
    WRITTEN = "written"
    """Everything has been written and nobody has written that down. Of a push: the answer is lost."""
    ONE_SIDE = "one side"
    """Only the target has its checkpoint."""


@dataclass
class Version:
    """What a device has of one leaf."""

    body: dict[str, Any]
    """Members without those of the protocol."""
    deleted: bool
    attachments: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Pushed:
    """Work that has reached the server."""

    user: str
    docid: str
    path: Path
    text: bytes
    """The body, without what is attached."""
    deleted: bool


class BrokenPromiseError(AssertionError):
    """What a client must be able to rely on didn't hold."""


class NotAdmittedError(BrokenPromiseError):
    """The server doesn't let the device's user in."""


class Device:
    def __init__(self, user: str, number: int, ask: Ask, pushed: Callable[[Pushed], None]) -> None:
        """`pushed` is told of every revision that is sent, before it is sent."""
        self.user = user
        self.name = f"{user}-{number}"
        self.trees: dict[str, RevisionTree] = {}
        self.versions: dict[str, dict[Rev, Version]] = {}
        self._ask = ask
        self._pushed = pushed
        self._local: dict[str, dict[str, Any]] = {}
        self._feed: dict[str, int] = {}
        """Document -> its latest local change, in that order."""
        self._seq = 0
        self._sessions = 0
        self.denied = 0
        """Revisions of it that were refused."""

    def twin(self, ask: Ask, pushed: Callable[[Pushed], None]) -> Device:
        """Another device that has everything this one has."""
        twin = Device(self.user, 0, ask, pushed)
        twin.name = self.name
        twin.trees = {docid: tree.copy() for docid, tree in self.trees.items()}
        twin.versions = {docid: dict(versions) for docid, versions in self.versions.items()}
        twin._local, twin._feed = dict(self._local), dict(self._feed)
        twin._seq, twin._sessions = self._seq, self._sessions
        return twin

    # -- what it shows and what is done on it --------------------------------------------------

    def shown(self) -> dict[str, Rev]:
        """Documents that live on it, with their winners."""
        found = {}
        for docid, tree in self.trees.items():
            winner = tree.winner()
            if not tree.is_deleted(winner):
                found[docid] = winner
        return found

    def live_leaves(self, docid: str) -> list[Rev]:
        tree = self.trees[docid]
        return [leaf for leaf in tree.leaves() if not tree.is_deleted(leaf)]

    def version(self, docid: str) -> Version:
        """What it shows of a document."""
        return self.versions[docid][self.trees[docid].winner()]

    def write(self, docid: str, name: str, version: Version) -> None:
        """An edit, a deletion or a new document, on what wins here, even if that is deleted."""
        tree = self.trees.get(docid)
        if tree is None:
            path = Path(1, [name])
        else:
            above = tree.path(tree.winner())
            path = Path(above.start + 1, [name, *above.ids])
        self._take(docid, path, version)

    def _take(self, docid: str, path: Path, version: Version) -> None:
        tree = self.trees.setdefault(docid, RevisionTree())
        if not tree.add(path, version.deleted):
            return
        versions = self.versions.setdefault(docid, {})
        versions[path.leaf] = version
        leaves = set(tree.leaves())
        for rev in [rev for rev in versions if rev not in leaves]:
            del versions[rev]
        self._seq += 1
        self._feed.pop(docid, None)
        self._feed[docid] = self._seq

    def forget_checkpoint(self, direction: str) -> None:
        self._local.pop(direction, None)

    def checkpoint_id(self, direction: str) -> str:
        return f"{self.name}.{direction}"

    # -- checkpoints ---------------------------------------------------------------------------

    async def _server_checkpoint(self, direction: str) -> dict[str, Any] | None:
        status, found = await self._ask("GET", f"_local/{self.checkpoint_id(direction)}")
        return None if status == 404 else dict(_good((status, found)))

    async def _since(self, direction: str) -> Any:
        here, there = self._local.get(direction), await self._server_checkpoint(direction)
        target, source = (here, there) if direction == "pull" else (there, here)
        if target is None or source is None:
            return 0
        if source["session_id"] == target["session_id"]:
            return source["last_seq"]
        return _common(source["history"], target["history"])

    async def _write_checkpoints(self, direction: str, seq: Any, session: str, *, one_side: bool) -> None:
        """The target's comes first."""
        sides = ["here", "there"] if direction == "pull" else ["there", "here"]
        for side in sides[: 1 if one_side else 2]:
            if side == "here":
                self._local[direction] = _noted(self._local.get(direction), seq, session)
                continue
            note = _noted(await self._server_checkpoint(direction), seq, session)
            _good(await self._ask("PUT", f"_local/{self.checkpoint_id(direction)}", note), 201)

    # -- pulling -------------------------------------------------------------------------------

    async def pull(
        self, size: int = 100, batches: int = 1000, at: Break = Break.NEVER, between: Between | None = None
    ) -> int:
        """At most so many batches of so many rows; returns how many revisions were new.

        `between` the reading of the first batch of the feed and of its documents something else happens.
        """
        since = await self._since("pull")
        session = self._session()
        taken = 0
        for _ in range(batches):
            path = f"_changes?style=all_docs&limit={size}&since={_quoted(since)}"
            feed = _good(await self._ask("GET", path))
            rows = feed["results"]
            if not rows:
                break
            since = rows[-1]["seq"]
            if at is Break.LISTED:
                return taken
            if between is not None:
                await between()
                between = None
            missing = []
            for row in rows:
                tree = self.trees.get(row["id"])
                missing += [
                    (row["id"], change["rev"])
                    for change in row["changes"]
                    if tree is None or parse_rev(change["rev"]) not in tree
                ]
            documents = await self._fetched(missing)
            if at is Break.COMPARED:
                return taken
            if at is Break.HALFWAY:
                documents = documents[: len(documents) // 2]
            for document in documents:
                self._store(document)
            taken += len(documents)
            if at in (Break.HALFWAY, Break.WRITTEN):
                return taken
            await self._write_checkpoints("pull", since, session, one_side=at is Break.ONE_SIDE)
            if at is Break.ONE_SIDE or len(rows) < size:
                break
        return taken

    async def _fetched(self, missing: list[tuple[str, str]]) -> list[dict[str, Any]]:
        if not missing:
            return []
        wanted = {"docs": [{"id": docid, "rev": rev} for docid, rev in missing]}
        answer = _good(await self._ask("POST", "_bulk_get?revs=true&attachments=true&latest=true", wanted))
        if len(answer["results"]) != len(missing):
            raise BrokenPromiseError(f"{len(missing)} revisions asked for, {len(answer['results'])} rows")
        found = []
        for (docid, rev), result in zip(missing, answer["results"], strict=True):
            if result["id"] != docid:
                raise BrokenPromiseError(f"asked for {docid}, answered {result['id']}")
            for one in result["docs"]:
                if "ok" not in one:
                    raise BrokenPromiseError(f"{docid} {rev} in the feed is answered by an error: {one}")
                found.append(one["ok"])
        return found

    def _store(self, document: Mapping[str, Any]) -> None:
        attached = {
            name: base64.b64decode(one["data"]) for name, one in document.get("_attachments", {}).items()
        }
        body = {name: value for name, value in document.items() if name[:1] != "_"}
        path = parse_revisions(document["_revisions"])
        if path.leaf != parse_rev(document["_rev"]):
            raise BrokenPromiseError(f"{document['_id']}: _rev and _revisions contradict each other")
        self._take(document["_id"], path, Version(body, bool(document.get("_deleted")), attached))

    # -- pushing -------------------------------------------------------------------------------

    async def push(
        self, size: int = 100, batches: int = 1000, at: Break = Break.NEVER, between: Between | None = None
    ) -> int:
        """At most so many batches of so many documents; returns how many revisions were sent.

        `between` the first comparison and the sending of what is missing something else happens.
        """
        since = int(await self._since("push"))
        session = self._session()
        sent = 0
        for _ in range(batches):
            rows = [(seq, docid) for docid, seq in self._feed.items() if seq > since][:size]
            if not rows:
                break
            since = rows[-1][0]
            if at is Break.LISTED:
                return sent
            leaves = {docid: list(map(format_rev, self.trees[docid].leaves())) for _, docid in rows}
            missing = _good(await self._ask("POST", "_revs_diff", leaves))
            if at is Break.COMPARED:
                return sent
            if between is not None:
                await between()
                between = None
            documents = [
                self._sendable(docid, parse_rev(rev))
                for docid in leaves
                for rev in missing.get(docid, {}).get("missing", ())
            ]
            if at is Break.HALFWAY:
                documents = documents[: len(documents) // 2]
            if documents:
                sent += len(documents)
                answer = _good(
                    await self._ask("POST", "_bulk_docs", {"docs": documents, "new_edits": False}), 201
                )
                # Refused as a whole, they would all still be on the device, to be sent another time.
                for document in documents:
                    self._note_sent(document)
                for row in answer:
                    self.denied += "error" in row
                    if row.get("error") not in (None, "forbidden", "unauthorized"):
                        raise BrokenPromiseError(f"this ends a push for good: {row}")
            if at in (Break.HALFWAY, Break.WRITTEN):
                return sent
            await self._write_checkpoints("push", since, session, one_side=at is Break.ONE_SIDE)
            if at is Break.ONE_SIDE:
                break
        return sent

    def _sendable(self, docid: str, rev: Rev) -> dict[str, Any]:
        version = self.versions[docid][rev]
        if version.deleted and "revoked" in version.body:
            raise BrokenPromiseError(f"the server lacks its own tombstone {format_rev(rev)} of {docid}")
        path = self.trees[docid].path(rev)
        document: dict[str, Any] = {
            **version.body,
            "_id": docid,
            "_rev": format_rev(rev),
            "_revisions": {"start": path.start, "ids": list(path.ids)},
        }
        if version.deleted:
            document["_deleted"] = True
        if version.attachments:
            document["_attachments"] = {
                name: {"content_type": "application/octet-stream", "data": base64.b64encode(data).decode()}
                for name, data in version.attachments.items()
            }
        return document

    def _note_sent(self, document: Mapping[str, Any]) -> None:
        docid, path = document["_id"], parse_revisions(document["_revisions"])
        version = self.versions[docid][path.leaf]
        self._pushed(Pushed(self.user, docid, path, orjson.dumps(version.body), version.deleted))

    def _session(self) -> str:
        self._sessions += 1
        return f"{self.name}.{self._sessions}"


def _good(answer: Answer, status: int = 200) -> Any:
    if answer[0] in (401, 403):
        raise NotAdmittedError(f"not let in: {answer[1]}")
    if answer[0] != status:
        raise BrokenPromiseError(f"a replication is answered {answer[0]}: {answer[1]}")
    return answer[1]


def _quoted(seq: Any) -> str:
    return str(seq).replace(":", "%3A")


def _noted(before: dict[str, Any] | None, seq: Any, session: str) -> dict[str, Any]:
    note = before or {"history": [], "replicator": "pouchdb", "version": 1}
    if note.get("last_seq") == seq:
        return note
    history = [one for one in note["history"] if one["session_id"] != session]
    history.insert(0, {"last_seq": seq, "session_id": session})
    return {**note, "history": history[:HISTORY], "session_id": session, "last_seq": seq}


def _common(source: list[dict[str, Any]], target: list[dict[str, Any]]) -> Any:
    """The latest place that both histories know."""
    while source and target:
        if any(one["session_id"] == source[0]["session_id"] for one in target):
            return source[0]["last_seq"]
        if any(one["session_id"] == target[0]["session_id"] for one in source[1:]):
            return target[0]["last_seq"]
        source, target = source[1:], target[1:]
    return 0
