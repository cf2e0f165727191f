"""PDFs, read by another library than made them: text, pages, fonts, archive standard, limits."""

from __future__ import annotations

import asyncio
import io
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import playwright
import pytest
import pytest_asyncio
from pypdf import PdfReader
from pypdf.generic import StreamObject

from kompass.domain.examples import full
from kompass.printing.content import Content, Parties, Row
from kompass.printing.expense_sheets import expense_sheet
from kompass.printing.offers import contract, offer
from kompass.printing.typesetter import NoSuchSign, PrintingError, TooLarge, Typesetter
from tests.needs import require
from tests.printing.samples import (
    ADDRESS,
    HOSTILE,
    LETTERHEAD,
    NAMES,
    PARTIES,
    RIGHT_TO_LEFT,
    an_offer,
    item,
    png,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def letterhead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("letterhead") / "company.toml"
    file.write_text(LETTERHEAD, "utf-8")
    return file


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def typesetter(letterhead: Path) -> AsyncIterator[Typesetter]:
    one = Typesetter(letterhead)
    yield one
    await one.close()


def read(pdf: bytes) -> tuple[PdfReader, list[str]]:
    reader = PdfReader(io.BytesIO(pdf), strict=True)
    return reader, [re.sub(r"\s+", " ", page.extract_text()) for page in reader.pages]


async def test_a_short_offer_is_one_page_with_everything(typesetter: Typesetter) -> None:
    reader, (page,) = read(await typesetter.print(offer(an_offer(terms=NAMES), PARTIES)))
    for text in (
        "Rode Ladenbau GmbH · Am Markt 7 · 53894 Mechernich",
        "Hofladen Süß & Söhne Dr. Käthe Süß Hauptstraße 1a 53894 Rode",
        "Angebot A-2026-00042",
        "03.11.2026",
        "2,5 Stück 1.234,50 € 3.086,25 €",
        "Gesamtbetrag 7.345,28 €",
        "IBAN DE02 1203 0000 0000 2020 51",
        "Seite 1 von 1",
        "Ina Nolte",
        NAMES,
    ):
        assert text in page, text
    assert "ENTWURF" not in page
    assert reader.metadata is not None
    assert (reader.metadata.title, reader.metadata.author) == ("Angebot A-2026-00042", "Rode Ladenbau GmbH")
    assert str(reader.metadata["/CreationDate"]) == "D:20261103000000Z"
    assert str(reader.root_object["/Lang"]) == "de-DE"


async def test_it_is_said_to_be_for_the_archive_and_has_its_fonts_inside(typesetter: Typesetter) -> None:
    reader, _ = read(await typesetter.print(offer(an_offer(), PARTIES)))
    found = reader.root_object["/Metadata"].get_object()
    assert isinstance(found, StreamObject)
    metadata = found.get_data().decode()
    assert "<pdfaid:part>3</pdfaid:part>" in metadata
    assert "<pdfaid:conformance>B</pdfaid:conformance>" in metadata
    assert "/OutputIntents" in reader.root_object
    fonts = {
        str(one.get_object()["/FontDescriptor"].get_object().keys() & {"/FontFile2", "/FontFile3"})
        for page in reader.pages
        for font in page["/Resources"]["/Font"].values()  # type: ignore[index]
        for one in font.get_object()["/DescendantFonts"]
    }
    assert fonts
    assert "set()" not in fonts


def a_sheet() -> Content:
    """Of a tour, with everything that documents may have."""
    return expense_sheet(
        full("tour"), [full("expense")], [full("mileage_log")], [full("hotel_stay")], PARTIES
    )


async def test_contracts_and_expense_sheets_are_printed_with_all_they_may_have(
    typesetter: Typesetter,
) -> None:
    _, pages = read(await typesetter.print(contract(full("contract"), full("offer"), PARTIES)))
    for text in ("Zahlungsplan", "Lieferplan", "Auftragswert brutto 4.017,86 €", "Ort, Datum, Auftragnehmer"):
        assert text in " ".join(pages), text
    _, pages = read(await typesetter.print(a_sheet()))
    for text in ("Belege", "Fahrten", "Übernachtungen", "Summe ohne abgelehnte", "Geschäftsführung"):
        assert text in " ".join(pages), text


@pytest.mark.slow
async def test_verapdf_finds_nothing_against_pdf_a(typesetter: Typesetter, tmp_path: Path) -> None:
    program = require("verapdf")
    contents = {
        "offer": offer(an_offer(100), PARTIES),
        "draft": offer(an_offer(status="draft", terms=f"{RIGHT_TO_LEFT} {NAMES}"), PARTIES),
        "contract": contract(full("contract"), full("offer"), PARTIES),
        "expenses": a_sheet(),
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.pdf").write_bytes(await typesetter.print(content))
    files = [str(tmp_path / f"{name}.pdf") for name in contents]
    main = "org.verapdf.apps.GreenfieldCliWrapper"
    done = await asyncio.to_thread(
        subprocess.run,
        ["java", "-cp", f"{program}/*", main, "--flavour", "3b", "--format", "text", *files],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split("\n")[:-1] == [f"PASS {file} 3b" for file in files], done.stdout + done.stderr


async def test_a_long_table_repeats_its_heading_and_carries_sums_forward(typesetter: Typesetter) -> None:
    _, pages = read(await typesetter.print(offer(an_offer(100), PARTIES)))
    assert len(pages) == 3
    for number, page in enumerate(pages, 1):
        assert f"Seite {number} von {len(pages)}" in page
        lines = [int(found) for found in re.findall(r"Regal Nr\. (\d{3})", page)]
        if not lines:
            continue
        assert "Pos. Bezeichnung Menge Einheit Einzelpreis Gesamt" in page
        before, upto = (lines[0] - 1) * 308625, lines[-1] * 308625
        assert ("Übertrag" in page) == (before > 0)
        if before:
            assert f"Übertrag {money(before)}" in page
        if upto < 100 * 308625:
            assert f"Zwischensumme {money(upto)}" in page
    assert f"Summe netto {money(100 * 308625)}" in pages[-1]


def money(cents: int) -> str:
    return f"{cents / 100:,.2f} €".translate(str.maketrans(",.", ".,"))


async def test_what_people_write_is_text_and_nothing_else(typesetter: Typesetter) -> None:
    _, (page,) = read(await typesetter.print(offer(an_offer(1, terms=HOSTILE), PARTIES)))
    assert re.sub(r"\s", "", HOSTILE) in re.sub(r"\s", "", page)
    assert "root:" not in page


async def test_other_directions_of_writing_are_there(typesetter: Typesetter) -> None:
    _, (page,) = read(await typesetter.print(offer(an_offer(1, terms=RIGHT_TO_LEFT), PARTIES)))
    assert {*RIGHT_TO_LEFT} - {" "} <= {*page}


@pytest.mark.parametrize(("text", "named"), [("日本", r"日 \(U\+65E5\)"), ('"\uea60"', r"\(U\+EA60\)")])
async def test_a_sign_that_no_font_has_is_named(typesetter: Typesetter, text: str, named: str) -> None:
    with pytest.raises(NoSuchSign, match=named):
        await typesetter.print(offer(an_offer(1, terms=text), PARTIES))


async def test_long_words_do_not_run_out_of_the_page_or_over_a_sum(typesetter: Typesetter) -> None:
    lines = [item(1, description="x" * 2000)]
    _, pages = read(await typesetter.print(offer(an_offer(lineItems=lines, terms="y" * 300), PARTIES)))
    runs = re.findall("x+|y+", " ".join(pages).replace("\u200b", ""))
    assert sum(len(run) for run in runs) >= 2300
    assert max(len(run) for run in runs) < 120


async def test_a_long_address_is_whole_within_the_window(typesetter: Typesetter) -> None:
    names = {"companyName": "Landwirtschaftliche Genossenschaft " * 5, "billingAddress": ADDRESS}
    reader, _ = read(await typesetter.print(offer(an_offer(), Parties(names, {"lastName": "Süß" * 20}))))
    heights: dict[str, float] = {}
    reader.pages[0].extract_text(
        visitor_text=lambda text, page, line, font, size: heights.update({text.strip(): page[5]})
    )
    (country,) = [at for text, at in heights.items() if "STERREICH" in text]
    assert country > (297 - 90) / 25.4 * 72, "below the window, 90 mm from the edge"


async def test_the_same_document_makes_the_same_bytes_whoever_makes_them(
    typesetter: Typesetter, letterhead: Path
) -> None:
    first = await typesetter.print(offer(an_offer(), PARTIES))
    other = Typesetter(letterhead)
    try:
        assert await other.print(offer(an_offer(), PARTIES)) == first
    finally:
        await other.close()
    assert await typesetter.print(offer(an_offer(3), PARTIES)) != first


async def test_a_draft_says_so_on_every_page(typesetter: Typesetter) -> None:
    _, pages = read(await typesetter.print(offer(an_offer(60, status="draft"), PARTIES)))
    assert len(pages) > 1
    assert all("ENTWURF" in page for page in pages)


@pytest.mark.slow
async def test_a_document_without_bounds_is_refused(letterhead: Path) -> None:
    typesetter = Typesetter(letterhead, seconds=0.3)
    short, row = offer(an_offer(), PARTIES), Row(("Regal",) * 6, "1,00 €")
    (table,) = short.tables

    def lines(number: int, row: Row = row) -> Content:
        return replace(short, tables=[replace(table, rows=[row] * number)])

    try:
        with pytest.raises(TooLarge, match="5000 lines"):
            await typesetter.print(lines(1_000_000))
        with pytest.raises(TooLarge, match="4 MB"):
            await typesetter.print(lines(5000, Row(("Regal" * 200,) * 6)))
        with pytest.raises(TooLarge, match="time or memory"):
            await typesetter.print(lines(5000))
    finally:
        await typesetter.close()


async def test_templates_and_letterhead_are_those_of_the_company(tmp_path: Path) -> None:
    (tmp_path / "company.toml").write_text('name = "Eigene GmbH"\nlogo = "logo.svg"\n')
    (tmp_path / "logo.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><rect width="20" height="20"/></svg>'
    )
    (tmp_path / "document.typ").write_text(
        '#import "letter.typ": letter\n#let data = json("data.json")\n'
        "#show: letter.with(data)\nEigene Vorlage"
    )
    typesetter = Typesetter(tmp_path / "company.toml", tmp_path)
    try:
        _, (page,) = read(await typesetter.print(offer(an_offer(), PARTIES)))
        assert "Eigene Vorlage" in page
        assert "Regal" not in page
        (tmp_path / "document.typ").write_text('#read("/etc/passwd")')
        with pytest.raises(PrintingError, match="template"):
            await typesetter.print(offer(an_offer(), PARTIES))
        (tmp_path / "document.typ").write_text('#import "@preview/tablex:0.0.8": tablex')
        with pytest.raises(PrintingError, match="template"):
            await typesetter.print(offer(an_offer(), PARTIES))
        (tmp_path / "company.toml").write_text('name = "X"\nfax = "1"\n')
        with pytest.raises(PrintingError, match="fax"):
            await typesetter.print(offer(an_offer(), PARTIES))
    finally:
        await typesetter.close()


@pytest.mark.parametrize("size", [(40, 10), (4000, 10), (10, 4000)])
async def test_a_logo_may_be_a_picture_of_dots(size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "company.toml").write_text('name = "Eigene GmbH"\nlogo = "logo.png"\n')
    (tmp_path / "logo.png").write_bytes(png(*size))
    typesetter = Typesetter(tmp_path / "company.toml")
    try:
        reader, (page,) = read(await typesetter.print(offer(an_offer(), PARTIES)))
        drawn = [one.get_object() for one in reader.pages[0]["/Resources"]["/XObject"].values()]  # type: ignore[index]
        assert size in [(one.get("/Width"), one.get("/Height")) for one in drawn]
        assert "Gesamtbetrag" in page
        (tmp_path / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
        with pytest.raises(PrintingError, match="logo"):
            await typesetter.print(offer(an_offer(), PARTIES))
    finally:
        await typesetter.close()


async def test_signs_come_from_fonts_of_the_company(tmp_path: Path) -> None:
    icons = next((Path(playwright.__file__).parent / "driver").rglob("codicon*.ttf"))
    (tmp_path / "fonts").mkdir()
    shutil.copy(icons, tmp_path / "fonts")
    (tmp_path / "fonts" / "broken.ttf").write_bytes(b"\xff")
    typesetter = Typesetter(None, tmp_path)
    try:
        _, (page,) = read(await typesetter.print(offer(an_offer(terms="Siehe \uea60"), PARTIES)))
        assert "Siehe \uea60" in page
    finally:
        await typesetter.close()
