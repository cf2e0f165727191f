"""Searching for somebody: what he is told is what he may read now, whatever the index says.

An index is behind the documents, by a moment or by a day, and it could be wrong. So it is asked with the
channels that the database says he holds, without the documents that have changed since and that he doesn't
see now; and each hit is looked at twice, as every text is before it leaves. All that he is shown is made from
the documents as they are then. Where more has changed than can be looked through, hits are still right, but
nothing is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from kompass.access.companions import BASE_OF, CARDS, companion_id
from kompass.access.principals import Principal
from kompass.domain.registry import LABELS
from kompass.feed.sink import Checkpoint
from kompass.search import fields
from kompass.search.asking import MOST_OFFSET, Question
from kompass.search.catalogue import SEARCHED, Searched, base_type
from kompass.search.finding import MOST_LOOKED_AT, Finding, Mode, Page, State
from kompass.search.highlighting import Highlighter
from kompass.search.index import IndexAbsentError, IndexUnavailableError, Match, Meaning, Standing, TextIndex
from kompass.sync.admitting import admitted
from kompass.sync.index import FeedIndex, following
from kompass.sync.positions import position
from replication.http.turns import Turns
from replication.protocol import jsontext
from replication.store.sqlite import Reading, SqliteDatabase
from replication.store.values import Document

MOST_CHANGED = 2000
"""Changed documents up to which it is found out who sees them, so that totals are right."""

MOST_HIGHLIGHTS = 3

TOOK_TOO_LONG = 5.0
"""Seconds after which an index is given up."""

ROUNDS = 3

log = structlog.get_logger(__name__)


class SearchDownError(Exception):
    """Nothing can be answered. The text says why, for people."""


@dataclass(frozen=True, slots=True)
class Highlight:
    field: str
    """Path in the document."""
    html: str


@dataclass(frozen=True, slots=True)
class Hit:
    id: str
    """The document that fits, or what it is a companion or a card of."""
    type: str
    document: str
    """What was found: the same, or the companion or card. The one who asks may read it."""
    title: str
    subtitle: str
    highlights: list[Highlight]
    modified: str | None
    value: Any
    """A sum of money, where the type has one."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """What the vectors have of a document."""

    state: str
    """`current`; `behind`: of another revision, or not at all; `refused`: the customer hasn't agreed."""
    pieces: int
    unread: Mapping[str, str]
    """Attachments that could not be read, and why."""


@dataclass(frozen=True, slots=True)
class Answer:
    hits: list[Hit]
    total: int | None
    """None where it can't be known: see the module."""
    facets: Mapping[str, Mapping[str, int]] | None
    more: bool
    """Whether there are hits after these."""
    index: State
    """How far the full text is."""
    vectors: State | None = None
    """The same of the vectors, where they were to be asked."""


@dataclass
class Search:
    """One for a server."""

    index: TextIndex | None
    absent: str = "No search index is set up."
    """Why there is no index, where there is none."""
    meaning: Meaning | None = None
    no_meaning: str = "No search by meaning is set up."
    """Why there is none, where there is none."""
    refused: int = field(default=0, init=False)
    """Hits that were not shown because the one who asked may not read them."""

    async def answer(
        self,
        database: SqliteDatabase,
        access: FeedIndex,
        principal: Principal,
        question: Question,
        *,
        limit: int,
        offset: int,
        mode: Mode = Mode.TEXT,
    ) -> Answer:
        """Raises `SearchDownError`, and 401 and 403 as every reading does. `mode` is for questions with words
        that are sorted by relevance; others go to the full text."""
        if mode is Mode.VECTOR and self.meaning is None:
            raise SearchDownError(f"This server has no search by meaning: {self.no_meaning}")
        if self.index is None and (mode is Mode.TEXT or self.meaning is None):
            raise SearchDownError(self.absent)
        try:
            async with asyncio.timeout(TOOK_TOO_LONG):
                asking = _Asking(self, database, access, principal, question, mode)
                return await asking.answer(limit, offset)
        except TimeoutError:
            raise SearchDownError("The search index didn't answer in time: try again.") from None
        except IndexUnavailableError as error:
            raise _down(error) from None

    async def embedded(
        self, database: SqliteDatabase, access: FeedIndex, principal: Principal, docid: str
    ) -> Embedded | None:
        """None for a document that he doesn't see. Raises what `answer` does."""
        with database.reading() as reading:
            admitted(access, reading, principal)
            winner = access.readable(reading, principal.name, [docid]).get(docid)
            if winner is None or winner.deleted:
                return None
        if self.meaning is None:
            raise SearchDownError(f"This server has no search by meaning: {self.no_meaning}")
        try:
            found = await self.meaning.inspect(docid)
        except IndexUnavailableError as error:
            raise _down(error) from None
        if found is None or found["rev"] != winner.rev:
            return Embedded("behind", 0, {})
        unread = {name: problem for name, problem in found["attachments"].items() if problem}
        return Embedded("current" if found["allowed"] else "refused", len(found["chunks"]), unread)

    async def close(self) -> None:
        for one in (self.index, self.meaning):
            if one is not None:
                await one.close()


def _down(error: IndexUnavailableError) -> SearchDownError:
    """What whoever asks is told: not where an index or a model is, nor how it failed."""
    log.warning("the search index can't answer", reason=str(error))
    absent = isinstance(error, IndexAbsentError)
    return SearchDownError(str(error) if absent else "The search index can't answer now: try again.")


_Shown = tuple[list[Hit], int | None, Mapping[str, Mapping[str, int]] | None, bool]
"""The first members of `Answer`."""


class _Asking:
    def __init__(
        self,
        search: Search,
        database: SqliteDatabase,
        access: FeedIndex,
        principal: Principal,
        question: Question,
        mode: Mode,
    ) -> None:
        self._search = search
        self._mode = mode
        self._database = database
        self._access = access
        self._principal = principal
        index = search.index
        self._finding = Finding(index, search.absent, search.meaning, question, mode, self._documents)
        self._marking = Highlighter(question, index.stem if index is not None else str)

    async def answer(self, limit: int, offset: int) -> Answer:
        finding = self._finding
        text = await finding.text_standing()
        meaning = await finding.meaning_standing()
        with self._database.reading() as reading:
            admitted(self._access, reading, self._principal)
            held = self._access.channels_held(reading, self._principal.name).keys()
            near = self._hidden(reading, meaning)
            hidden = near if text is None or self._mode is Mode.VECTOR else self._hidden(reading, text)
            state, vectors = self._state(reading, text), self._state(reading, meaning)
        if hidden is not None:
            found = await self._counted(frozenset(held), hidden, near, limit, offset)
        else:
            found = await self._leafed(frozenset(held), near, limit, offset)
        self._search.refused += finding.refused
        index = finding.no_text or state
        assert index is not None
        return Answer(*found, index, finding.no_vectors or vectors)

    def _hidden(self, reading: Reading, standing: Standing | None) -> set[str] | None:
        """What has changed since an index was so far, and he doesn't see now. None where that is too much to
        be looked through."""
        if standing is None:
            return None
        changed = following.concerned(reading, _since(reading, standing.checkpoint), MOST_CHANGED + 1)
        if len(changed) > MOST_CHANGED:
            return None
        return set(changed) - self._access.sees(reading, self._principal.name, changed)

    async def _counted(
        self, held: frozenset[str], hidden: set[str], near: set[str] | None, limit: int, offset: int
    ) -> _Shown:
        """What he doesn't see any more is left out of the question, so that nothing of it is counted."""
        page, documents = Page([], 0, {}, False), dict[str, Document]()
        for _ in range(ROUNDS):
            page = await self._finding.find(held, hidden, near, limit, offset)
            documents = self._documents(page.matches)
            refused = {match.id for match in page.matches} - documents.keys()
            if not refused:
                break
            self._search.refused += len(refused)
            hidden, near = hidden | refused, None if near is None else near | refused
        hits = await self._hits((match, documents) for match in page.matches if match.id in documents)
        if len(hits) < len(page.matches):
            # Something is wrong with the channels themselves: what is counted can't be trusted either.
            return hits, None, None, len(page.matches) == limit
        return hits, page.total, page.facets, page.more

    async def _leafed(self, held: frozenset[str], near: set[str] | None, limit: int, offset: int) -> _Shown:
        """Hits one by one from the first, so that a page says nothing of those that are left out."""
        size = 200
        wanted = min(offset + limit, MOST_OFFSET + limit) + 1
        kept: list[tuple[Match, dict[str, Document]]] = []
        for at in range(0, MOST_LOOKED_AT, size):
            page = await self._finding.find(held, None, near, size, at)
            documents = self._documents(page.matches)
            kept += [(match, documents) for match in page.matches if match.id in documents]
            self._search.refused += sum(match.id not in documents for match in page.matches)
            if len(kept) >= wanted or len(page.matches) < size:
                break
        hits = await self._hits(kept[offset : offset + limit])
        return hits, None, None, len(kept) > offset + limit

    # -- who may read what -----------------------------------------------------------------------

    def _documents(self, matches: list[Match]) -> dict[str, Document]:
        """What was found and what it belongs to, as it is now; only what he may read now."""
        if not matches:
            return {}
        ids = {match.id: None for match in matches}
        for match in matches:
            if match.base != match.id:
                ids[match.base] = None
                if match.type in CARDS:
                    ids[companion_id(CARDS[match.type].type, match.base)] = None
        with self._database.reading() as reading:
            admitted(self._access, reading, self._principal)
            found = self._access.readable(reading, self._principal.name, ids)
            return {docid: winner for docid, winner in found.items() if not winner.deleted}

    def _state(self, reading: Reading, standing: Standing | None) -> State | None:
        if standing is None:
            return None
        since, behind = _since(reading, standing.checkpoint), 0
        if since < reading.update_seq:
            behind = self._access.pending(reading, self._principal.name, position(since))
        if standing.rebuilding or standing.checkpoint is None:
            return State("rebuilding", behind)
        return State("behind" if behind else "current", behind)

    # -- what is shown ---------------------------------------------------------------------------

    async def _hits(self, found: Iterable[tuple[Match, Mapping[str, Document]]]) -> list[Hit]:
        """One after the other, for the texts in them are long: others have their turn in between."""
        hits, turns = [], Turns()
        for match, documents in found:
            if turns.over():
                await turns.next()
            hits.append(self._hit(match, documents))
        return hits

    def _hit(self, match: Match, documents: Mapping[str, Document]) -> Hit:
        body = jsontext.decode_request(documents[match.id].text)
        doctype = str(body.get("type"))
        searched = SEARCHED.get(doctype, Searched())
        called, subtitle = "", ""
        for one in (body, *self._belongs(match, doctype, documents)):
            about = SEARCHED.get(str(one.get("type")), Searched())
            called = called or " ".join(text for path in about.title for text in fields.texts(one, path))
            subtitle = subtitle or " · ".join(
                dict.fromkeys(text for path in about.subtitle for text in fields.texts(one, path))
            )
        modified = body.get("modifiedAt")
        return Hit(
            id=match.base if doctype in BASE_OF else match.id,
            type=base_type(doctype),
            document=match.id,
            title=(called or LABELS.get(base_type(doctype), base_type(doctype)))[:300],
            subtitle=subtitle[:300],
            highlights=self._highlights(body, searched),
            modified=modified if isinstance(modified, str) else None,
            value=fields.number(body, searched.value) if searched.value else None,
        )

    def _belongs(
        self, match: Match, doctype: str, documents: Mapping[str, Document]
    ) -> Iterable[Mapping[str, Any]]:
        """What a companion belongs to: the base if he may read it, else its card."""
        if doctype not in BASE_OF:
            return
        card = CARDS.get(BASE_OF[doctype])
        for docid in (match.base, companion_id(card.type, match.base) if card else ""):
            if docid in documents:
                yield jsontext.decode_request(documents[docid].text)

    def _highlights(self, body: Mapping[str, Any], searched: Searched) -> list[Highlight]:
        marking = self._marking
        found: list[Highlight] = []
        for path in dict.fromkeys((*searched.texts, *searched.exact, *searched.amounts)):
            if len(found) == MOST_HIGHLIGHTS:
                break
            if path in searched.amounts:
                number = fields.number(body, path)
                if marking.amount(number):
                    found.append(Highlight(path, f"<mark>{number}</mark>"))
                continue
            for text in fields.texts(body, path):
                piece = marking.number(text) if path in searched.exact else None
                piece = piece or (marking.piece(text) if path in searched.texts else None)
                if piece is not None:
                    found.append(Highlight(path, piece))
                    break
        return found


def _since(reading: Reading, checkpoint: Checkpoint | None) -> int:
    """The number up to which the index has everything; 0 for one of another database."""
    if checkpoint is None or checkpoint.epoch not in {epoch.name for epoch in reading.epochs.all}:
        return 0
    # Not `since`, which is for whoever follows. Of an older epoch what came into this one counts.
    return reading.epochs.resolve(f"{checkpoint.position}-{checkpoint.epoch}", reading.update_seq)
