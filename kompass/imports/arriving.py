"""What a file that has arrived says: its headings with the fields they may mean, its rows, and notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kompass.accounting.formulas import unguarded
from kompass.accounting.problems import Problem, unreadable
from kompass.accounting.profiles import heading_key
from kompass.imports import mapping
from kompass.imports.drafts import told_problem
from kompass.imports.tables import limits
from kompass.imports.tables.reader import Table
from kompass.imports.targets import Kind, Target
from kompass.imports.values import Scale, is_empty, scale_of, shown

LONGEST_HEADING = 200
"""Characters that count: every answer about an import has its headings."""
_NUMBERS = {Kind.NUMBER: "decimal", Kind.INTEGER: "decimal", Kind.DAY: "day"}


def names_of(target: Target) -> list[tuple[str, list[str], str]]:
    """Name, other names and kind of each field, as profiles have them: no name means two."""
    taken = {heading_key(one.path) for one in target.fields.values()}
    found = []
    for one in target.fields.values():
        names: list[str] = []
        for name in (one.label, *one.names):
            if heading_key(name) not in taken:
                taken.add(heading_key(name))
                names.append(name)
        found.append((one.path, names, _NUMBERS.get(one.kind, "text")))
    return found


def taken_apart(
    target: Target,
    table: Table,
    said: Mapping[str, Any],
    writable: frozenset[str],
    remembered: Callable[[str], Mapping[str, str | None] | None],
) -> tuple[dict[str, Any], list[tuple[int, Sequence[Any]]]]:
    """What is `told` of an import with this file (see `kompass.imports.desk`), and its rows with their lines.

    `said`: what a person knows better. `writable`: types that he may make. `remembered`: what he has said of
    columns before, by their source. Raises `UnreadableError`.
    """
    place = _header(table, target, said.get("headerLine"))
    headings = [unguarded(shown(cell)).strip()[:LONGEST_HEADING] for cell in table.rows[place]]
    double = mapping.twice(headings)
    if double:
        named = ", ".join(double)[:200]
        raise unreadable(
            "file.twice",
            f"has the column {named} twice",
            f"hat die Spalte {named} zweimal",
            table.lines[place],
        )
    rows: list[tuple[int, Sequence[Any]]] = [
        (table.lines[at], table.rows[at]) for at in range(place + 1, len(table.rows)) if table.rows[at]
    ]
    rows = [row for row in rows if not all(is_empty(cell) for cell in row[1])]
    rows += [(one.line or 0, [{"problem": asdict(one)}]) for one in table.problems]
    rows.sort(key=lambda row: row[0])
    if not rows:
        raise unreadable("file.empty", "has no rows below its headings", "hat nichts unter den Überschriften")
    if len(rows) > limits.MOST_ROWS:
        raise unreadable(
            "file.rows",
            f"has {len(rows)} rows; at most {limits.MOST_ROWS} may be: divide it",
            f"hat {len(rows)} Zeilen; höchstens {limits.MOST_ROWS} dürfen es sein: bitte teilen",
        )
    matches = mapping.guess(headings, target, remembered(mapping.source_of(target.type, headings)))
    matches = [
        mapping.NOTHING if one.field and target.fields[one.field].document not in writable else one
        for one in matches
    ]
    told = {
        "kind": table.kind,
        "findings": [dict(one) for one in table.findings],
        "sheets": list(table.sheets),
        "sheet": table.sheet,
        "header": table.lines[place],
        "decimal": table.decimal,
        "day": table.day,
        "from1904": table.from_1904,
        "scales": _scales(rows, len(headings)),
        "said": dict(said),
        "headings": headings,
        "columns": [asdict(one) for one in matches],
        "values": {},
        "notes": _table_notes(table),
    }
    return told, rows


def _scales(rows: Sequence[tuple[int, Sequence[Any]]], width: int) -> dict[str, str]:
    """As `Plan` has them, without those of points."""
    found = {
        str(place): scale_of(cells[place] for _, cells in rows if place < len(cells))
        for place in range(width)
    }
    return {place: scale.value for place, scale in found.items() if scale is not Scale.POINTS}


def _header(table: Table, target: Target, line: int | None) -> int:
    if line is not None:
        for place, at in enumerate(table.lines):
            if at == line and table.rows[place]:
                return place
        raise unreadable("file.header", f"has nothing in line {line}", f"hat nichts in Zeile {line}")
    found = mapping.header_place(table.rows, target)
    if found is None:
        raise unreadable(
            "file.header",
            "has no line with headings: the first one has to say what the columns are",
            "hat keine Zeile mit Überschriften: die erste muss sagen, was in den Spalten steht",
        )
    return found


def _table_notes(table: Table) -> list[dict[str, Any]]:
    if table.whole:
        return []
    reason = "its last line has no end: perhaps it was cut off"
    grund = "die letzte Zeile hat kein Ende: vielleicht abgeschnitten"
    return [told_problem(Problem("note.cut", reason, grund))]


def name_notes(file: str, table: Table) -> list[dict[str, Any]]:
    suffix = file.rpartition(".")[2].lower() if "." in file else ""
    expected = {"csv": ("csv", "txt", "tsv"), "xlsx": ("xlsx",), "xls": ("xls",), "ods": ("ods",)}[table.kind]
    if suffix in expected or not suffix:
        return []
    reason = f"is {table.kind}, whatever its name says"
    return [
        told_problem(Problem("note.name", reason, f"ist {table.kind}, auch wenn der Name etwas anderes sagt"))
    ]
