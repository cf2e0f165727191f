"""Sinks as tests apply to them, and what is read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kompass.domain.examples import docid
from kompass.feed.sink import (
    Batch,
    Change,
    Checkpoint,
    DocumentRejectedError,
    PersonAccess,
    Sink,
    SinkUnavailableError,
)
from tests.feed.changes import at
from tests.feed.harness import SinkHarness, Stored


async def take(sink: Sink, changes: Sequence[Change], checkpoint: Checkpoint) -> dict[str, str]:
    """Applies as a follower does, and gives why documents were left out, by id."""
    try:
        await sink.apply(Batch(changes, checkpoint))
        return {}
    except DocumentRejectedError as error:
        if error.docid not in {one.id for one in changes}:
            raise AssertionError("a document was rejected that nobody gave") from error
        left = [one for one in changes if one.id != error.docid]
        return {error.docid: error.reason} | await take(sink, left, checkpoint)
    except SinkUnavailableError:
        raise
    except Exception as error:
        if len(changes) == 1:
            await sink.apply(Batch((), checkpoint))
            return {changes[0].id: f"{type(error).__name__}: {error}"[:1000]}
        if not changes:
            raise
        half = len(changes) // 2
        before = await sink.checkpoint() or at(0)
        return await take(sink, changes[:half], before) | await take(sink, changes[half:], checkpoint)


def with_files(one: Change, many: int) -> Change:
    """The same with so many attachments, each with content of its own."""
    stubs = {
        f"{number}.txt": {
            "stub": True,
            "digest": f"md5-{one.id}-{number}",
            "length": 18,
            "content_type": "text/plain",
            "revpos": 1,
        }
        for number in range(many)
    }
    return replace(one, doc={**(one.doc or {}), "_attachments": stubs})


def knows(channels: frozenset[str], name: str = "jemand") -> PersonAccess:
    return PersonAccess(name, True, frozenset({"ADM"}), channels)


async def opened(harness: SinkHarness) -> Sink:
    sink = harness.make()
    await sink.open()
    return sink


async def has(harness: SinkHarness, number: int) -> Stored:
    found = await harness.read(docid("customer", number))
    assert found is not None, f"customer {number} isn't there"
    return found


async def everything(harness: SinkHarness, customers: int) -> dict[str, Stored | None]:
    ids = [docid("customer", number) for number in range(1, customers + 1)]
    return {each: await harness.read(each) for each in ids}
