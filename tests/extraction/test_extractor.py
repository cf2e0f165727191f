"""What is read out of files, and that no file does any harm."""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal
import time
import zlib
from collections.abc import AsyncIterator

import psutil
import pytest
import pytest_asyncio
from pypdf import PdfReader, PdfWriter

from kompass.extraction.extractor import MOST_BYTES, Extracted, Extractor
from tests.extraction.files import archive, docx, pdf, pdf_of, xlsx

BILLION = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "Hofladen"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><w:t xmlns:w="x">&c;</w:t>"""
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE t [<!ENTITY f SYSTEM "file:///etc/passwd">]><t>&f;</t>'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def extractor() -> AsyncIterator[Extractor]:
    one = Extractor()
    yield one
    await one.close()


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def read(extractor: Extractor, data: bytes, *, plain: bool = False) -> Extracted:
    return await extractor.extract(data, plain=plain)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pdf("Regale aus Eiche", "Kühltheke und Käse"), ["Regale aus Eiche", "Kühltheke und Käse"]),
        (docx("Regale aus Eiche", "Kühltheke"), ["Regale aus Eiche\n", "Kühltheke\n"]),
        (docx("Brief", word__header1__xml="") + b"", ["Brief"]),
        (xlsx("Eiche", "Kühltheke", inline="Käse"), ["Eiche\n", "Kühltheke\n", "Käse"]),
        (archive({"ppt/slides/slide1.xml": "<p><t>Vortrag</t></p>"}), ["Vortrag"]),
    ],
)
async def test_the_text_of_a_file(extractor: Extractor, data: bytes, words: list[str]) -> None:
    found = await read(extractor, data)
    assert found.problem == ""
    for word in words:
        assert word in found.text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
async def test_plain_text_in_the_encodings_that_there_are(extractor: Extractor, encoding: str) -> None:
    assert await read(extractor, "Käse für 3 €".encode(encoding), plain=True) == Extracted("Käse für 3 €")


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(100), b"GIF89a", archive({"x.exe": b"MZ"})]
)
async def test_what_has_no_text_is_no_problem(extractor: Extractor, data: bytes) -> None:
    assert await read(extractor, data) == Extracted("")


async def test_numbers_of_a_table_are_left_out(extractor: Extractor) -> None:
    assert "4711" not in (await read(extractor, xlsx("Eiche"))).text


async def test_of_a_long_text_the_beginning_is_read(extractor: Extractor) -> None:
    for data, plain in ((("Käse " * 1_000_000).encode(), True), (docx("Käse " * 1_000_000), False)):
        found = await read(extractor, data, plain=plain)
        assert len(found.text) == 100_000
        assert found.problem == ""
    assert len((await read(extractor, pdf(*["Käse " * 100] * 600))).text) == 100_000


async def test_macros_links_and_embedded_files_are_never_looked_at(extractor: Extractor) -> None:
    inner = docx("Zwetschge")
    data = docx(
        "Brief",
        word__vbaProject_bin=b"MACRO Zwetschge",
        word__embeddings__inner_docx=inner,
        word___rels__document_xml_rels='<Relationships><Relationship Target="http://127.0.0.1:1/"/></Relationships>',
    )
    found = await read(extractor, data)
    assert found.text.split() == ["Brief"]


def encrypted() -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("Geheim"))))
    writer.encrypt("secret", algorithm="RC4-128")
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


def bomb() -> bytes:
    """200 kB that would be 200 MB."""
    begun = b'<w:document xmlns:w="x"><w:body><w:p>'
    return archive({"word/document.xml": begun + b" " * 200_000_000})


HOSTILE = {
    "unpacks to 200 MB": (bomb, "unpacks to more than 100 MB"),
    "an old format": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000), "old Office"),
    "a password": (encrypted, "password"),
    "entities": (lambda: docx(word__header1_xml="", **{"word__document.xml": BILLION}), "document type"),
    "a file of the server": (lambda: archive({"word/document.xml": OUTSIDE}), "document type"),
    "no XML": (lambda: archive({"word/document.xml": "<w:t>Hof"}), "broken XML"),
    "deep": (lambda: archive({"word/document.xml": "<a>" * 100_000}), "too deep"),
    "many parts": (lambda: archive({f"x{at}": b"" for at in range(10_001)}), "more than 10,000 files"),
    "half an archive": (lambda: docx("Brief")[:200], "broken archive"),
    "only the beginning of a PDF": (lambda: b"%PDF-1.7\n", "broken PDF"),
    "too large": (lambda: bytes(MOST_BYTES + 1), "larger than 25 MB"),
    "no text": (lambda: bytes(1000), "isn't"),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_what_can_not_be_read_is_said(extractor: Extractor, what: str) -> None:
    make, said = HOSTILE[what]
    found = await read(extractor, make(), plain=what == "no text")
    assert said in found.problem
    assert found.text == ""
    assert (await read(extractor, docx("Brief"))).text.split() == ["Brief"]


@pytest.mark.slow
async def test_a_pdf_that_unpacks_to_gigabytes(extractor: Extractor) -> None:
    """Compressed thrice: 3 kB that would be 2 GB."""
    stream = zlib.compress(zlib.compress(zlib.compress(b" " * 50_000_000, 9), 9), 9)
    found = await read(extractor, pdf_of([stream] * 50, "[/FlateDecode/FlateDecode/FlateDecode]"))
    assert found.text.strip() == ""
    assert (await read(extractor, pdf("Brief"))).text.split() == ["Brief"]


async def test_a_pdf_whose_pages_are_their_own_parents(extractor: Extractor) -> None:
    looped = pdf("Brief").replace(b"/Kids[4 0 R]", b"/Kids[2 0 R]")
    await read(extractor, looped)
    assert (await read(extractor, pdf("Brief"))).text.split() == ["Brief"]


@pytest.mark.parametrize("seed", range(20))
async def test_files_with_faults_everywhere(extractor: Extractor, seed: int) -> None:
    chance = random.Random(seed)
    for whole in (pdf("Regale aus Eiche", "Käse"), docx("Regale aus Eiche"), xlsx("Eiche")):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 30)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        cut = bytes(data[: chance.randrange(len(data))]) if chance.random() < 0.3 else bytes(data)
        found = await read(extractor, cut)
        assert len(found.problem) < 200
    assert (await read(extractor, pdf("Brief"))).text.split() == ["Brief"]


async def test_a_reader_that_hangs_or_dies_is_replaced() -> None:
    extractor = Extractor(seconds=0.5)
    assert (await extractor.extract(docx("Brief"), plain=False)).text.split() == ["Brief"]
    process = extractor._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    began = time.monotonic()
    assert (await extractor.extract(docx("Brief"), plain=False)).problem == "reading it takes too long"
    assert time.monotonic() - began < 5
    assert not psutil.pid_exists(process.pid)
    await extractor.extract(docx("Brief"), plain=False)
    process = extractor._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    assert (await extractor.extract(docx("Brief"), plain=False)).text.split() == ["Brief"]
    await extractor.close()
    assert psutil.Process().children() == [] or all(
        child.pid != process.pid for child in psutil.Process().children()
    )


@pytest.mark.slow
async def test_a_reader_that_is_busy_for_too_long_is_ended_by_the_system() -> None:
    """A page of a PDF that draws a million times."""
    extractor = Extractor(seconds=1.0)
    stream = zlib.compress(b"BT /F1 12 Tf (a) Tj ET\n" * 3_000_000)
    found = await extractor.extract(pdf_of([stream] * 3, "/FlateDecode"), plain=False)
    assert found.text == ""
    assert found.problem
    assert (await extractor.extract(docx("Brief"), plain=False)).text.split() == ["Brief"]
    await extractor.close()


async def test_a_process_with_nothing_to_read_is_ended_and_another_one_reads_the_next_file() -> None:
    extractor = Extractor(idle=0.3)
    try:
        first = await read(extractor, b"Eiche", plain=True)
        assert extractor._process is not None
        process = psutil.Process(extractor._process.pid)
        async with asyncio.timeout(10):
            while process.is_running():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (first, await read(extractor, b"Buche", plain=True)) == (
            Extracted("Eiche"),
            Extracted("Buche"),
        )
    finally:
        await extractor.close()
