"""Whether bytes are a file in DATEV's format, by its published description; else why not, by line and field.

Nothing of the writer is used: lines are taken apart here, quote by quote, as the description says that they
are put together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from typing import NamedTuple

from kompass.accounting.datev.description import BOOKING, HEADER, FieldRule
from kompass.accounting.datev.party_description import PARTY
from kompass.accounting.problems import Problem

MOST_ROWS = 99_999
MOST_TOLD = 1000
_FIELD = re.compile(r'"(?:[^"]|"")*"|[^";]*')
_CONTROL = re.compile("[\x00-\x1f\x7f]")


class _Kind(NamedTuple):
    number: str
    name: str
    version: str
    rules: tuple[FieldRule, ...]


_KINDS = (
    _Kind("21", '"Buchungsstapel"', "13", BOOKING),
    _Kind("16", '"Debitoren/Kreditoren"', "5", PARTY),
)


def validate(data: bytes) -> list[Problem]:
    """All that is wrong, as far as `MOST_TOLD`; none for a sound file."""
    found: list[Problem] = []
    for problem in _problems(data):
        found.append(problem)
        if len(found) >= MOST_TOLD:
            break
    return found


def _problems(data: bytes) -> Iterator[Problem]:
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError as error:
        byte, place = data[error.start], data[: error.start].count(b"\n") + 1
        yield _told(
            "datev.encoding",
            f"byte 0x{byte:02x} isn't Windows-1252",
            f"Byte 0x{byte:02x} ist kein Windows-1252",
            place,
        )
        return
    if data.startswith(b"\xef\xbb\xbf"):
        yield _told("datev.encoding", "begins with a mark of UTF-8", "beginnt mit einer UTF-8-Kennung", 1)
        return
    lines = text.split("\r\n")
    if lines[-1] != "":
        yield _told("datev.end", "the last line has no CRLF", "die letzte Zeile hat kein CRLF", len(lines))
    else:
        lines.pop()
    for number, line in enumerate(lines, 1):
        if _CONTROL.search(line):
            reason, grund = (
                "has a control character, or a line end that isn't CRLF",
                "enthält ein Steuerzeichen",
            )
            yield _told("datev.control", reason, grund, number)
    if len(lines) < 2:
        yield _told("datev.lines", "needs a header and headings", "braucht Kopfzeile und Überschriften", None)
        return
    header = _fields(lines[0])
    if header is None:
        yield _quotes(1)
        return
    yield from _row(header, HEADER, 1)
    kind = next((one for one in _KINDS if header[2:5] == [one.number, one.name, one.version]), None)
    if kind is None:
        said = ", ".join(header[2:5])
        yield _told("datev.kind", f"no format is {said}", f"ein Format {said} gibt es nicht", 1)
        return
    yield from _headings(lines[1], kind)
    if len(lines) - 2 > MOST_ROWS:
        yield _told("datev.rows", f"has more than {MOST_ROWS} rows", f"hat mehr als {MOST_ROWS} Zeilen", None)
    if kind.number == "21":
        yield from _period(header)
    for number, line in enumerate(lines[2:], 3):
        row = _fields(line)
        if row is None:
            yield _quotes(number)
            continue
        yield from _row(row, kind.rules, number)
        if len(row) == len(kind.rules):
            yield from _accounts(row, kind, header, number)
            if kind.number == "21":
                yield from _booking(row, header, number)


def _fields(line: str) -> list[str] | None:
    """The line's fields with their quotes; None if quotes don't fit."""
    found: list[str] = []
    at = 0
    while True:
        match = _FIELD.match(line, at)
        assert match is not None  # it may be empty
        found.append(match.group())
        at = match.end()
        if at == len(line):
            return found
        if line[at] != ";":
            return None
        at += 1


def _row(row: Sequence[str], rules: tuple[FieldRule, ...], line: int) -> Iterator[Problem]:
    if len(row) != len(rules):
        reason, grund = (
            f"has {len(row)} fields instead of {len(rules)}",
            f"hat {len(row)} statt {len(rules)} Felder",
        )
        yield _told("datev.width", reason, grund, line)
        return
    for place, (value, rule) in enumerate(zip(row, rules, strict=True), 1):
        if value == "" and rule.optional and not rule.expression.startswith('"'):
            continue
        if not _compiled(rule.expression).fullmatch(_single(value)):
            reason = f"field {place}: must match {rule.expression}"
            grund = f"Feld {place}: muss die Form {rule.expression} haben"
            yield _told("datev.field", reason, grund, line, rule.name, value)


def _single(value: str) -> str:
    """The field with each doubled quote as one sign, so that it has the length that counts."""
    return '"' + value[1:-1].replace('""', "'") + '"' if value.startswith('"') else value


@cache
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.ASCII)


def _headings(line: str, kind: _Kind) -> Iterator[Problem]:
    headings = [heading.strip('"') for heading in line.split(";")]
    names = [rule.name for rule in kind.rules]
    if headings != names:
        place = next(
            (at for at, pair in enumerate(zip(headings, names, strict=False)) if pair[0] != pair[1]),
            len(names),
        )
        reason, grund = f"heading {place + 1} isn't the description's", f"Überschrift {place + 1} weicht ab"
        yield _told("datev.headings", reason, grund, 2, value=";".join(headings[place : place + 1]))


def _period(header: Sequence[str]) -> Iterator[Problem]:
    year, first, last = _stamp(header[12]), _stamp(header[14]), _stamp(header[15])
    if first is None or last is None:
        yield _told("datev.period", "needs Datum von and Datum bis", "braucht Datum von und Datum bis", 1)
    elif year is not None and not year <= first <= last < year + timedelta(days=366):
        reason, grund = (
            "the period isn't within the fiscal year",
            "der Zeitraum liegt nicht im Wirtschaftsjahr",
        )
        yield _told("datev.period", reason, grund, 1)


def _accounts(row: Sequence[str], kind: _Kind, header: Sequence[str], line: int) -> Iterator[Problem]:
    """Debtors and creditors have one digit more than ledger accounts."""
    if not header[13].isdigit():
        return
    most = int(header[13]) + 1
    for place in (6, 7) if kind.number == "21" else (0,):
        if len(row[place]) > most or (kind.number == "16" and len(row[place]) != most):
            reason, grund = f"must have {most} digits at most", f"darf höchstens {most} Stellen haben"
            yield _told("datev.account", reason, grund, line, kind.rules[place].name, row[place])


def _booking(row: Sequence[str], header: Sequence[str], line: int) -> Iterator[Problem]:
    first, last = _stamp(header[14]), _stamp(header[15])
    day = row[9]
    if first is not None and last is not None and len(day) == 4 and day.isdigit():
        days = [_day(year, day) for year in {first.year, last.year}]
        if not any(one is not None and first <= one <= last for one in days):
            reason, grund = "isn't within the period of the header", "liegt nicht im Zeitraum der Kopfzeile"
            yield _told("datev.day", reason, grund, line, "Belegdatum", day)
    if row[113] and header[20] and row[113] != header[20]:
        reason, grund = "differs from the header's", "weicht von der Kopfzeile ab"
        yield _told("datev.final", reason, grund, line, "Festschreibung", row[113])
    if row[114] and not row[115]:
        reason, grund = "is needed where Leistungsdatum is there", "wird mit einem Leistungsdatum gebraucht"
        yield _told("datev.service", reason, grund, line, "Datum Zuord. Steuerperiode")
    if row[2] not in ('""', header[21]) and not (row[3] and row[4] and row[5] != '""'):
        reason, grund = (
            "needs Kurs, Basis-Umsatz and its currency",
            "braucht Kurs, Basis-Umsatz und dessen WKZ",
        )
        yield _told("datev.currency", reason, grund, line, "WKZ Umsatz", row[2])
    if row[6].lstrip("0") == row[7].lstrip("0"):
        reason, grund = "is the account itself", "ist das Konto selbst"
        yield _told("datev.counter", reason, grund, line, "Gegenkonto (ohne BU-Schlüssel)", row[7])


def _stamp(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def _day(year: int, text: str) -> date | None:
    try:
        return date(year, int(text[2:]), int(text[:2]))
    except ValueError:
        return None


def _quotes(line: int) -> Problem:
    return _told("datev.quotes", "has quotes that don't fit", "hat unpassende Anführungszeichen", line)


def _told(rule: str, reason: str, grund: str, line: int | None, column: str = "", value: str = "") -> Problem:
    return Problem(rule, reason, grund).at(line, column, value)
