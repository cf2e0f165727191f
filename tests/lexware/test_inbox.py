"""The folder where Lexware's files come: what is whole is taken, and nothing is followed."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from kompass.lexware import arrivals, importing, inbox
from kompass.lexware.exchange import Exchange
from kompass.lexware.inbox import Inbox, InboxError
from kompass.lexware.targets import Folder, TargetError
from kompass.server import Product
from tests.lexware.arriving import lines, payments, row
from tests.lexware.world import docid, get, invoice, put

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.alone("its files are this process's"),
]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "RESTS", 0.05)


@pytest.fixture
def one(one: Exchange) -> Exchange:
    assert one.imports is not None
    one.imports.mkdir(parents=True)
    return one


def folder(one: Exchange) -> Path:
    assert one.imports is not None
    return one.imports


async def test_files_go_where_they_belong_with_a_report(product: Product, one: Exchange) -> None:
    await put(product, *invoice(20), *invoice(21))
    place = folder(one)
    (place / "gut.csv").write_bytes(payments(row(20, "119,00"), "R-8;K-8;02.11.2026;1,00;;"))
    (place / "kaputt.csv").write_bytes(b"Name;Ort\r\nMeier;Ulm\r\n")
    (place / "zu neu.txt").write_bytes(b"nothing to do with it")
    polled = await one.poll("schedule")
    assert [(report.name, report.state) for report in polled.reports] == [
        ("gut.csv", "done"), ("kaputt.csv", "refused"),
    ]  # fmt: skip
    assert sorted(file.name for file in (place / "processed").iterdir()) == ["gut.csv", "gut.csv.report.json"]
    told = json.loads((place / "failed" / "kaputt.csv.report.json").read_text())
    assert "is neither payments" in told["said"]
    assert "weder Zahlungen" in told["gesagt"]
    assert sorted(file.name for file in place.iterdir()) == ["failed", "processed", "zu neu.txt"]
    assert (await get(product, docid("invoice", 20)))["status"] == "paid"
    (place / "GUT-KOPIE.CSV").write_bytes((place / "processed" / "gut.csv").read_bytes())
    again = await one.poll("schedule")
    assert [report.state for report in again.reports] == ["repeated"]
    assert (place / "processed" / "GUT-KOPIE.csv").exists()
    kept = {arrival.name: arrival.kept for arrival in arrivals.listed(one.opened())}
    assert kept["kaputt.csv"] == "failed/kaputt.csv"


async def test_a_file_that_grows_is_waited_for(product: Product, one: Exchange) -> None:
    await put(product, *invoice(22))
    place = folder(one)
    data = payments(row(22, "119,00"))
    file = place / "waechst.csv"
    file.write_bytes(data[:60])
    stop = threading.Event()

    def grow() -> None:
        with file.open("ab") as growing:
            for byte in data[60:]:
                growing.write(bytes([byte]))
                growing.flush()
                if stop.wait(0.01):
                    return

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        polled = await one.poll("schedule")
        assert (polled.reports, polled.waiting) == ([], ["waechst.csv"])
    finally:
        await asyncio.to_thread(thread.join)
    await asyncio.sleep(0.1)
    assert [report.state for report in (await one.poll("schedule")).reports] == ["done"]


async def test_links_devices_and_strange_names_do_no_harm(one: Exchange, tmp_path: Path) -> None:
    place = folder(one)
    secret = tmp_path / "secret.csv"
    secret.write_bytes(payments(row(23, "119,00")))
    (place / "link.csv").symlink_to(secret)
    (place / "hard.csv").hardlink_to(secret)
    os.mkfifo(place / "pipe.csv")
    (place / "folder.csv").mkdir()
    (place / "new\nline\x1b[31m.csv").write_bytes(b"")
    (place / f"{'x' * 251}.csv").write_bytes(b"")
    os.close(os.open(os.fsencode(place) + b"/\xff\xfe.csv", os.O_CREAT | os.O_WRONLY))
    with (place / "huge.csv").open("wb") as huge:
        huge.truncate(200_000_000)
    began = time.monotonic()
    polled = await one.poll("schedule")
    assert {skipped.name: skipped.why for skipped in polled.skipped}.keys() == {
        "link.csv", "hard.csv", "pipe.csv", "folder.csv",
    }  # fmt: skip
    assert [report.state for report in polled.reports] == ["refused"] * 4
    assert "at most 50,000,000" in next(r.said for r in polled.reports if r.name == "huge.csv")
    assert time.monotonic() - began < 20
    assert secret.exists()
    for name in (file.name for file in (place / "failed").iterdir()):
        assert name.isprintable()
    assert (place / "link.csv").is_symlink()


async def test_a_folder_that_is_a_link_is_not_written_into(
    product: Product, one: Exchange, tmp_path: Path
) -> None:
    await put(product, *invoice(27))
    place = folder(one)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (place / "failed").symlink_to(elsewhere)
    (place / "x.csv").write_bytes(b"Name\n")
    (place / "y.csv").write_bytes(payments(row(27, "119,00")))
    polled = await one.poll("schedule")
    assert [each.name for each in polled.skipped] == ["x.csv"]
    assert "failed can't be written" in polled.skipped[0].why
    assert [report.name for report in polled.reports] == ["y.csv"], "the others are taken"
    assert list(elsewhere.iterdir()) == []
    await one.watch()
    assert "not taken" in [alert["name"] for alert in one.status()["alerts"]]
    assert one.status()["skipped"][0]["name"] == "x.csv"


async def test_sums_that_are_others_than_the_manifest_says_refuse_a_file(
    product: Product, one: Exchange
) -> None:
    await put(product, *invoice(24))
    place = folder(one)
    data = payments(row(24, "119,00"))
    (place / "z.csv").write_bytes(data)
    (place / "z.csv.manifest.json").write_bytes(orjson.dumps({"sums": {"PaymentAmount": "1190.00"}}))
    (refused,) = (await one.poll("schedule")).reports
    assert (refused.state, refused.problems[0]["rule"]) == ("refused", "file.manifest")
    assert (await get(product, docid("invoice", 24)))["status"] == "sent"
    (place / "z.csv").write_bytes(data)
    (place / "z.csv.manifest.json").write_bytes(
        orjson.dumps({"rows": 1, "sums": {"PaymentAmount": "119.00"}})
    )
    (taken,) = (await one.poll("schedule")).reports
    assert taken.state == "done"
    assert (place / "processed" / "z.csv.manifest.json").exists()


async def test_a_manifest_that_is_odd_stops_no_other_file(product: Product, one: Exchange) -> None:
    await put(product, *invoice(28))
    place = folder(one)
    for number, text in enumerate(('{"sums": {"PaymentAmount": "sNaN"}}', '{"rows": "1"', "[]")):
        (place / f"a{number}.csv").write_bytes(payments(row(28, f"{number + 1},00")))
        (place / f"a{number}.csv.manifest.json").write_text(text)
    (place / "b.csv").write_bytes(payments(row(28, "119,00")))
    polled = await one.poll("schedule")
    assert [report.state for report in polled.reports] == ["refused", "refused", "refused", "done"]
    assert polled.reports[-1].outcomes == {"exact": 1}


async def test_what_was_put_over_a_file_while_it_was_taken_is_taken_next(
    product: Product, one: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(product, *invoice(29), *invoice(30))
    place = folder(one)
    (place / "z.csv").write_bytes(payments(row(29, "119,00")))
    real = importing.take

    async def take(*given: Any, **named: Any) -> Any:
        report = await real(*given, **named)
        (place / "new").write_bytes(payments(row(30, "119,00")))
        (place / "new").replace(place / "z.csv")
        return report

    with monkeypatch.context() as patch:
        patch.setattr(importing, "take", take)
        assert [report.state for report in (await one.poll("schedule")).reports] == ["done"]
    await one.poll("schedule")
    assert [(await get(product, docid("invoice", n)))["status"] for n in (29, 30)] == ["paid", "paid"]
    assert sorted(file.name for file in place.glob("*.csv")) == []


async def test_what_is_written_into_a_file_after_it_was_taken_is_taken_too(
    product: Product, one: Exchange
) -> None:
    await put(product, *invoice(31), *invoice(32))
    place = folder(one)
    with (place / "stockt.csv").open("wb") as growing:
        growing.write(payments(row(31, "119,00")))
        growing.flush()
        os.utime(place / "stockt.csv", (1, 1))
        await one.poll("schedule")
        growing.write(row(32, "119,00").encode() + b"\r\n")
    await asyncio.sleep(0.1)
    (report,) = (await one.poll("schedule")).reports
    assert report.outcomes == {"repeated": 1, "exact": 1}
    assert (await get(product, docid("invoice", 32)))["status"] == "paid"
    assert sorted(file.name for file in (place / "processed").iterdir()) == [
        "stockt.csv", "stockt.csv.report.json",
    ]  # fmt: skip
    assert (await one.poll("schedule")).reports == []


async def test_many_things_that_are_no_files_hide_none(
    product: Product, one: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MOST_FILES", 3)
    await put(product, *invoice(33))
    place = folder(one)
    for number in range(5):
        (place / f"a{number}.txt").write_bytes(b"")
        (place / f"a{number}.csv").symlink_to(place / "nowhere")
    (place / "z.csv").write_bytes(payments(row(33, "119,00")))
    polled = await one.poll("schedule")
    assert (len(polled.skipped), [report.state for report in polled.reports]) == (3, ["done"])


async def test_a_file_that_may_not_be_read_is_told(one: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder(one) / "a.csv").write_bytes(payments())
    real = os.open

    def refusing(path: Any, *given: Any, **named: Any) -> int:
        if path == "a.csv":
            raise PermissionError(13, "Permission denied")
        return real(path, *given, **named)

    monkeypatch.setattr(os, "open", refusing)
    polled = await one.poll("schedule")
    assert [each.why for each in polled.skipped] == ["it can't be read: Permission denied"]


async def test_a_share_that_is_not_mounted_is_neither_made_anew_nor_called_empty(
    product: Product, one: Exchange, tmp_path: Path
) -> None:
    await one.poll("schedule")
    (tmp_path / "lexware").rename(tmp_path / "away")
    with pytest.raises(InboxError, match="is the share mounted"):
        await one.poll("schedule")
    assert not (tmp_path / "lexware").exists()
    with pytest.raises(InboxError, match="is the share mounted"):
        Inbox(folder(one)).clear()
    with pytest.raises(TargetError, match="is the share mounted"):
        await Folder(tmp_path / "lexware" / "exports").erase("", "a.csv")
    (tmp_path / "away").rename(tmp_path / "lexware")
    assert (await one.poll("schedule")).reports == []


async def test_two_that_look_at_once_take_each_file_once(product: Product, one: Exchange) -> None:
    await put(product, *invoice(25))
    other = Exchange(one.settings, one.gate_now)
    (folder(one) / "beide.csv").write_bytes(payments(row(25, "100,00")))
    found = await asyncio.gather(one.poll("a"), other.poll("b"))
    assert sorted(len(polled.reports) for polled in found) == [0, 1]
    assert len([a for a in arrivals.listed(one.opened()) if a.name == "beide.csv"]) == 1
    other.close()


async def test_windows_text_with_mixed_line_ends_is_read(product: Product, one: Exchange) -> None:
    await put(product, *invoice(26))
    text = lines("Rechnung;Zahldatum;Betrag;Zahlungsart", "R-2026-00026;02.11.2026;1.19,00;Überweisung")
    (folder(one) / "w.csv").write_bytes(
        text.replace("1.19,00", "119,00").encode("cp1252").replace(b"\n", b"\r\n", 1)
    )
    (report,) = (await one.poll("schedule")).reports
    assert report.outcomes == {"exact": 1}
    assert {"encoding", "line_end"} <= {finding["what"] for finding in report.findings}
