"""What is remembered of batches for DATEV."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from kompass.accounting.datev.bookings import Booking
from kompass.exports.batches import Batch, Batches, BatchesError, MeanwhileError, told
from kompass.exports.datev import due
from kompass.exports.unbooked import Problems
from kompass.kept import DATEV

BOOKS = "29098/55003/SKR03"
BATCH = Batch("buch", "2026-12-01T02:00:00Z", "2026-11-01", "2026-11-30", False, False, [{"file": "a"}])


def booking(number: str, amount: int = 119) -> Booking:
    return Booking(Decimal(amount), "S", "10001", "8400", date(2026, 11, 2), number, "Text")


def test_batches_are_remembered_and_none_is_made_of_what_another_has_taken_meanwhile(tmp_path: Path) -> None:
    batches = Batches(tmp_path)
    assert (batches.latest(BOOKS), batches.before(BOOKS, ["invoice-1"])) == (0, {})
    first = batches.add(BOOKS, BATCH, {"invoice-1": "one", "invoice-2": "two"}, after=0)
    with pytest.raises(MeanwhileError):
        batches.add(BOOKS, BATCH, {"invoice-1": "one"}, after=0)
    other = batches.add("1/1/SKR04", BATCH, {"invoice-1": "elsewhere"}, after=0)
    batches.close()
    again = Batches(tmp_path)
    second = again.add(BOOKS, BATCH, {"invoice-1": "anew"}, after=first)
    found = again.before(BOOKS, ["invoice-1", "invoice-2", "invoice-3"])
    assert found == {"invoice-1": (second, "anew"), "invoice-2": (first, "two")}
    assert [one["num"] for one in again.listed(before=second + 1, limit=2)] == [second, other]
    again.close()


def test_a_file_that_can_not_be_read_forgets_nothing(tmp_path: Path) -> None:
    (tmp_path / DATEV).parent.mkdir()
    (tmp_path / DATEV).write_bytes(b"no database" * 100)
    with pytest.raises(BatchesError, match="can't be used"):
        Batches(tmp_path).latest(BOOKS)


def test_what_is_out_is_not_due_and_what_differs_since_is_told(tmp_path: Path) -> None:
    batches, problems = Batches(tmp_path), Problems()
    same, other, new = (booking(f"R-{number}") for number in (1, 2, 3))
    batches.add(BOOKS, BATCH, {"invoice-1": told(same), "invoice-2": told(booking("R-2", 107))}, after=0)
    found = [(one, "invoice", f"invoice-{place}") for place, one in enumerate((same, other, new), 1)]
    before = batches.before(BOOKS, [docid for _, _, docid in found])
    assert due(found, before, problems) == [(new, "invoice", "invoice-3")]
    ((_, docid, problem),) = problems.told
    assert (docid, problem.rule, problems.count, problems.unbooked) == ("invoice-2", "booking.changed", 1, 0)
    assert "went out in batch 1 as 2026-11-02 R-2 107.00 EUR" in problem.reason
    batches.close()
