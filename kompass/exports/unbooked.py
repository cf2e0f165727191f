"""What is in none of the files for DATEV, and why: a person books it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from kompass.accounting.catalogue import profile
from kompass.accounting.problems import Problem
from kompass.accounting.writing import Writer
from kompass.exports.batches import Before

MOST_TOLD = 1000
_STATUS = "booking.status"
"""The rule of what isn't ready to be booked: a draft, or something cancelled."""
_NOT_DUE = frozenset({_STATUS, "booking.nothing"})
_SINCE = frozenset({"booking.changed", "booking.withdrawn"})
"""Rules of what is out already, and of which only a correction is to be booked."""


@dataclass(slots=True)
class Problems:
    told: list[tuple[str, str, Problem]] = field(default_factory=list)
    """Type of document, its id, and what is wrong."""
    waiting: dict[str, tuple[str, Problem]] = field(default_factory=dict)
    """Documents that aren't ready, by their ids: drafts, what is cancelled, not approved, or of 0 EUR."""
    notes: list[tuple[str, Problem]] = field(default_factory=list)
    """File, and what in it was cut, or lost signs that Windows-1252 hasn't."""

    def add(self, doctype: str, docid: str, problem: Problem) -> None:
        if problem.rule in _NOT_DUE:
            self.waiting[docid] = (doctype, problem)
        else:
            self.told.append((doctype, docid, problem))

    def out(self, before: Mapping[str, Before]) -> None:
        """Tells of what can't or shan't be booked any more, and is out: `before` has it, by its id."""
        for docid in before.keys() & self.waiting.keys():
            doctype, problem = self.waiting.pop(docid)
            self.told.append((doctype, docid, _since("booking.withdrawn", before[docid], problem)))
        self.told = [
            (
                doctype,
                docid,
                _since("booking.changed", before[docid], problem) if docid in before else problem,
            )
            for doctype, docid, problem in self.told
        ]

    def changed(self, doctype: str, docid: str, number: str, before: Before, now: str) -> None:
        """Tells of what is out as another booking than it would be now."""
        problem = Problem("", f"is {now} now", f"ist jetzt {now}", value=number)
        self.told.append((doctype, docid, _since("booking.changed", before, problem)))

    @property
    def count(self) -> int:
        return len(self.told)

    @property
    def unbooked(self) -> int:
        """Documents that were never booked; the others need a correction."""
        return sum(problem.rule not in _SINCE for _, _, problem in self.told)

    def as_json(self) -> list[dict[str, Any]]:
        """The first ones, for a manifest."""
        return [_shown(*one) for one in self.told[:MOST_TOLD]]

    def not_ready_as_json(self) -> list[dict[str, Any]]:
        """The first ones of those that wait."""
        return [
            _shown(doctype, docid, problem)
            for docid, (doctype, problem) in islice(self.waiting.items(), MOST_TOLD)
        ]

    def notes_as_json(self) -> list[dict[str, Any]]:
        return [
            {
                "file": file,
                "line": note.line,
                "field": note.column,
                "value": note.value,
                "reason": note.reason,
            }
            for file, note in self.notes[:MOST_TOLD]
        ]

    def as_csv(self) -> bytes:
        """All of them for people, those that wait too: `Zeile;Feld;Fehler;Wert;Grund`."""
        waiting = [(doctype, docid, problem) for docid, (doctype, problem) in self.waiting.items()]
        rows = [
            (None, problem.column or doctype, problem.rule, problem.value or docid, problem.grund)
            for doctype, docid, problem in self.told + waiting
        ]
        return Writer(profile("problems")).some(rows)


def _shown(doctype: str, docid: str, problem: Problem) -> dict[str, Any]:
    return {
        "document": docid,
        "type": doctype,
        "number": problem.value,
        "field": problem.column,
        "rule": problem.rule,
        "reason": problem.reason,
        "grund": problem.grund,
    }


def _since(rule: str, before: Before, now: Problem) -> Problem:
    if now.rule in _SINCE:
        return now
    return Problem(
        rule,
        f"went out in batch {before.batch} as {before.booking}, and {now.reason}: correct it by hand",
        f"ging mit Stapel {before.batch} hinaus als {before.booking}, und {now.grund}: von Hand korrigieren",
        value=now.value,
    )
