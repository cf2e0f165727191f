"""Where changes come from: the server, over HTTP, as the service that follows its feed.

What is read of documents is CouchDB's protocol (`_changes`, `_bulk_get`); who may read them is asked beside.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import orjson

from kompass.access.audiences import Channel
from kompass.answers import Again, again
from kompass.feed.sink import PersonAccess
from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError

WAIT_SECONDS = 2.0
"""How long a question for anything new may wait. What is purged, or moves, wakes nobody and is found then."""

_TIMEOUT = httpx.Timeout(60, connect=5)
_CONSUMERS = "/api/v1/privacy/consumers"
_MOST_ASKED = 2000
_LONGEST_ID = 2048


class SourceUnavailableError(Exception):
    """The server can't be reached, or doesn't let the service in now. The text is for people."""

    def __init__(self, said: str, *, status: int = 0) -> None:
        """`status` of its answer, if there was one."""
        super().__init__(said)
        self.status = status


class SourceRefusedError(Exception):
    """The server answers, and doesn't give this one thing out. The text says with which status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the server answers {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Row:
    """A row of `_changes`."""

    number: int
    id: str
    rev: str
    doc: Mapping[str, Any] | None
    """None: it is deleted."""


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[Row]
    last_seq: str
    pending: int
    """Rows behind it."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """Who may read what a page brings, and what moved there: see the endpoint."""

    channels: Mapping[str, frozenset[Channel]]
    positions: Mapping[str, int]
    revs: Mapping[str, str | None]
    moved: Sequence[str]
    people: Sequence[PersonAccess]
    until: str
    position: int
    epoch: str
    update_seq: int
    history: str
    continues: bool


@dataclass(frozen=True, slots=True)
class Everybody:
    people: Sequence[PersonAccess]
    epoch: str
    update_seq: int
    history: str


@dataclass(frozen=True, slots=True)
class Tickets:
    """Erasures and withdrawals, by number."""

    open: Sequence[int]
    upto: int
    """Whoever has read the feed up to there has what they wrote."""
    erases: bool
    """Whether one of them is an erasure: then earlier versions must be nowhere."""
    withdrawn: frozenset[str] = frozenset()
    """Purposes for which nothing may be used any more. What was made for them must be nowhere."""


class Source:
    """One connection. `async with` it. Everything raises `SourceUnavailableError`."""

    def __init__(
        self,
        url: str,
        secret: str,
        database: str = "kompass",
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`url` of the server; `transport`: for tests."""
        self._database = database
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            headers={"authorization": f"Bearer {secret}", "accept": "application/json"},
            timeout=_TIMEOUT,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def page(self, since: str, limit: int) -> Page:
        """Changes after `since` with their documents."""
        query = {"since": since, "limit": str(limit), "include_docs": "true"}
        content = await self._ask("GET", f"/{self._database}/_changes", params=query)
        with _answered(content) as value:
            rows = [
                Row(
                    number_of(row["seq"]),
                    row["id"],
                    row["changes"][0]["rev"],
                    None if row.get("deleted") else row.get("doc"),
                )
                for row in value["results"]
            ]
            last_seq = str(value["last_seq"])
            number_of(last_seq)
            return Page(rows, last_seq, int(value.get("pending") or 0), len(content))

    async def news(self, since: str) -> bool:
        """Waits for a change after `since`, for some seconds. Whether there may be one."""
        query = {
            "since": since,
            "limit": "1",
            "feed": "longpoll",
            "timeout": str(int(WAIT_SECONDS * 1000)),
        }
        content = await self._ask("GET", f"/{self._database}/_changes", params=query)
        with _answered(content) as value:
            return str(value["last_seq"]) != since

    async def latest(self) -> int:
        """Where the database is now, as a position."""
        with _answered(await self._ask("GET", f"/{self._database}")) as value:
            return number_of(value["update_seq"])

    async def access(self, ids: Sequence[str], since: str, until: str, history: str | None) -> AccessAnswer:
        """What else has to be known of a page with these documents. At most 2,000 of them."""
        assert len(ids) <= _MOST_ASKED
        asked = [docid for docid in ids if is_asked(docid)]
        question: dict[str, Any] = {"ids": asked, "since": since, "until": until}
        if history:
            question["history"] = history
        with _answered(await self._ask("POST", "/api/v1/feed/access", json=question)) as value:
            return AccessAnswer(
                {docid: frozenset(channels) for docid, channels in value["channels"].items()},
                value["positions"],
                value["revs"],
                value["moved"],
                [_person(one) for one in value["people"]],
                value["until"],
                value["position"],
                value["epoch"],
                value["update_seq"],
                value["history"],
                value["continues"],
            )

    async def everybody(self) -> Everybody:
        """All people, as they are now."""
        with _answered(await self._ask("GET", "/api/v1/feed/people")) as value:
            people = [_person(one) for one in value["people"]]
            return Everybody(people, value["epoch"], value["update_seq"], value["history"])

    async def documents(self, wanted: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
        """Documents in these revisions; those that aren't stored any more are left out."""
        if not wanted:
            return {}
        asked = {"docs": [{"id": docid, "rev": rev} for docid, rev in wanted.items()]}
        found: dict[str, Mapping[str, Any]] = {}
        with _answered(await self._ask("POST", f"/{self._database}/_bulk_get", json=asked)) as value:
            for result in value["results"]:
                for one in result["docs"]:
                    if "ok" in one:
                        found[result["id"]] = one["ok"]
        return found

    async def current(self, ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
        """These documents as they are now; those that aren't there any more are left out."""
        if not ids:
            return {}
        content = await self._ask(
            "POST",
            f"/{self._database}/_changes",
            params={"filter": "_doc_ids", "include_docs": "true"},
            json={"doc_ids": list(ids)},
        )
        with _answered(content) as value:
            rows = value["results"]
            return {row["id"]: row["doc"] for row in rows if row.get("doc") and not row.get("deleted")}

    async def attachment(self, docid: str, rev: str, name: str) -> bytes | None:
        """The content of an attachment; None if it isn't there any more.

        Raises `SourceRefusedError` if it isn't given out, or can't be, while the server is up.
        """
        path = "/".join(quote(part, safe="") for part in (self._database, docid, name))
        try:
            return await self._ask("GET", f"/{path}", params={"rev": rev})
        except SourceUnavailableError as error:
            if error.status == 404:
                return None
            # Without a status nobody answered; with 401 the service is let in nowhere.
            if error.status in (0, 401) or again(error.status) is Again.LATER:
                raise
            raise SourceRefusedError(error.status) from error

    async def enrol(self, consumer: str) -> None:
        """Erasures and withdrawals wait for this consumer from now on; again it changes nothing."""
        await self._ask("PUT", f"{_CONSUMERS}/{consumer}", json={})

    async def tickets(self, consumer: str) -> Tickets:
        """The first ones of those that wait for this consumer."""
        with _answered(await self._ask("GET", f"{_CONSUMERS}/{consumer}/tickets")) as value:
            found = value["tickets"]
            upto = max((number_of(one.get("seq", 0)) for one in found), default=0)
            return Tickets(
                [int(one["ticket"]) for one in found],
                upto,
                any(one.get("kind") == "erasure" for one in found),
                frozenset(str(one["purpose"]) for one in found if one.get("kind") == "withdrawal"),
            )

    async def confirm(self, consumer: str, tickets: Sequence[int]) -> None:
        """The consumer has removed what these name."""
        await self._ask("POST", f"{_CONSUMERS}/{consumer}/tickets", json={"tickets": list(tickets)})

    async def _ask(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, json: object = None
    ) -> bytes:
        body = None if json is None else orjson.dumps(json)
        headers = {} if body is None else {"content-type": "application/json"}
        try:
            answer = await self._client.request(method, path, params=params, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise SourceUnavailableError(f"{self._client.base_url} doesn't answer: {error!r}") from error
        if answer.status_code >= 300:
            raise SourceUnavailableError(
                f"{self._client.base_url}{path} answers {answer.status_code}: {answer.text[:200]}",
                status=answer.status_code,
            )
        return answer.content


def is_asked(docid: str) -> bool:
    """Whether it is asked who may read a document. None of the business has a longer id; what an
    administrator wrote so is for nobody to read.
    """
    return len(docid) <= _LONGEST_ID


def number_of(seq: object) -> int:
    """The number in front of a sequence."""
    return int(str(seq).partition("-")[0])


def epoch_of(seq: str) -> str:
    """In which epoch a sequence was counted."""
    return seq.partition("-")[2]


def _person(value: Mapping[str, Any]) -> PersonAccess:
    return PersonAccess(
        value["name"], value["active"], frozenset(value["roles"]), frozenset(value["channels"])
    )


@contextmanager
def _answered(content: bytes) -> Iterator[Any]:
    """The value of an answer. What isn't as it should be there is no fault of a document."""
    try:
        value = jsontext.decode(content)
    except ProtocolError as error:
        # A server that goes down in the midst of an answer, or something in between.
        raise SourceUnavailableError(f"an answer is no JSON: {error.reason}") from error
    try:
        yield value
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise SourceUnavailableError("an answer isn't what was asked for: something else answers") from error
