"""What attachments say is found, and a file that can't be read costs nothing but itself."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from kompass.domain.examples import docid
from kompass.feed.sink import SinkUnavailableError
from kompass.feed.source import Source, SourceUnavailableError
from kompass.search.asking import question
from kompass.search.index import IndexUnavailableError
from kompass.vectors.embedded.reader import EmbeddedVectors
from kompass.vectors.embedders.packaged import NAME
from kompass.vectors.meaning import VectorMeaning
from kompass.vectors.originals import ServerOriginals
from kompass.vectors.sink import VectorSink
from tests.extraction.files import docx, pdf, xlsx
from tests.feed.changes import ALL, CONSENT, batch, changed, customer
from tests.feed.world import SECRET, feed_world, until
from tests.in_process import serving
from tests.vectors.embedded import Documents, embedder, make

HOF = docid("customer", 1)


def with_files(server: Documents, **files: bytes) -> dict[str, Any]:
    """A customer with attachments; `_` in their names stands for a dot."""
    stubs = {}
    for name, data in files.items():
        called = name.replace("_", ".")
        server.files[called] = data
        digest = "md5-" + b64encode(md5(data).digest()).decode()
        kind = "text/plain" if called.endswith(".txt") else "application/octet-stream"
        stubs[called] = {
            "stub": True,
            "digest": digest,
            "length": len(data),
            "content_type": kind,
            "revpos": 1,
        }
    return {**customer(1, "Hof"), "_attachments": stubs}


class Place:
    def __init__(self, directory: Path) -> None:
        self.server = Documents()
        self.sink: VectorSink = make(directory, self.server)
        self.index = EmbeddedVectors(directory, NAME)
        self.meaning = VectorMeaning(self.index, embedder())

    async def found(self, text: str) -> list[str]:
        return [match.id for match in await self.meaning.nearest(question(text), ALL, limit=5)]

    async def looked_at(self, number: int = 1) -> dict[str, str]:
        found = await self.index.inspect(docid("customer", number))
        assert found is not None
        return dict(found["attachments"])


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    one = Place(tmp_path)
    await one.sink.open()
    yield one
    await one.meaning.close()
    await one.sink.close()


async def test_a_document_is_found_by_what_is_attached(place: Place) -> None:
    doc = with_files(
        place.server,
        a_pdf=pdf("Beschwerde wegen defekter Scharniere"),
        b_docx=docx("Vereinbarung zur Anlieferung am Morgen"),
        c_xlsx=xlsx("Verkaufsautomat", "Eierschrank"),
        d_txt=b"Parkplatz gesperrt",
        e_png=b"\x89PNG",
    )
    others = [customer(number, f"Laden {number}") for number in range(2, 9)]
    await place.sink.apply(batch(*(changed(one, at) for at, one in enumerate([doc, *others], 1))))
    for text in ("defekte Scharniere", "Anlieferung am Morgen", "Verkaufsautomat", "Parkplatz gesperrt"):
        assert (await place.found(text))[0] == HOF, text
    looked_at = await place.looked_at()
    assert looked_at == {"a.pdf": "", "b.docx": "", "c.xlsx": "", "d.txt": "", "e.png": ""}


async def test_a_file_that_can_not_be_read_costs_only_itself(place: Place) -> None:
    doc = with_files(
        place.server,
        a_pdf=b"%PDF-1.7 broken",
        b_docx=docx("Kühltheke mit Glasaufsatz"),
        c_doc=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    )
    doc["_attachments"]["huge.pdf"] = {"digest": "md5-x", "length": 10**12, "content_type": "application/pdf"}
    await place.sink.apply(batch(changed(doc, 1)))
    assert (await place.found("Kühltheke"))[0] == HOF
    looked_at = await place.looked_at()
    assert "broken PDF" in looked_at["a.pdf"]
    assert "old Office" in looked_at["c.doc"]
    assert looked_at["huge.pdf"] == "larger than 25 MB"
    assert looked_at["b.docx"] == ""


async def test_a_broken_file_is_read_once_in_a_batch(place: Place) -> None:
    doc = with_files(place.server, a_pdf=b"%PDF-1.7 broken", b_pdf=b"%PDF-1.7 broken")
    await place.sink.apply(batch(changed(doc, 1)))
    assert place.server.asked.count("a.pdf") + place.server.asked.count("b.pdf") == 1
    assert all("broken PDF" in problem for problem in (await place.looked_at()).values())


async def test_a_file_is_fetched_and_read_once(place: Place) -> None:
    files = {"a_pdf": pdf("Scharniere"), "b_pdf": b"%PDF-1.7 broken"}
    first = with_files(place.server, **files)
    await place.sink.apply(batch(changed(first, 1)))
    assert sorted(place.server.asked) == ["a.pdf", "b.pdf"]
    before = await place.index.inspect(HOF)
    await place.sink.apply(batch(changed({**first, "companyName": "Hofgut"}, 2)))
    second = {**with_files(place.server, **files), "_id": docid("customer", 2)}
    await place.sink.apply(batch(changed(second, 3)))
    other = await place.sink.rebuilding()
    await other.apply(batch(changed(first, 1), changed(second, 3)))
    await other.switch()
    assert sorted(place.server.asked) == ["a.pdf", "b.pdf"]
    assert await place.index.inspect(HOF) == before
    assert await place.looked_at(2) == await place.looked_at(1)
    await other.close()


async def test_what_is_attached_no_more_is_gone(place: Place) -> None:
    doc = with_files(place.server, a_pdf=pdf("Scharniere"))
    await place.sink.apply(batch(changed(doc, 1)))
    del doc["_attachments"]
    await place.sink.apply(batch(changed(doc, 2)))
    assert await place.looked_at() == {}
    found = await place.index.inspect(HOF)
    assert found is not None
    assert {chunk[0] for chunk in found["chunks"]} == {"title"}


async def test_without_consent_no_file_is_fetched(place: Place) -> None:
    doc = with_files(place.server, a_pdf=pdf("Scharniere"))
    await place.sink.apply(batch(changed({**doc, "dsgvoConsent": None}, 1)))
    assert place.server.asked == []
    assert await place.looked_at() == {}


async def test_a_withdrawal_takes_them_too(place: Place) -> None:
    doc = with_files(place.server, a_pdf=pdf("Scharniere"))
    doc = {**doc, "_id": docid("activity", 1), "type": "activity", "customerId": HOF}
    await place.sink.apply(batch(changed(customer(1, "Hof"), 1), changed(doc, 2)))
    assert (await place.found("Scharniere"))[0] == docid("activity", 1)
    await place.sink.apply(batch(changed(customer(1, "Hof", dsgvoConsent=None), 3)))
    found = await place.index.inspect(docid("activity", 1))
    assert found is not None
    assert (found["attachments"], found["chunks"], found["allowed"]) == ({}, [], False)


async def test_while_the_server_is_away_the_sink_waits(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> bytes:
        raise SourceUnavailableError("it doesn't answer")

    with monkeypatch.context() as patch:
        patch.setattr(place.server, "attachment", away)
        with pytest.raises(SinkUnavailableError, match="doesn't answer"):
            await place.sink.apply(batch(changed(with_files(place.server, a_pdf=pdf("x")), 1)))
    assert await place.sink.checkpoint() is None


async def test_the_service_fetches_them_from_a_server(tmp_path: Path) -> None:
    async with feed_world(tmp_path) as world, serving(world.product) as url:
        data = docx("Beschwerde wegen defekter Scharniere")
        stub = {"content_type": "application/octet-stream", "data": b64encode(data).decode()}
        rev = await world.put(
            HOF,
            type="customer",
            companyName="Hof",
            owner="adm1",
            dsgvoConsent=CONSENT,
            _attachments={"brief ä/1.docx": stub},
        )
        async with Source(url, SECRET) as source:
            assert await source.attachment(HOF, rev, "brief ä/1.docx") == data
            assert await source.attachment(HOF, rev, "anderer.docx") is None
            assert await source.attachment("customer-x", rev, "a") is None
            assert (await source.current([HOF, "customer-x"]))[HOF]["_rev"] == rev
        originals = ServerOriginals(url, SECRET)
        sink = make(tmp_path / "data" / "vectors", originals)
        world.follow(sink)
        index = EmbeddedVectors(tmp_path / "data" / "vectors", NAME)

        async def there() -> bool:
            try:
                found = await index.inspect(HOF)
            except IndexUnavailableError:
                return False
            return found is not None and found["attachments"] == {"brief ä/1.docx": ""}

        await until(there, 20)
        path = f"/api/v1/search/documents/{HOF}"
        told = await world.admin.get(path, auth=("adm1", "pw"))
        assert told.json() == {"id": HOF, "state": "current", "pieces": 2, "unread": {}}
        assert (await world.admin.get(path, auth=("adm2", "pw"))).status_code == 404
        assert (await world.admin.get(f"{path}x", auth=("adm1", "pw"))).status_code == 404
        broken = {"content_type": "application/pdf", "data": b64encode(b"%PDF-1.7").decode()}
        body = (await world.admin.get(f"/kompass/{HOF}")).json()
        unnameable = ("a\x00b.txt", "..", "x" * 9000)
        await world.put(HOF, **{**body, "_attachments": dict.fromkeys(("plan.pdf", *unnameable), broken)})

        async def said() -> bool:
            told = (await world.admin.get(path, auth=("adm1", "pw"))).json()
            named = "broken PDF" in told["unread"].get("plan.pdf", "")
            return named and all("its name" in told["unread"][name] for name in unnameable)

        await until(said, 20)
        await world.unfollow()
        await index.close()
