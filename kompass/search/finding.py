"""Asks the indexes that a question needs, and does with those that can answer.

Where both words and meaning are asked, either answers alone while the other can't; the answer says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Container, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import structlog

from kompass.search.asking import Question, Sort
from kompass.search.fusion import FUSED, fused
from kompass.search.index import IndexAbsentError, IndexUnavailableError, Match, Meaning, Standing, TextIndex

TEXT_TOOK_TOO_LONG = MEANING_TOOK_TOO_LONG = 3.0
"""Seconds after which an index is given up, and the other answers alone."""

MOST_NEAR = 50
"""Documents that are found by meaning."""

MOST_LOOKED_AT = 1200
"""Hits that are looked at for one answer where it isn't known beforehand who sees what has changed."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Mode(StrEnum):
    """How it is searched."""

    TEXT = "text"
    VECTOR = "vector"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class State:
    """`current`, `behind`, or `rebuilding`: a new index is being made. `down` or `absent` where it couldn't
    be asked, and something else has answered."""

    state: str
    behind: int
    """Documents of his that have changed and aren't in the index yet."""


@dataclass(frozen=True, slots=True)
class Page:
    """Hits that nobody has judged yet."""

    matches: list[Match]
    total: int | None
    facets: Mapping[str, Mapping[str, int]] | None
    more: bool


class Finding:
    """For one answer."""

    def __init__(
        self,
        index: TextIndex | None,
        absent: str,
        meaning: Meaning | None,
        question: Question,
        mode: Mode,
        readable: Callable[[list[Match]], Container[str]],
    ) -> None:
        """`absent`: why there is no index, where there is none. `readable`: ids of what may be shown."""
        self._index = index
        self._absent = absent
        self._meaning = meaning
        self._question = question
        self._mode = mode
        self._readable = readable
        self._text_failed: IndexUnavailableError | None = None
        self.no_text: State | None = None
        """Set where the full text was to be asked, and couldn't answer."""
        self.no_vectors: State | None = None
        self.refused = 0
        """Documents that are near and that the one who asks may not read."""

    # -- how far they are --------------------------------------------------------------------------

    async def text_standing(self) -> Standing | None:
        """None where meaning answers alone, and why in `no_text`. Raises `IndexUnavailableError`."""
        try:
            return await self._soon(TEXT_TOOK_TOO_LONG, lambda: self._text().standing())
        except IndexUnavailableError as error:
            self._without_text(error)
            return None

    async def meaning_standing(self) -> Standing | None:
        """None where it isn't asked, and why in `no_vectors`. Raises `IndexUnavailableError`."""
        if self._mode is Mode.TEXT:
            return None
        meaning = self._meaning
        if meaning is None:
            self.no_vectors = State("absent", 0)
            return None
        try:
            return await self._soon(MEANING_TOOK_TOO_LONG, meaning.standing)
        except IndexUnavailableError as error:
            self._without_vectors(error)
            return None

    # -- what fits ---------------------------------------------------------------------------------

    async def find(
        self,
        held: frozenset[str],
        hidden: Collection[str] | None,
        hidden_near: Collection[str] | None,
        limit: int,
        offset: int,
    ) -> Page:
        """Hits as the indexes have them, in the order of the mode. `hidden`: what has changed since the full
        text was so far, and he doesn't see now; None where that isn't known. Then nothing is counted.
        `hidden_near`: the same of the vectors. Raises `IndexUnavailableError`.
        """
        near = await self._nearest(held, hidden_near)
        if near is None:
            if self._text_failed is not None:
                # It may be back, but nobody knows what has changed since it was so far: it mustn't count.
                raise self._text_failed
            found = await self._text().find(
                self._question, held, without=hidden or (), limit=limit, offset=offset,
                facets=hidden is not None,
            )  # fmt: skip
            more = offset + len(found.matches) < found.total
            return Page(found.matches, found.total, found.facets, more)
        alone = Page(near[offset : offset + limit], None, None, len(near) > offset + limit)
        if self._mode is Mode.VECTOR or self.no_text is not None:
            return alone
        assert self._meaning is not None
        most = max(FUSED, offset + limit)
        try:
            found = await self._soon(
                TEXT_TOOK_TOO_LONG,
                lambda: self._text().find(
                    self._question, held, without=hidden or (), limit=most, facets=hidden is not None
                ),
            )
        except IndexUnavailableError as error:
            self._without_text(error)
            return alone
        order = fused(found.matches, near, self._meaning.weight)
        more = offset + limit < max(len(order), found.total)
        return Page(order[offset : offset + limit], None, found.facets, more)

    async def _nearest(self, held: frozenset[str], hidden: Collection[str] | None) -> list[Match] | None:
        """The nearest by meaning; None where the full text is to answer alone."""
        words = [term for term in self._question.terms if not term.code]
        if self._mode is Mode.TEXT or self._question.sort is not Sort.RELEVANCE:
            return None
        if self._mode is Mode.HYBRID and (not words or self._question.number):
            return None  # a number means nothing
        meaning = self._meaning
        if meaning is None or self.no_vectors is not None:
            return None
        try:
            return await self._soon(MEANING_TOOK_TOO_LONG, lambda: self._near(meaning, held, hidden))
        except IndexUnavailableError as error:
            self._without_vectors(error)
            return None

    async def _near(
        self, meaning: Meaning, held: frozenset[str], hidden: Collection[str] | None
    ) -> list[Match]:
        limit = MOST_NEAR
        while True:
            near = await meaning.nearest(self._question, held, without=hidden or (), limit=limit)
            if hidden is not None:
                return near
            # What he doesn't see any more takes nobody's place: so many more are looked at.
            may = self._readable(near)
            seen = [match for match in near if match.id in may]
            if len(seen) >= MOST_NEAR or len(near) < limit or limit >= MOST_LOOKED_AT:
                self.refused += len(near) - len(seen)
                return seen[:MOST_NEAR]
            limit = min(4 * limit, MOST_LOOKED_AT)

    # -- what can't answer -------------------------------------------------------------------------

    def _text(self) -> TextIndex:
        if self._index is None:
            raise IndexAbsentError(self._absent)
        return self._index

    async def _soon(self, seconds: float, asking: Callable[[], Awaitable[T]]) -> T:
        """Where another index could answer, this one isn't waited for any longer."""
        if self._mode is Mode.TEXT:
            return await asking()
        try:
            async with asyncio.timeout(seconds):
                return await asking()
        except TimeoutError:
            raise IndexUnavailableError("It didn't answer in time: try again.") from None

    def _without_text(self, error: IndexUnavailableError) -> None:
        if self._mode is Mode.TEXT or self._meaning is None or self.no_vectors is not None:
            raise error
        if self._index is not None:
            log.warning("the full text can't answer", reason=str(error))
        self._text_failed = error
        self.no_text = State("absent" if self._index is None else "down", 0)

    def _without_vectors(self, error: IndexUnavailableError) -> None:
        if self._mode is Mode.VECTOR or self.no_text is not None:
            raise error
        log.warning("the vectors can't answer", reason=str(error))
        self.no_vectors = State("down", 0)
