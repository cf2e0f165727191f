"""The text of a document's attachments: fetched and read where the index hasn't got it already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from kompass.answers import Again, again
from kompass.extraction import extractor
from kompass.extraction.extractor import MOST_BYTES, TOO_LARGE, Extracted, Extractor
from kompass.feed.source import SourceRefusedError, SourceUnavailableError
from kompass.search.entries import sound
from kompass.vectors.originals import Originals

MOST_ATTACHMENTS = 20
"""Of a document, the first by name."""

MOST_NAME = 4000
"""Bytes of a name in an address."""

UNNAMEABLE = Extracted("", "its name can't stand in an address")

MOST_FAILURES = 5
"""With one attachment, until its document is stored: then it isn't the server that is away."""

_REFUSED = "the server doesn't give it out: it answers {}"
_NO_ANSWER = "the server doesn't give it out: no answer comes"
_OTHER = "the server doesn't give it out: something else comes"

PASSING = (
    extractor.PASSING
    | {_NO_ANSWER, _OTHER}
    | {_REFUSED.format(status) for status in range(300, 600) if again(status) is not Again.NEVER}
)
"""Problems that may not be the file's: another time it may be read."""


class Refused(NamedTuple):
    """Nothing is known of its content."""

    problem: str


class Stub(NamedTuple):
    """What a document says of an attachment."""

    name: str
    digest: str
    length: int
    plain: bool
    """Whether it is said to be plain text."""

    @property
    def nameable(self) -> bool:
        """Whether it can be asked for: documents may have attachments of any name."""
        name = self.name
        return "\x00" not in name and name not in (".", "..") and len(quote(name, safe="")) <= MOST_NAME

    @property
    def source(self) -> str:
        return f"{self.digest}/{('text' if self.plain else 'file') if self.nameable else 'unnameable'}"

    @property
    def refused(self) -> str:
        """Instead of `source`, where this name isn't given out: under another its content may be."""
        return f"{self.source}/refused"


def stubs(doc: Mapping[str, Any]) -> Iterator[Stub]:
    """Those that are looked at."""
    attached = doc.get("_attachments")
    if not isinstance(attached, Mapping):
        return
    for name in sorted(attached)[:MOST_ATTACHMENTS]:
        stub = attached[name]
        if not isinstance(stub, Mapping):
            continue
        digest, length, kind = (stub.get(key) for key in ("digest", "length", "content_type"))
        if isinstance(digest, str) and isinstance(length, int):
            plain = isinstance(kind, str) and kind.lower().startswith(
                ("text/plain", "text/csv", "text/markdown")
            )
            yield Stub(name, sound(digest), length, plain)


class Attachments:
    """Reads them, one after the other."""

    def __init__(self, originals: Originals) -> None:
        self._originals = originals
        self._extractor = Extractor()
        self._failed: dict[str, dict[str, tuple[int, str]]] = {}
        """By id of the document and name: how often it could not be fetched, and why."""

    async def read(self, docid: str, rev: str, stub: Stub) -> Extracted | Refused | None:
        """None if it isn't there any more: then its document comes again, or has gone.

        Raises `SourceUnavailableError` and `OSError`; for one attachment not for ever, if the server comes
        back in between. Once given up it isn't asked for until its document is settled: others of the batch
        may be as far as that.
        """
        if stub.length > MOST_BYTES:
            return TOO_LARGE
        if not stub.nameable:
            return UNNAMEABLE
        times, problem = self._failed.get(docid, {}).get(stub.name, (0, ""))
        if times >= MOST_FAILURES:
            return Refused(problem)
        try:
            data = await self._originals.attachment(docid, rev, stub.name)
        except SourceRefusedError as error:
            return Refused(_REFUSED.format(error.status))
        except SourceUnavailableError as error:
            if error.status == 401:
                raise
            problem = _REFUSED.format(error.status) if error.status else _NO_ANSWER
            self._failed.setdefault(docid, {})[stub.name] = times + 1, problem
            if times + 1 < MOST_FAILURES:
                raise
            return Refused(problem)
        if data is None:
            return None
        if len(data) != stub.length:
            return Refused(_OTHER)  # a page of something in between, that says 200
        return await self._extractor.extract(data, plain=stub.plain)

    def settle(self, docids: Iterable[str]) -> None:
        """These are in the index: the next time everything is asked for again."""
        for docid in docids:
            self._failed.pop(docid, None)

    async def close(self) -> None:
        await self._extractor.close()
