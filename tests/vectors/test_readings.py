"""What is kept of attachments while others write, withdraw their consent, or are killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from kompass.domain.examples import docid, smallest
from kompass.extraction.extractor import TOO_LONG, Extracted, Extractor
from kompass.feed.sink import SinkUnavailableError, TooMuchError
from kompass.feed.source import Source, SourceUnavailableError
from kompass.vectors.attachments import MOST_FAILURES, PASSING, Attachments, Refused, Stub
from kompass.vectors.embedders.packaged import NAME
from kompass.vectors.originals import ServerOriginals
from kompass.vectors.readings import FILE, PAUSES, Readings
from tests.feed.changes import batch, changed, customer
from tests.feed.sinks import with_files
from tests.vectors.embedded import AnyFile, make
from tests.vectors.test_sink import said
from tests.vectors.test_slow_attachments import HOF, Place


@pytest.fixture
def too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def extract(*_: object, **__: object) -> Extracted:
        return TOO_LONG

    monkeypatch.setattr(Extractor, "extract", extract)


async def test_several_attachments_that_never_come_hold_nothing_up_for_ever(tmp_path: Path) -> None:
    class Hanging(AnyFile):
        async def attachment(self, docid: str, rev: str, name: str) -> bytes | None:
            found = await super().attachment(docid, rev, name)
            if name != "0.txt":
                raise SourceUnavailableError("nobody answers", status=504)
            return found

    place = Place(tmp_path, Hanging())
    one = with_files(changed(customer(1, "Hof"), 1), 3)
    for _ in range(2 * (MOST_FAILURES - 1)):
        with pytest.raises(SinkUnavailableError):
            await place.sink.apply(batch(one))
    await place.sink.apply(batch(one))
    problems = await place.problems()
    assert [bool(problem) for problem in problems] == [False, True, True]
    asked = [f"{HOF}/{number}.txt" for number in (1, 2)]
    assert [place.server.asked.count(name) for name in asked] == [MOST_FAILURES] * 2
    # What is settled is asked for again when it is due.
    place.clock.now += PAUSES[0] + 1
    assert await place.sink.due() == [HOF]
    with pytest.raises(SinkUnavailableError):
        await place.sink.apply(batch(one))
    await place.close()


@pytest.mark.usefixtures("too_long")
async def test_a_rebuild_gets_on_while_others_are_stored(tmp_path: Path) -> None:
    server = AnyFile()
    sink = make(tmp_path, server, seconds=0)
    await sink.open()
    slow = [with_files(changed(customer(number, "Hof"), number), 2) for number in (1, 2)]
    generation = await sink.rebuilding()
    for position in range(10, 13):
        await sink.apply(batch(changed(customer(9, "Hof"), position)))
        with pytest.raises(TooMuchError):
            await generation.apply(batch(*slow))
    await generation.apply(batch(*slow))
    assert len(server.asked) == len(set(server.asked)) == 4, "none is read twice"
    await generation.close()
    await sink.close()


async def test_a_consent_withdrawn_while_attachments_are_read_takes_them_along(tmp_path: Path) -> None:
    server = AnyFile()
    sink = make(tmp_path, server, seconds=0)
    await sink.open()

    def decides(position: int, consents: bool) -> Any:
        body = customer(1, "Hof") if consents else {**customer(1, "Hof"), "dsgvoConsent": None}
        one = changed(body, position)
        server.there[HOF] = one.doc or {}
        return batch(one)

    await sink.apply(decides(1, consents=False))
    about = {**smallest("activity"), "_id": docid("activity", 1), "customerId": HOF}
    activity = with_files(changed(about, 2), 2)
    await sink.apply(batch(activity))
    server.there[activity.id] = {**(activity.doc or {}), "_rev": activity.rev}
    with pytest.raises(TooMuchError):
        await sink.apply(decides(3, consents=True))
    readings = Readings(tmp_path, NAME)
    assert await readings.documents() == {activity.id}
    await sink.apply(decides(4, consents=False))
    assert await readings.documents() == set()
    await readings.close()
    await sink.close()


@pytest.mark.usefixtures("too_long")
async def test_a_kill_before_it_is_written_down_what_is_lacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    async def killed(*_: object) -> None:
        raise KilledError

    place, one = Place(tmp_path), with_files(changed(customer(1, "Hof"), 1), 1)
    with monkeypatch.context() as patched:
        patched.setattr(Readings, "stored", killed)
        with pytest.raises(KilledError):
            await place.sink.apply(batch(one))
    assert await place.problems() == [TOO_LONG.problem]
    after = Place(tmp_path)
    await after.sink.apply(batch(changed(customer(5, "Hof"), 5)))
    assert await after.sink.due() == []
    after.clock.now += PAUSES[0] + 1
    assert await after.sink.due() == [HOF]
    await after.close()
    await place.close()


async def test_a_broken_file_goes_with_its_log(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    (tmp_path / f"{FILE}-wal").write_bytes(b"vectors")
    readings = Readings(tmp_path, NAME)
    with pytest.raises(SinkUnavailableError, match="not a database"):
        await readings.forget()
    assert not said(tmp_path, b"database", b"vectors")


@pytest.mark.parametrize("answer", [httpx.Response(204), httpx.Response(200, html="<h1>Log in</h1>")])
async def test_a_page_of_something_in_between_is_no_attachment(answer: httpx.Response) -> None:
    originals = ServerOriginals("http://server", "x")
    originals._source = Source("http://server", "x", transport=httpx.MockTransport(lambda _: answer))
    attachments = Attachments(originals)
    read = await attachments.read(HOF, "1-a", Stub("a.txt", "md5-a", 4, plain=True))
    assert isinstance(read, Refused)
    assert read.problem in PASSING
    await originals.close()
    await attachments.close()
