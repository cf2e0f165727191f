"""What `/api/v1/imports` takes and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from kompass.domain.stamps import moment, timestamp
from kompass.imports.desk import ImportDesk
from kompass.imports.states import Import, Work
from kompass.imports.tables import limits
from kompass.imports.targets import targets

_STATES = {
    Work.CHECK: "checking",
    Work.WRITE: "importing",
    Work.UNDO: "undoing",
}

_Delimiter = Literal[";", ",", "\t", "|"]
_Encoding = Literal["utf-8", "windows-1252", "utf-16", "utf-16-le", "utf-16-be"]
_Day = Literal["DD.MM.YYYY", "YYYY-MM-DD", "DD/MM/YYYY", "MM/DD/YYYY", "YYYYMMDD", "DDMMYYYY"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ImportReading(_Body):
    """How a file is to be read where what was found out is wrong."""

    sheet: Annotated[str, Field(max_length=200)] | None = None
    headerLine: Annotated[int, Field(ge=1, le=20_000)] | None = None  # noqa: N815  the API's name
    delimiter: _Delimiter | None = None
    encoding: _Encoding | None = None
    decimal: Literal[",", "."] | None = None
    day: _Day | None = None


class ImportMapping(_Body):
    """Heading -> field, null for a column that isn't imported; and what empty cells of fields say."""

    columns: Annotated[dict[str, str | None], Field(max_length=limits.MOST_COLUMNS)] = {}
    values: Annotated[
        dict[str, Annotated[str, Field(max_length=limits.LONGEST_CELL)]], Field(max_length=50)
    ] = {}


class ImportOrder(_Body):
    """`decisions`: line -> what becomes of a duplicate."""

    dryRun: bool = False  # noqa: N815  the API's name
    duplicates: Literal["skip", "update", "ask"] = "skip"
    decisions: Annotated[
        dict[Annotated[str, Field(pattern="^[0-9]{1,7}$")], Literal["skip", "update", "create"]],
        Field(max_length=limits.MOST_ROWS),
    ] = {}


class ImportProblem(TypedDict):
    line: int | None
    column: str
    rule: str
    value: str
    reason: str
    grund: str


class ImportColumn(TypedDict):
    heading: str
    field: str | None
    label: str | None
    how: str
    confidence: float


class ImportFinding(TypedDict):
    what: str
    value: str
    sure: str
    reason: str
    grund: str


class ImportField(TypedDict):
    field: str
    label: str
    required: bool


class SameFile(TypedDict):
    id: str
    state: str
    made: str


class ShownImport(TypedDict):
    id: str
    type: str
    file: str
    person: str
    state: str
    made: str
    changed: str
    rows: int
    done: int
    counts: dict[str, int]
    reason: str
    sha256: str


class WholeImport(ShownImport):
    kind: str
    sheet: str
    sheets: list[str]
    headerLine: int
    decimal: str
    day: str
    findings: list[ImportFinding]
    notes: list[ImportProblem]
    columns: list[ImportColumn]
    values: dict[str, str]
    missing: list[ImportField]
    fields: list[ImportField]
    duplicates: str
    sameFile: list[SameFile]


class Imports(TypedDict):
    imports: list[ShownImport]


class PreviewedRow(TypedDict):
    line: int
    document: dict[str, Any]
    problems: list[ImportProblem]
    notes: list[ImportProblem]


class ImportPreview(TypedDict):
    rows: list[PreviewedRow]


class ImportedDocument(TypedDict):
    id: str
    type: str


class ImportedRow(TypedDict):
    line: int
    outcome: str
    documents: list[ImportedDocument]
    problems: list[ImportProblem]
    notes: list[ImportProblem]
    duplicate: dict[str, Any] | None


class ImportedRows(TypedDict):
    rows: list[ImportedRow]
    next: int | None


# -- imports as they are shown ---------------------------------------------------------------------


def _at(seconds: float) -> str:
    return timestamp(moment(round(1000 * seconds)))


def outline(desk: ImportDesk, one: Import) -> dict[str, Any]:
    """As `ShownImport` has it: what anybody sees who sees that there is one. Blocking."""
    return {
        "id": one.id,
        "type": one.type,
        "file": one.file,
        "person": one.person,
        "state": _STATES.get(one.work, one.state.value),
        "made": _at(one.made),
        "changed": _at(one.changed),
        "rows": one.rows,
        "done": one.done,
        "counts": desk.opened().counts(one.id),
        "reason": one.reason,
        "sha256": one.sha256,
    }


def whole(desk: ImportDesk, one: Import) -> dict[str, Any]:
    """As `WholeImport` has it: for its own person. Blocking."""
    told, fields = one.told, targets()[one.type].fields
    taken = {match["field"] for match in told["columns"]} | told["values"].keys()
    same = desk.opened().same_file(one.sha256, one.type, one.person, one.id)
    return {
        **outline(desk, one),
        **{name: told[name] for name in ("kind", "sheet", "sheets", "decimal", "day", "findings", "notes")},
        "headerLine": told["header"],
        "values": told["values"],
        "duplicates": told.get("duplicates", "skip"),
        "columns": [
            {
                "heading": heading,
                "label": fields[match["field"]].label if match["field"] else None,
                **match,
            }
            for heading, match in zip(told["headings"], told["columns"], strict=True)
        ],
        "missing": [_field(field) for field in fields.values() if field.required and field.path not in taken],
        "fields": [_field(field) for field in fields.values()],
        "sameFile": [
            {"id": each.id, "state": _STATES.get(each.work, each.state.value), "made": _at(each.made)}
            for each in same
        ],
    }


def _field(field: Any) -> dict[str, Any]:
    return {"field": field.path, "label": field.label, "required": field.required}
