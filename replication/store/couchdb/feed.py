"""CouchDB's feed of changes, page by page and live."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple, Protocol

from replication.protocol import errors, jsontext
from replication.protocol.names import check_document_id
from replication.protocol.revisions import parse_rev
from replication.replicator.failures import quoted
from replication.store.couchdb.client import Client
from replication.store.couchdb.ledger import Heard, Origin

PAGE = 2000
_LONGEST_LINE = 16 * 1024 * 1024


class Rows(NamedTuple):
    rows: list[Heard]
    since: str
    """The `seq` behind them."""


class Source(Protocol):
    """What a follower follows."""

    async def origin(self) -> Origin:
        """Raises `database_missing`."""

    async def page(self, since: str, limit: int) -> Rows:
        """At most `limit` rows behind `since`; none at the end of the feed."""

    def live(self, since: str) -> AsyncGenerator[Rows, None]:
        """Rows behind `since` as they come, until the server ends it. Raises when it breaks."""


class HttpSource:
    """The feed of one database. Whatever it raises is a `ProtocolError`."""

    def __init__(self, client: Client, path: str, hidden: str) -> None:
        """`path` of the database; `hidden`: id of a document that nobody is to hear of."""
        self._client = client
        self._path = path
        self._hidden = hidden

    async def origin(self) -> Origin:
        value = await self._client.ask("GET", self._path)
        if not isinstance(value, dict):
            raise self._lie("is no database")
        return Origin(str(value.get("instance_start_time", "0")), leading_number(value.get("purge_seq", 0)))

    async def page(self, since: str, limit: int) -> Rows:
        query = {"style": "all_docs", "since": since, "limit": str(limit)}
        value = await self._client.ask("GET", f"{self._path}/_changes", query=query)
        results = value.get("results") if isinstance(value, dict) else None
        if not isinstance(results, list) or value.get("last_seq") is None:
            raise self._lie("answered a feed without `results` or `last_seq`")
        return Rows(
            [heard for row in results if (heard := self._heard(row)) is not None],
            _sequence(value["last_seq"]) if results else since,
        )

    async def live(self, since: str) -> AsyncGenerator[Rows, None]:
        accepted = {"accept": "application/json"}
        heartbeat = str(round(self._client.heartbeat * 1000))
        query = {"feed": "continuous", "style": "all_docs", "heartbeat": heartbeat, "since": since}
        async with self._client.stream(f"{self._path}/_changes", query, accepted) as response:
            rest = b""
            async for piece in self._client.raw(response, may_trickle=True):
                *lines, rest = (rest + piece).split(b"\n")
                if len(rest) > _LONGEST_LINE:
                    raise self._lie("answered a row of its feed that doesn't end")
                rows = [row for line in lines if line.strip() and "id" in (row := self._row(line))]
                if rows:
                    heard = [one for row in rows if (one := self._heard(row)) is not None]
                    yield Rows(heard, _sequence(rows[-1].get("seq")))

    def _row(self, line: bytes) -> dict[str, Any]:
        value = jsontext.decode(line)
        if not isinstance(value, dict):
            raise self._lie("answered a row of its feed that is no object")
        return value

    def _heard(self, row: Any) -> Heard | None:
        """A row as the ledger takes it; None for the hidden document."""
        changes = row.get("changes") if isinstance(row, Mapping) else None
        if not isinstance(changes, list) or not changes:
            raise self._lie("answered a row of its feed without changes")
        docid = check_document_id(row.get("id"))
        if docid == self._hidden:
            return None
        revs = tuple([each["rev"] for each in changes if isinstance(each, dict) and "rev" in each])
        for rev in revs:
            parse_rev(rev)
        return Heard(docid, revs, row.get("deleted") is True)

    def _lie(self, what: str) -> errors.ProtocolError:
        return errors.internal(f"{quoted(self._client.shown)} {what}")


def leading_number(sequence: Any) -> int:
    """The number that a sequence of CouchDB's begins with, or is."""
    digits = str(sequence).partition("-")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else 0


def _sequence(value: Any) -> str:
    """A sequence as it goes back to the server."""
    return value if isinstance(value, str) else jsontext.encode(value).decode()
