"""Attachments that take long to read hold nothing up for good, and are given up for good by nothing."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from kompass.domain.examples import docid
from kompass.extraction.extractor import TOO_LONG, Extracted, Extractor
from kompass.feed.sink import Sink, SinkUnavailableError, TooMuchError
from kompass.feed.source import Source, SourceRefusedError, SourceUnavailableError
from kompass.vectors.attachments import MOST_FAILURES
from kompass.vectors.embedded.reader import EmbeddedVectors
from kompass.vectors.embedded.store import EmbeddedStore
from kompass.vectors.embedders.packaged import NAME
from kompass.vectors.readings import FILE, PAUSES, Readings
from kompass.vectors.sink import VectorSink
from tests.feed.changes import batch, changed, customer
from tests.feed.sinks import with_files
from tests.needs import ROOT
from tests.vectors.embedded import AnyFile, embedder, make
from tests.vectors.test_sink import said

HOF = docid("customer", 1)


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Place:
    def __init__(self, directory: Path, server: AnyFile | None = None) -> None:
        self.clock = Clock()
        self.server = server or AnyFile()
        readings = Readings(directory, NAME, now=self.clock)
        self.sink = VectorSink(EmbeddedStore(directory, NAME), embedder(), self.server, readings)
        self.index = EmbeddedVectors(directory, NAME)

    async def problems(self, number: int = 1) -> list[str]:
        found = await self.index.inspect(docid("customer", number))
        assert found is not None
        return list(found["attachments"].values())

    async def close(self) -> None:
        await self.index.close()
        await self.sink.close()


@pytest.fixture
def too_long(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """As long as there is something in it no file can be read in time."""
    reasons = ["the machine is busy"]
    really = Extractor.extract

    async def extract(extractor: Extractor, data: bytes, *, plain: bool) -> Extracted:
        return TOO_LONG if reasons else await really(extractor, data, plain=plain)

    monkeypatch.setattr(Extractor, "extract", extract)
    return reasons


async def rounds(sinks: Sequence[Sink], number: int = 1, files: int = 3) -> int:
    """How often it was too much until it is stored. Each sink gets one attempt, the last one the rest."""
    for attempt in range(20):
        sink = sinks[min(attempt, len(sinks) - 1)]
        try:
            await sink.apply(batch(with_files(changed(customer(number, "Hof"), number), files)))
        except TooMuchError:
            continue
        return attempt
    raise AssertionError("it gets no further")


async def test_nothing_is_read_again_after_a_kill(tmp_path: Path) -> None:
    server = AnyFile()
    sinks = [make(tmp_path, server, seconds=0) for _ in range(4)]  # none of them is closed in between
    assert await rounds(sinks, files=4) == 3
    assert sorted(server.asked) == [f"{HOF}/{number}.txt" for number in range(4)]
    index = EmbeddedVectors(tmp_path, NAME)
    found = await index.inspect(HOF)
    assert found is not None
    assert set(found["attachments"].values()) == {""}
    assert {place for place, *_ in found["chunks"]} == {
        "title", *(f"attachment/{number}.txt" for number in range(4)),
    }  # fmt: skip
    await index.close()
    for sink in sinks:
        await sink.close()


READ = """
import asyncio, sys
from kompass.feed.sink import TooMuchError
from tests.feed.changes import batch, changed, customer
from tests.feed.sinks import with_files
from tests.needs import ROOT
from tests.vectors.embedded import slow_at

async def read(directory):
    sink = slow_at(directory)
    await sink.open()
    print("open", flush=True)
    documents = [with_files(changed(customer(number, "Hof"), number), 2) for number in range(1, 7)]
    while True:
        try:
            await sink.apply(batch(*documents))
            print("stored", flush=True)
            return
        except TooMuchError:
            pass

asyncio.run(read(sys.argv[1]))
"""


@pytest.mark.crash
def test_killed_at_any_moment_it_reads_on(tmp_path: Path) -> None:
    chance = random.Random(7)
    kills = 0
    while True:
        command = [sys.executable, "-c", READ, str(tmp_path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            killing = threading.Timer(chance.uniform(0.3, 1.2), process.kill)
            killing.start()
            said = process.stdout.readline()
            killing.cancel()
            process.kill()
        if said:
            break
        kills += 1
        assert kills < 40
    asked = (tmp_path / "asked").read_text().split()
    assert len(set(asked)) == 12
    assert kills
    assert len(asked) <= 12 + kills, "each kill costs the file that was being read, and no other"


async def test_what_was_read_goes_with_its_document(tmp_path: Path) -> None:
    server = AnyFile()
    sink = make(tmp_path, server, seconds=0)
    readings = Readings(tmp_path, NAME)
    for last in (changed({**customer(1, "Hof"), "dsgvoConsent": None}, 2), changed(customer(1, "Hof"), 3)):
        slow = with_files(changed(customer(1, "Hof"), 1), 2)
        sources = {f"{stub['digest']}/text" for stub in dict(slow.doc or {})["_attachments"].values()}
        with pytest.raises(TooMuchError):
            await sink.apply(batch(slow))
        assert len(await readings.known(sources)) == 1
        await sink.apply(batch(last))
        assert await readings.known(sources) == {}
        sink, before = make(tmp_path / str(last.position), server, seconds=0), sink
        await before.close()
        await readings.close()
        readings = Readings(tmp_path / str(last.position), NAME)
    await readings.close()
    await sink.close()


async def test_an_erasure_leaves_nothing_of_what_was_read(tmp_path: Path) -> None:
    sink = make(tmp_path, AnyFile(), seconds=0)
    slow = with_files(changed(customer(1, "Hof"), 1), 2)
    with pytest.raises(TooMuchError):
        await sink.apply(batch(slow))
    readings = Readings(tmp_path, NAME)
    sources = {f"{stub['digest']}/text" for stub in dict(slow.doc or {})["_attachments"].values()}
    (known,) = (await readings.known(sources)).values()
    vectors = [vector for _, vector in known.pieces]
    await readings.close()
    assert said(tmp_path, *vectors)
    await sink.forget()
    assert not said(tmp_path, *vectors)
    assert await rounds([sink], files=2) == 1
    await sink.close()


async def test_what_was_read_can_be_lost(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    sink = make(tmp_path, AnyFile(), seconds=0)
    with pytest.raises(SinkUnavailableError, match="not a database"):
        await sink.apply(batch(with_files(changed(customer(1, "Hof"), 1), 2)))
    assert await rounds([sink], files=2) == 1
    await sink.close()


async def test_what_took_too_long_is_tried_again_later(tmp_path: Path, too_long: list[str]) -> None:
    place = Place(tmp_path)
    one, other = (with_files(changed(customer(number, "Hof"), number), 1) for number in (1, 2))
    assert one.doc is not None
    assert other.doc is not None
    other.doc["_attachments"]["0.txt"]["digest"] = one.doc["_attachments"]["0.txt"]["digest"]
    await place.sink.apply(batch(one, other))
    assert place.server.asked == [f"{HOF}/0.txt"]
    assert await place.problems(1) == await place.problems(2) == [TOO_LONG.problem]
    assert await place.sink.due() == []
    await place.sink.apply(batch(one))
    assert len(place.server.asked) == 1, "not yet"
    for tries, pause in enumerate(PAUSES, 2):
        place.clock.now += pause + 1
        assert set(await place.sink.due()) == {one.id, other.id}
        await place.sink.apply(batch(one))
        assert len(place.server.asked) == tries
        assert await place.sink.due() == []
    place.clock.now += 100 * max(PAUSES)
    assert await place.sink.due() == [], "that was often enough"
    await place.sink.apply(batch(one))
    assert len(place.server.asked) == 1 + len(PAUSES)
    # A new generation tries it once more. Then it is there for both, and has been read once.
    too_long.clear()
    rebuilt = await place.sink.rebuilding()
    await rebuilt.apply(batch(one, other))
    await rebuilt.switch()
    assert len(place.server.asked) == 2 + len(PAUSES)
    assert await place.problems(1) == await place.problems(2) == [""]
    assert await place.sink.due() == []
    await rebuilt.close()
    await place.close()


async def test_once_it_can_be_read_all_that_lack_it_get_it(tmp_path: Path, too_long: list[str]) -> None:
    place = Place(tmp_path)
    one, other = (with_files(changed(customer(number, "Hof"), number), 1) for number in (1, 2))
    assert one.doc is not None
    assert other.doc is not None
    other.doc["_attachments"]["0.txt"]["digest"] = one.doc["_attachments"]["0.txt"]["digest"]
    await place.sink.apply(batch(one, other))
    place.clock.now += PAUSES[0] + 1
    too_long.clear()
    await place.sink.apply(batch(one))
    assert await place.problems(1) == [""]
    assert await place.sink.due() == [other.id]
    await place.sink.apply(batch(other))
    assert await place.problems(2) == [""]
    assert await place.sink.due() == []
    assert len(place.server.asked) == 2
    await place.close()


class Refusing(AnyFile):
    """Gives some attachments not out."""

    def __init__(self, **statuses: int) -> None:
        super().__init__()
        self.statuses = {f"{name[1:]}.txt": status for name, status in statuses.items()}

    async def attachment(self, docid: str, rev: str, name: str) -> bytes | None:
        found = await super().attachment(docid, rev, name)
        if name in self.statuses:
            raise SourceRefusedError(self.statuses[name])
        return found


async def test_what_the_server_gives_not_out_costs_only_itself(tmp_path: Path) -> None:
    server = Refusing(_0=414, _1=403)
    place = Place(tmp_path, server)
    one = with_files(changed(customer(1, "Hof"), 1), 3)
    await place.sink.apply(batch(one))
    said = "the server doesn't give it out: it answers"
    assert await place.problems() == [f"{said} 414", f"{said} 403", ""]
    # Rights may be mended, a name that is too long will not get shorter.
    assert await place.sink.due() == []
    for pause in PAUSES:
        place.clock.now += pause + 1
        assert await place.sink.due() == [HOF]
        await place.sink.apply(batch(one))
        assert await place.sink.due() == []
    place.clock.now += 100 * max(PAUSES)
    assert await place.sink.due() == []
    # Under another name the same content is read.
    other = with_files(changed(customer(2, "Hof"), 2), 3)
    assert one.doc is not None
    assert other.doc is not None
    stubs = other.doc["_attachments"]
    stubs["2.txt"]["digest"] = one.doc["_attachments"]["0.txt"]["digest"]
    del stubs["0.txt"], stubs["1.txt"]
    await place.sink.apply(batch(other))
    assert await place.problems(2) == [""]
    # And once it is given out it is there.
    server.statuses.clear()
    await place.sink.apply(batch(one))
    assert await place.problems() == ["", "", ""]
    await place.close()


@pytest.mark.parametrize("status", [0, 504])
async def test_one_attachment_that_never_comes_holds_nothing_up_for_ever(
    tmp_path: Path, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    comes = place.server.attachment

    async def attachment(docid: str, rev: str, name: str) -> bytes | None:
        found = await comes(docid, rev, name)
        if name == "1.txt":
            raise SourceUnavailableError("nobody answers", status=status)
        return found

    monkeypatch.setattr(place.server, "attachment", attachment)
    one = with_files(changed(customer(1, "Hof"), 1), 3)
    for _ in range(MOST_FAILURES - 1):
        with pytest.raises(SinkUnavailableError):
            await place.sink.apply(batch(one))
    await place.sink.apply(batch(one))
    problems = await place.problems()
    assert "doesn't give it out" in problems[1]
    assert problems[::2] == ["", ""]
    monkeypatch.undo()
    place.clock.now += PAUSES[0] + 1
    assert await place.sink.due() == [HOF]
    await place.sink.apply(batch(one))
    assert await place.problems() == ["", "", ""]
    assert await place.sink.due() == []
    await place.close()


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        (414, True),
        (400, True),
        (431, True),
        (403, True),
        (500, True),
        (401, False),
        (429, False),
        (503, False),
    ],
)
async def test_which_answers_are_about_one_attachment(status: int, refused: bool) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status))
    async with Source("http://server", "x", transport=transport) as source:
        with pytest.raises(SourceRefusedError if refused else SourceUnavailableError, match=str(status)):
            await source.attachment("customer-1", "1-a", "a.txt")
