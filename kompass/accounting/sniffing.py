"""What a file looks like that somebody sends: found out, told with how sure it is, and applied to a profile.

Nothing is decided here that can't be overruled: `Sniffed.findings` is what a person is shown before an
import, and `Sniffed.applied` is the profile in the dialect that was found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from kompass.accounting.encodings import Encoded, Sure, encoding_of
from kompass.accounting.lines import Readable, records
from kompass.accounting.problems import UnreadableError
from kompass.accounting.profiles import CellKind, DayFormat, Delimiter, Dialect, Profile, heading_key

RECORDS = 300
"""Records from the beginning that are looked at."""
_CANDIDATES: tuple[Delimiter, ...] = (";", "\t", "|", ",")
"""In this order if nothing else tells: a comma may be in numbers."""
_NAMES = {";": "semicolon", "\t": "tab", "|": "bar", ",": "comma"}
_DECIMAL_COMMA = re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+,\d+|\d+,(?:\d{1,2}|\d{4,}))-?\Z")
_DECIMAL_POINT = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+\.\d+|\d+\.(?:\d{1,2}|\d{4,}))-?\Z")
_EITHER = re.compile(r"[+-]?\d{1,3}[.,]\d{3}-?\Z")
_NUMBER = re.compile(r"[+-]?[\d.,]*\d[\d.,]*-?(?:\s*(?:€|EUR))?\Z")
_DAYS: tuple[tuple[DayFormat, str, str], ...] = (
    ("DD.MM.YYYY", r"\d{1,2}\.\d{1,2}\.\d{4}\Z", "%d.%m.%Y"),
    ("YYYY-MM-DD", r"\d{4}-\d{2}-\d{2}\Z", "%Y-%m-%d"),
    ("DD/MM/YYYY", r"\d{1,2}/\d{1,2}/\d{4}\Z", "%d/%m/%Y"),
    ("MM/DD/YYYY", r"\d{1,2}/\d{1,2}/\d{4}\Z", "%m/%d/%Y"),
    ("YYYYMMDD", r"(?:19|20|21)\d{6}\Z", "%Y%m%d"),
    ("DDMMYYYY", r"\d{4}(?:19|20|21)\d{2}\Z", "%d%m%Y"),
)
_BARE_DIGITS = frozenset({"YYYYMMDD", "DDMMYYYY"})
"""Numbers look like these, so they are looked for only where a profile says that there are days."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found out."""

    what: str
    """encoding, delimiter, header, decimal, day or line_end."""
    value: str
    sure: Sure
    reason: str
    grund: str
    """The reason in German."""


@dataclass(frozen=True, slots=True)
class Sniffed:
    encoded: Encoded
    delimiter: Delimiter
    header: bool
    skip: int
    """Records before the headings, or before the first row."""
    decimal: str
    day: DayFormat
    findings: tuple[Finding, ...]

    def applied(self, profile: Profile) -> Profile:
        """The profile in the dialect of the file."""
        return profile.with_dialect(
            encoding=self.encoded.encoding,
            bom=self.encoded.bom,
            delimiter=self.delimiter,
            header=self.header,
            decimal=self.decimal,
            day=self.day,
        )


def sniff(stream: Readable, profile: Profile | None = None) -> Sniffed:
    """What the file looks like. With a profile its headings and the kinds of its columns help.

    Reads the stream to its end. Raises `UnreadableError` for a file that is no text.
    """
    encoded = encoding_of(stream)
    lines = list(_lines(encoded))
    found = [Finding("encoding", _encoding_name(encoded), encoded.sure, encoded.reason, encoded.grund)]
    said = re.match(r"sep=([;,|\t])\s*\Z", lines[0], re.IGNORECASE) if lines else None
    delimiter, told, rows = _delimiter(lines[said is not None :], profile, said[1] if said else None)
    found.append(told)
    header, first, told = _header(rows, profile)
    found.append(told)
    body, headings = rows[first + header :], rows[first] if header and rows else None
    decimal, told = _decimal(_cells(body, headings, profile, CellKind.DECIMAL), delimiter)
    found.append(told)
    day, told = _day(_cells(body, headings, profile, CellKind.DAY), profile)
    found += [told, _line_end(lines)]
    skip = first + (said is not None)
    return Sniffed(encoded, delimiter, header, skip, decimal, day, tuple(found))


def _encoding_name(encoded: Encoded) -> str:
    return f"{encoded.encoding} with mark" if encoded.bom else encoded.encoding


def _lines(encoded: Encoded) -> Iterator[str]:
    """The lines of the sample that are certainly whole, with their ends."""
    codec = Dialect(encoding=encoded.encoding).reading_codec
    text = encoded.sample.decode(codec, "ignore")
    lines = re.findall(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z", text)
    yield from lines if encoded.complete or len(lines) < 2 else lines[:-1]


def _split(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    found: list[list[str]] = []
    try:
        for record in records(iter(lines), delimiter):
            found.append(record.cells or [])
            if len(found) >= RECORDS:
                break
    except UnreadableError:
        pass
    return found


# -- what separates --------------------------------------------------------------------------------


def _delimiter(
    lines: list[str], profile: Profile | None, said: str | None
) -> tuple[Delimiter, Finding, list[list[str]]]:
    """`said`: what the first line says, as spreadsheets understand it."""
    if said is not None:
        delimiter: Delimiter = next(one for one in _CANDIDATES if one == said)
        told = Finding(
            "delimiter", _NAMES[delimiter], Sure.CERTAIN, "its first line says so", "die erste Zeile sagt es"
        )
        return delimiter, told, _split(lines, delimiter)
    scores: list[tuple[int, float, Delimiter, list[list[str]]]] = []
    for delimiter in _CANDIDATES:
        rows = _split(lines, delimiter)
        known = max((_known(row, profile) for row in rows[:20]), default=0)
        width, often = Counter(len(row) for row in rows).most_common(1)[0] if rows else (1, 1)
        scores.append(
            (known if known > 1 else 0, often / max(len(rows), 1) if width > 1 else 0.0, delimiter, rows)
        )
    best = max(scores, key=lambda one: one[:2])  # the first of equals
    known, evenness, delimiter, rows = best
    rival = max((one[1] for one in scores if one is not best), default=0.0)
    if known:
        sure, reason, grund = (
            Sure.CERTAIN,
            f"{known} headings are known",
            f"{known} Überschriften sind bekannt",
        )
    elif evenness == 0:
        sure, reason, grund = Sure.GUESSED, "no line has one", "keine Zeile hat eins"
    else:
        sure = Sure.LIKELY if evenness >= 0.9 else Sure.GUESSED
        if evenness == 1 and rival < 0.8 and len(rows) > 1:
            sure = Sure.CERTAIN
        reason = f"{evenness:.0%} of {len(rows)} rows have the same number of cells"
        grund = f"{evenness:.0%} von {len(rows)} Zeilen haben gleich viele Felder"
    return delimiter, Finding("delimiter", _NAMES[delimiter], sure, reason, grund), rows


def _known(row: Iterable[str], profile: Profile | None) -> int:
    """Cells that are headings of the profile."""
    if profile is None:
        return 0
    names = {heading_key(name) for column in profile.columns for name in (column.heading, *column.aliases)}
    return len(names & {heading_key(cell) for cell in row})


# -- the line with headings ------------------------------------------------------------------------


def _header(rows: list[list[str]], profile: Profile | None) -> tuple[bool, int, Finding]:
    """Whether there are headings, the record before which everything is skipped, and what is told."""
    if profile is not None and rows:
        best = max(range(min(len(rows), 20)), key=lambda place: _known(rows[place], profile))
        known = _known(rows[best], profile)
        if known > 1 or (known and len(profile.columns) == 1):
            reason, grund = f"{known} headings are known", f"{known} Überschriften sind bekannt"
            return True, best, _headings(best, Sure.CERTAIN, reason, grund)
    if not rows:
        return True, 0, _headings(None, Sure.GUESSED, "the file is empty", "die Datei ist leer")
    width = Counter(len(row) for row in rows).most_common(1)[0][0]
    first = next(place for place, row in enumerate(rows) if len(row) == width)
    cells = [cell.strip() for cell in rows[first]]
    names = all(cells) and len(set(cells)) == len(cells) and not any(_is_value(cell) for cell in cells)
    if not names:
        reason = "the first row has numbers, days or empty cells"
        grund = "die erste Zeile hat Zahlen, Tage oder leere Felder"
        return False, first, _headings(None, Sure.LIKELY, reason, grund)
    below = [row for row in rows[first + 1 :] if len(row) == width]
    typed = any(all(_is_value(row[at]) for row in below if row[at].strip()) for at in range(width) if below)
    if typed and any(_is_value(cell) for row in below for cell in row):
        reason = "below its texts are numbers or days"
        grund = "unter den Texten stehen Zahlen oder Tage"
        return True, first, _headings(first, Sure.LIKELY, reason, grund)
    reason = "all rows are texts, and the first one has no text twice"
    grund = "alle Zeilen sind Texte, und die erste hat keinen doppelt"
    return True, first, _headings(first, Sure.GUESSED, reason, grund)


def _headings(place: int | None, sure: Sure, reason: str, grund: str) -> Finding:
    return Finding("header", "none" if place is None else f"record {place + 1}", sure, reason, grund)


def _is_value(cell: str) -> bool:
    text = cell.strip()
    return bool(_NUMBER.match(text)) or any(
        re.match(form, text) for name, form, _ in _DAYS if name not in _BARE_DIGITS
    )


# -- numbers and days ------------------------------------------------------------------------------


def _cells(
    body: list[list[str]], headings: list[str] | None, profile: Profile | None, kind: CellKind
) -> list[str]:
    """The cells that may hold values of a kind: of the profile's columns if there are any, else all."""
    places: list[int] | None = None
    if profile is not None:
        wanted = {
            heading_key(name)
            for column in profile.columns
            if column.kind is kind
            for name in (column.heading, *column.aliases)
        }
        if headings is not None:
            places = [at for at, heading in enumerate(headings) if heading_key(heading) in wanted]
        else:
            places = [at for at, column in enumerate(profile.columns) if column.kind is kind]
    return [
        text
        for row in body
        for at, cell in enumerate(row)
        if (places is None or at in places) and (text := cell.strip())
    ]


def _decimal(cells: list[str], delimiter: Delimiter) -> tuple[str, Finding]:
    bare = [re.sub(r"\s*(?:€|EUR)\Z", "", cell) for cell in cells]
    comma = sum(1 for cell in bare if _DECIMAL_COMMA.match(cell))
    point = sum(1 for cell in bare if _DECIMAL_POINT.match(cell))
    either = sum(1 for cell in bare if _EITHER.match(cell))
    if comma or point:
        mark, many, few = (",", comma, point) if comma >= point else (".", point, comma)
        sure = Sure.CERTAIN if not few else Sure.LIKELY if many > 9 * few else Sure.GUESSED
        reason, grund = f"{many} numbers have it", f"{many} Zahlen haben es"
        if few:
            reason, grund = f"{reason}, and {few} the other one", f"{grund}, und {few} das andere"
        return mark, Finding("decimal", _NAMES.get(mark, "point"), sure, reason, grund)
    mark = "." if delimiter == "," else ","
    reason, grund = "no number has decimals", "keine Zahl hat Nachkommastellen"
    if either:
        reason = f"{either} numbers such as 1.234 may be thousands or have decimals"
        grund = f"{either} Zahlen wie 1.234 können Tausender sein oder Nachkommastellen haben"
    return mark, Finding("decimal", _NAMES.get(mark, "point"), Sure.GUESSED, reason, grund)


def _day(cells: list[str], profile: Profile | None) -> tuple[DayFormat, Finding]:
    counts: dict[DayFormat, int] = {}
    for name, form, parse in _DAYS:
        if name in _BARE_DIGITS and profile is None:
            continue
        counts[name] = sum(1 for cell in cells if re.match(form, cell) and _is_day(cell, parse))
    best = max(counts, key=lambda name: counts[name])  # the first of equals
    many = counts[best]
    if not many:
        told = Finding("day", "DD.MM.YYYY", Sure.GUESSED, "no cell is a day", "kein Feld ist ein Tag")
        return "DD.MM.YYYY", told
    rivals = [name for name in counts if name != best and counts[name] == many]
    if rivals:
        reason = f"all {many} days may as well be {rivals[0]}"
        grund = f"alle {many} Tage können auch {rivals[0]} sein"
        return best, Finding("day", best, Sure.GUESSED, reason, grund)
    others = sum(1 for cell in cells if any(re.match(form, cell) for _, form, _ in _DAYS)) - many
    if profile is None or others <= 0:
        reason, grund = f"{many} cells are such days", f"{many} Felder sind solche Tage"
        return best, Finding("day", best, Sure.CERTAIN, reason, grund)
    reason = f"{many} cells are such days, and {others} look like others"
    grund = f"{many} Felder sind solche Tage, und {others} sehen nach anderen aus"
    return best, Finding("day", best, Sure.LIKELY, reason, grund)


def _is_day(cell: str, parse: str) -> bool:
    try:
        datetime.strptime(cell, parse)  # noqa: DTZ007  a day has no zone
    except ValueError:
        return False
    return True


def _line_end(lines: list[str]) -> Finding:
    ends = Counter(line[len(line.rstrip("\r\n")) :] for line in lines) - Counter({"": len(lines)})
    names = {"\r\n": "CRLF", "\n": "LF", "\r": "CR"}
    if len(ends) > 1:
        mixed = ", ".join(f"{count} {names[end]}" for end, count in ends.most_common())
        return Finding(
            "line_end", "mixed", Sure.CERTAIN, f"{mixed}; each counts as one", f"{mixed}; jedes zählt"
        )
    value = names[next(iter(ends))] if ends else "none"
    if not ends:
        return Finding("line_end", value, Sure.CERTAIN, "there is one line", "es gibt nur eine Zeile")
    return Finding("line_end", value, Sure.CERTAIN, "all lines have it", "alle Zeilen haben es")
