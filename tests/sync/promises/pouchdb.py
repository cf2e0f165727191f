"""The same devices as real PouchDBs in processes of their own, one for each person.

Their requests don't pass through the test, so they are listened to where they reach the server, and broken
off there.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
import subprocess
from pathlib import Path
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import Rev, format_rev, parse_rev, parse_revisions
from tests.needs import ROOT
from tests.sync.promises.company import PASSWORD, PEOPLE, Company
from tests.sync.promises.device import (
    Between,
    Break,
    BrokenPromiseError,
    Device,
    NotAdmittedError,
    Pushed,
    Version,
)

_PROGRAM = ROOT / "pwa-contract" / "tests" / "support" / "tablets.mjs"
_TROUBLE = b'{"error":"service_unavailable","reason":"broken off on purpose"}'


class Tap:
    """Listens to requests of PouchDBs. One of a program's steps runs at a time."""

    def __init__(self) -> None:
        self.company: Company
        self.breaks: dict[str, Break] = {}
        """Device -> where its replication breaks off."""
        self.between: dict[str, Between] = {}
        """Device -> what happens when its replication has compared the two sides, once."""
        self.heard: list[BaseException] = []
        """What was wrong with answers."""
        self._broken: set[str] = set()

    def begin(self, device: str, at: Break) -> None:
        self.breaks[device] = at
        self._broken.discard(device)

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        device = headers.get(b"x-device", b"").decode()
        if not device:
            await app(scope, receive, send)
            return
        user = device.partition("-")[0]
        body = await _whole(receive)
        target = scope["path"] + "?" + scope["query_string"].decode()
        kind = scope["path"].rpartition("/")[2] if "/_local/" not in scope["path"] else "_local"
        at = self.breaks.get(device, Break.NEVER)
        if device in self._broken or self._refused(device, scope["method"], kind, at):
            await _say(send, 503, [(b"content-type", b"application/json")], _TROUBLE)
            return
        self._note(user, kind, target, body)
        status, said, text = await _answered(app, scope, body)
        self.company.oracle.look(self.company.database)
        try:
            self.company.check(user, scope["method"], target, status, text + repr(said).encode())
            self._check_rows(kind, text)
        except BrokenPromiseError as error:
            self.heard.append(error)
        if kind in ("_changes", "_revs_diff") and device in self.between:
            await self.between.pop(device)()
        if self._lost(device, kind, at):
            self._broken.add(device)
            status, said, text = 503, [(b"content-type", b"application/json")], _TROUBLE
        elif self._last(kind, at):
            self._broken.add(device)
        await _say(send, status, said, text)

    def _refused(self, device: str, method: str, kind: str, at: Break) -> bool:
        refused = (at is Break.ONE_SIDE and method == "PUT" and kind == "_local") or (
            at is Break.COMPARED and kind in ("_bulk_get", "_bulk_docs")
        )
        if refused:
            self._broken.add(device)
        return refused

    def _lost(self, device: str, kind: str, at: Break) -> bool:
        return at in (Break.HALFWAY, Break.WRITTEN) and kind == "_bulk_docs"

    def _last(self, kind: str, at: Break) -> bool:
        return (at is Break.LISTED and kind == "_changes") or (at is Break.WRITTEN and kind == "_bulk_get")

    def _note(self, user: str, kind: str, target: str, body: bytes) -> None:
        oracle = self.company.oracle
        oracle.sends(user, target.encode() + body)
        if kind != "_bulk_docs":
            return
        for document in orjson.loads(body)["docs"]:
            text = orjson.dumps({name: value for name, value in document.items() if name[:1] != "_"})
            path = parse_revisions(document["_revisions"])
            deleted = bool(document.get("_deleted"))
            self.company.note(Pushed(user, document["_id"], path, text, deleted))

    def _check_rows(self, kind: str, text: bytes) -> None:
        if kind == "_bulk_docs":
            for row in orjson.loads(text):
                if isinstance(row, dict) and row.get("error") not in (None, "forbidden", "unauthorized"):
                    raise BrokenPromiseError(f"this ends a push for good: {row}")


class Tablets:
    """The process of one person."""

    def __init__(self, node: Path, url: str, user: str) -> None:
        self._process = subprocess.Popen(
            [str(node), str(_PROGRAM)],
            cwd=ROOT / "pwa-contract",
            env={
                **os.environ,
                "KOMPASS_TEST_SERVER": url,
                "KOMPASS_TEST_USER": user,
                "KOMPASS_TEST_PASSWORD": PASSWORD,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def tell(self, **command: Any) -> Any:
        """Waits for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(orjson.dumps(command) + b"\n")
        self._process.stdin.flush()
        return orjson.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()


class PouchDevice(Device):
    """What a PouchDB holds, read from it after everything it does."""

    def __init__(self, company: Company, tablets: Tablets, tap: Tap, user: str, name: str) -> None:
        super().__init__(user, 0, company.asking(user), company.note)
        self.name = name
        self._tablets = tablets
        self._tap = tap

    def write(self, docid: str, name: str, version: Version) -> None:
        """PouchDB names the revision itself."""
        answer = self._tablets.tell(
            do="write",
            device=self.name,
            id=docid,
            body=version.body,
            deleted=version.deleted,
            attachments={one: base64.b64encode(data).decode() for one, data in version.attachments.items()},
        )
        assert "ok" in answer, answer
        self._read()

    def forget_checkpoint(self, direction: str) -> None:
        """PouchDB keeps its own; losing everything is `replace`."""

    async def pull(
        self, size: int = 100, batches: int = 1000, at: Break = Break.NEVER, between: Between | None = None
    ) -> int:
        return await self._replicate("pull", size, at, between)

    async def push(
        self, size: int = 100, batches: int = 1000, at: Break = Break.NEVER, between: Between | None = None
    ) -> int:
        return await self._replicate("push", size, at, between)

    async def _replicate(self, direction: str, size: int, at: Break, between: Between | None) -> int:
        self._tap.begin(self.name, at)
        if between is not None:
            self._tap.between[self.name] = between
        pushed = len(self._tap.company.pushed)
        answer = await asyncio.to_thread(self._tablets.tell, do=direction, device=self.name, batch=size)
        self._tap.between.pop(self.name, None)
        if self._tap.heard:
            raise self._tap.heard.pop()
        if direction == "pull":
            self._read()
        if "error" in answer:
            if answer["status"] in (401, 403):
                raise NotAdmittedError(f"{self.name}: {answer}")
            if at is Break.NEVER:
                raise BrokenPromiseError(f"{self.name} could not {direction}: {answer}")
            return 0
        if direction == "push":
            return len(self._tap.company.pushed) - pushed
        return int(answer["written"])

    def _read(self) -> None:
        for docid, found in self._tablets.tell(do="changed", device=self.name).items():
            tree, versions = RevisionTree(), dict[Rev, Version]()
            for leaf in found["leaves"]:
                path = parse_revisions(leaf["_revisions"])
                deleted = bool(leaf.get("_deleted"))
                tree.add(path, deleted)
                attached = leaf.get("_attachments", {})
                versions[path.leaf] = Version(
                    {name: value for name, value in leaf.items() if name[:1] != "_"},
                    deleted,
                    {name: base64.b64decode(one["data"]) for name, one in attached.items()},
                )
            if format_rev(tree.winner()) != found["winner"]:
                raise BrokenPromiseError(f"{docid}: PouchDB shows {found['winner']}, not {tree.winner()}")
            assert parse_rev(found["winner"]) in versions
            self.trees[docid], self.versions[docid] = tree, versions


def tablets_for_all(node: Path, url: str) -> dict[str, Tablets]:
    return {name: Tablets(node, url, name) for name in PEOPLE}


async def _whole(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _answered(app: ASGIApp, scope: Scope, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    asked = False
    status, headers, text = 0, list[tuple[bytes, bytes]](), b""

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers, text
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
        else:
            text += message.get("body", b"")

    await app(scope, receive, send)
    if (b"content-encoding", b"gzip") in headers:
        text = gzip.decompress(text)
        headers = [one for one in headers if one[0] not in (b"content-encoding", b"content-length")]
    return status, headers, text


async def _say(send: Send, status: int, headers: list[tuple[bytes, bytes]], text: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
