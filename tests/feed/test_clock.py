"""Clocks are set, by people and by programs: what is put off is neither lost nor done at once for ever."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kompass.feed.ledger import LONGEST_POSTPONED, Ledger, State, Status
from kompass.feed.sink import Batch, Change, Checkpoint
from kompass.search.embedded.reader import EmbeddedIndex
from kompass.search.embedded.sink import EmbeddedSink
from tests.search.finding import ALL, customer

NOW = 1_800_000_000.0
YEAR = 365 * 86_400.0


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path)
    ledger.bury("search", "customer-1", "1-a", 5, "it is poison", None)
    return ledger


def due(ledger: Ledger, at: float, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(time, "time", lambda: at)
    return [letter.id for letter in ledger.due("search", 5)]


def test_a_letter_is_due_when_its_time_has_come(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.postpone("search", "customer-1", NOW + 60)
    assert due(ledger, NOW, monkeypatch) == []
    assert due(ledger, NOW + 61, monkeypatch) == ["customer-1"]
    assert due(ledger, NOW + YEAR, monkeypatch) == ["customer-1"]


def test_a_letter_does_not_wait_for_a_clock_that_was_wrong(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.postpone("search", "customer-1", NOW + YEAR + LONGEST_POSTPONED)
    assert due(ledger, NOW + YEAR, monkeypatch) == []
    assert due(ledger, NOW, monkeypatch) == ["customer-1"]


def test_a_letter_that_is_dead_for_good_stays_so(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in (0.0, NOW, NOW + 100 * YEAR):
        assert due(ledger, at, monkeypatch) == []


@pytest.mark.parametrize("now", [0.0, NOW - YEAR, NOW, NOW + YEAR])
def test_how_far_behind_is_never_less_than_nothing(now: float) -> None:
    status = Status("search", State.CATCHING_UP, behind_since=NOW)
    assert status.lag_seconds(now) >= 0.0


@pytest.mark.parametrize("ago", [2 * 86_400.0, -10 * YEAR], ids=["days ago", "years ahead"])
async def test_what_was_replaced_is_forgotten_whatever_the_clock_said(tmp_path: Path, ago: float) -> None:
    def batch(name: str, position: int) -> Batch:
        changes = [Change("customer-1", position, "1-a", customer(1, name), ALL)]
        if position == 1:  # beside it others, else what holds it goes as a whole
            changes += [
                Change(f"customer-{each}", 1, "1-a", customer(each, "Apfelhof"), ALL) for each in (2, 3)
            ]
        return Batch(changes, Checkpoint("e", f"{position}-e", position))

    def mark(moment: float) -> None:
        (replaced,) = tmp_path.rglob("replaced")
        os.utime(replaced, (moment, moment))

    def said(word: bytes) -> bool:
        return any(word in file.read_bytes().lower() for file in tmp_path.rglob("*") if file.is_file())

    sink = EmbeddedSink(tmp_path)
    await sink.open()
    await sink.apply(batch("Quittenhof", 1))
    await sink.apply(batch("Birnenhof", 2))
    mark(time.time() - ago)
    assert said(b"quittenhof")
    await sink.apply(batch("Birnenhof", 3))
    await sink.close()
    assert not said(b"quittenhof")
    found = await EmbeddedIndex(tmp_path).inspect("customer-1")
    assert found is not None
    assert found["title"] == "Birnenhof"
