"""When documents were in channels that somebody holds or held: whether he sees them, and when he ceased to.

Each question is one statement, which finds nothing of a document that never was his: one that he may not see
costs what one costs that doesn't exist.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from kompass.sync.index.people import Person
from replication.store.sqlite import Reading, id_list


class Span(NamedTuple):
    """A document was in a channel of his."""

    channel: int
    since: int
    until: int | None
    """None: it is."""


class Stay(NamedTuple):
    """All that about one document, under one number."""

    place: int
    spans: list[Span]


def _his(channel: str) -> str:
    return (
        f"(EXISTS (SELECT 1 FROM access_holdings h WHERE h.user = :user AND h.channel = {channel})"
        f" OR EXISTS (SELECT 1 FROM access_lost o WHERE o.user = :user AND o.channel = {channel}))"
    )


def _statement(asked: str) -> str:
    return (
        "SELECT d.id, d.num, d.place, e.channel, e.since, NULL"
        f" FROM json_each(:asked) CROSS JOIN access_docs d ON d.{asked} = value"
        f" CROSS JOIN access_entries e ON e.doc = d.num WHERE {_his('e.channel')}"
        " UNION ALL SELECT d.id, d.num, d.place, l.channel, l.since, l.until"
        f" FROM json_each(:asked) CROSS JOIN access_docs d ON d.{asked} = value"
        f" CROSS JOIN access_left l ON l.doc = d.num WHERE {_his('l.channel')}"
    )


_BY_ID, _BY_NUMBER = _statement("id"), _statement("num")


def of_ids(reading: Reading, who: Person, docids: Collection[str]) -> dict[str, dict[int, Stay]]:
    """Document -> its numbers in order, one more after each purge -> what was there for him."""
    found: dict[str, dict[int, Stay]] = {}
    for docid, num, place, *span in _rows(reading, _BY_ID, who, docids):
        found.setdefault(docid, {}).setdefault(num, Stay(place, [])).spans.append(Span(*span))
    return {docid: dict(sorted(stays.items())) for docid, stays in found.items()}


def of_numbers(reading: Reading, who: Person, numbers: Collection[int]) -> dict[int, list[Span]]:
    """Number -> what was there for him."""
    found: dict[int, list[Span]] = {}
    for _, num, _, *span in _rows(reading, _BY_NUMBER, who, numbers):
        found.setdefault(num, []).append(Span(*span))
    return found


def _rows(reading: Reading, statement: str, who: Person, asked: Collection[str] | Collection[int]) -> Any:
    if not asked:
        return ()
    return reading.connection.execute(statement, {"asked": id_list(asked), "user": who.name})


def latest_ending(who: Person, spans: Sequence[Span]) -> int | None:
    """When a document that he saw became invisible to him; None if he sees it or never saw it."""
    if any(span.until is None and span.channel in who.held for span in spans):
        return None
    latest: int | None = None
    for channel, since, until in spans:
        holdings = [(began, end) for lost, began, end in who.lost if lost == channel]
        if channel in who.held and until is not None:
            holdings.append((who.held[channel], until))
        for began, end in holdings:
            end = end if until is None else min(end, until)
            if max(began, since) < end and (latest is None or end > latest):
                latest = end
    return latest


def endings(who: Person, spans: Sequence[Span]) -> set[int]:
    """Every time a document became invisible to him."""
    seen: list[tuple[int, int | None]] = []
    for channel, since, until in spans:
        holdings: list[tuple[int, int | None]] = [
            (began, end) for lost, began, end in who.lost if lost == channel
        ]
        if channel in who.held:
            holdings.append((who.held[channel], None))
        for began, end in holdings:
            start = max(began, since)
            ends = [one for one in (end, until) if one is not None]
            stop = min(ends) if ends else None
            if stop is None or start < stop:
                seen.append((start, stop))
    return {
        stop
        for _, stop in seen
        if stop is not None
        and not any(start <= stop and (other is None or other > stop) for start, other in seen)
    }
