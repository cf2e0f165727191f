"""`/api/v1/imports`: customers, contacts, suppliers, materials and opportunities from CSV and spreadsheets.

A file is uploaded and read, its columns are mapped, a dry run tells what would become of each row, and then
it is executed in the background, as the person who asks. See docs/imports.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from kompass.access.matrix import Matrix
from kompass.access.principals import Principal
from kompass.accounting.catalogue import profile
from kompass.accounting.problems import Problem as CellProblem
from kompass.accounting.problems import UnreadableError, rows_of
from kompass.accounting.writing import Writer
from kompass.api.authentication import body_of, call_of, caller
from kompass.api.endpoints import BYTES, Endpoint, Parameter, a_number, a_text, a_word
from kompass.api.import_shapes import (
    ImportedRows,
    ImportMapping,
    ImportOrder,
    ImportPreview,
    ImportReading,
    Imports,
    ShownImport,
    WholeImport,
    outline,
    whole,
)
from kompass.api.language import german
from kompass.api.parameters import number
from kompass.api.problems import Problem, pointer
from kompass.api.services import services_of
from kompass.imports.desk import UNDOES_ALL, ImportDesk, MappingError, may_write
from kompass.imports.drafts import told_problem
from kompass.imports.states import Import, Kind, NotNowError, State, Work
from kompass.imports.store import ImportStoreError
from kompass.imports.tables import limits
from kompass.imports.tables.reader import missing
from kompass.imports.targets import targets

PAGE = 100
MOST = 1000
PREVIEWED = 20
_WITH_PROBLEMS = (Kind.WRONG, Kind.PARTLY, Kind.KEPT)
_NONE = "There is no such import, or none of yours."

# -- files -----------------------------------------------------------------------------------------


async def uploaded(request: Request) -> Response:
    """`POST ?type=…&file=…`, the file as body: 201 with what was found out and the mapping."""
    person, matrix = _person(request)
    doctype = request.query_params.get("type", "")
    if doctype not in targets():
        raise Problem(400, f"type is one of {', '.join(targets())}.")
    if doctype not in may_write(matrix, person.roles, doctype):
        raise Problem(403, f"None of your roles makes documents of type {doctype}.")
    file = request.query_params.get("file", "")[:200]
    data = await call_of(request).body(limits.MOST_BYTES)
    desk = _desk(request)
    table = await _read(request, desk, doctype, data, {})
    one = await _do(
        request, partial(desk.add, person.name, doctype, file, data, table, {}, matrix, person.roles)
    )
    return await _answer(request, desk, one, 201, {"location": f"/api/v1/imports/{one.id}"})


async def read_again(request: Request) -> Response:
    """`PUT {id}/reading`: the same file, read otherwise; its mapping is guessed anew."""
    person, matrix = _person(request)
    said = (await body_of(request, ImportReading)).model_dump()
    desk = _desk(request)
    one = await _own(request, desk, person)
    data = await asyncio.to_thread(desk.opened().data, one.id)
    table = await _read(request, desk, one.type, data, said)
    again = await _do(request, partial(desk.read_again, one, table, said, matrix, person.roles))
    return await _answer(request, desk, again)


async def _read(
    request: Request, desk: ImportDesk, doctype: str, data: bytes, said: Mapping[str, Any]
) -> Any:
    if (absent := missing(data)) is not None:
        raise Problem(503, absent)
    try:
        return await desk.read(doctype, data, said)
    except UnreadableError as error:
        raise _unreadable(request, error) from None


def _unreadable(request: Request, error: UnreadableError) -> Problem:
    one = error.problem
    said = f"Die Datei {one.grund}." if german(request) else f"The file {one.reason}."
    if one.line is not None:
        said = f"{said[:-1]} (Zeile {one.line})." if german(request) else f"{said[:-1]} (line {one.line})."
    return Problem(422, said, members={"rule": one.rule})


# -- looking ---------------------------------------------------------------------------------------


async def listed(request: Request) -> Response:
    """`GET`: one's own, the latest first; for GF, BUCH and ADMIN everybody's, without what is in them."""
    person, _ = _person(request)
    limit = number(request, "limit", PAGE, 1, MOST)
    desk = _desk(request)
    found = await _do(request, lambda: [outline(desk, one) for one in desk.listed(person, limit)])
    return JSONResponse({"imports": found})


async def shown(request: Request) -> Response:
    """`GET {id}`: how far it is; for its own person with what was found out, and the mapping."""
    person, _ = _person(request)
    desk = _desk(request)
    one = await _found(request, desk, person)
    if one.person != person.name:
        return JSONResponse(await _do(request, lambda: outline(desk, one)))
    return await _answer(request, desk, one)


async def previewed(request: Request) -> Response:
    """`GET {id}/preview`: the first rows as documents, with what is wrong in which cell."""
    person, _ = _person(request)
    limit = number(request, "limit", PREVIEWED, 1, 200)
    desk = _desk(request)
    one = await _own(request, desk, person)
    return JSONResponse({"rows": await _do(request, lambda: desk.preview(one, limit))})


async def rows(request: Request) -> Response:
    """`GET {id}/rows`: what became of each row, or would; `outcome`, `after` a line, `limit`."""
    person, _ = _person(request)
    kind = request.query_params.get("outcome")
    if kind is not None and kind not in {one.value for one in Kind}:
        raise Problem(400, f"outcome is one of {', '.join(Kind)}.")
    after = number(request, "after", 0, 0, 10**9)
    limit = number(request, "limit", PAGE, 1, MOST)
    desk = _desk(request)
    one = await _own(request, desk, person)
    kinds = () if kind is None else (kind,)
    found = await _do(
        request, lambda: desk.opened().outcomes(one.id, kinds=kinds, after=after, limit=limit + 1)
    )
    told = [
        {
            "line": row.line,
            "outcome": row.kind,
            "documents": [{"id": doc["id"], "type": doc["type"]} for doc in row.told.get("docs", ())],
            "problems": [told_problem(one) for one in row.told.get("problems", ())],
            "notes": [told_problem(one) for one in row.told.get("notes", ())],
            "duplicate": row.told.get("duplicate"),
        }
        for row in found[:limit]
    ]
    return JSONResponse({"rows": told, "next": told[-1]["line"] if len(found) > limit else None})


async def problems(request: Request) -> Response:
    """`GET {id}/errors`: what was wrong, for whoever mends the file: `Zeile;Feld;Fehler;Wert;Grund`."""
    person, _ = _person(request)
    desk = _desk(request)
    one = await _own(request, desk, person)
    store = await _do(request, desk.opened)

    def told() -> Iterator[CellProblem]:
        after = 0
        while page := store.outcomes(one.id, kinds=_WITH_PROBLEMS, after=after, limit=MOST):
            for row in page:
                yield from (CellProblem(**each) for each in row.told.get("problems", ()))
            after = page[-1].line

    writer = Writer(profile("problems"))
    disposition = f'attachment; filename="fehler_{one.id}.csv"'
    return StreamingResponse(
        writer.pieces(rows_of(told())),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": disposition},
    )


# -- doing -----------------------------------------------------------------------------------------


async def mapped(request: Request) -> Response:
    """`PUT {id}/mapping`."""
    person, matrix = _person(request)
    wanted = await body_of(request, ImportMapping)
    desk = _desk(request)
    one = await _own(request, desk, person)
    try:
        now = await _do(request, partial(desk.map, one, wanted.columns, wanted.values, matrix, person.roles))
    except MappingError as error:
        errors = [{"pointer": pointer(*error.place), "detail": str(error)}]
        raise Problem(422, str(error), members={"errors": errors}) from None
    return await _answer(request, desk, now)


async def executed(request: Request) -> Response:
    """`POST {id}/execute`: 202; `GET {id}` tells how far it is."""
    person, matrix = _person(request)
    order = await body_of(request, ImportOrder)
    desk = _desk(request)
    one = await _own(request, desk, person)
    if one.type not in may_write(matrix, person.roles, one.type):
        raise Problem(403, f"None of your roles makes documents of type {one.type}.")
    work = Work.CHECK if order.dryRun else Work.WRITE
    decisions = {int(line): decision for line, decision in order.decisions.items()}
    now = await _do(request, partial(desk.begin, one, work, person, order.duplicates, decisions))
    return await _answer(request, desk, now, 202)


async def undone(request: Request) -> Response:
    """`POST {id}/undo`: 202. One's own; GF undoes anybody's, with his own rights."""
    person, matrix = _person(request)
    desk = _desk(request)
    one = await _found(request, desk, person)
    if one.person != person.name and not person.roles & UNDOES_ALL:
        raise Problem(403, "Whoever has imported it undoes it, or GF.")
    if not await _do(request, lambda: desk.may_undo(one, matrix, person.roles)):
        raise Problem(403, f"None of your roles deletes documents of type {one.type}: GF undoes it.")
    now = await _do(request, partial(desk.begin, one, Work.UNDO, person, "", {}))
    return JSONResponse(await _do(request, lambda: outline(desk, now)), 202)


async def removed(request: Request) -> Response:
    """`DELETE {id}`: what is kept of it goes; documents stay. It can't be undone any more."""
    person, _ = _person(request)
    desk = _desk(request)
    one = await _own(request, desk, person)
    await _do(request, lambda: desk.opened().forget(one.id))
    return Response(status_code=204)


# -- what they share -------------------------------------------------------------------------------


def _desk(request: Request) -> ImportDesk:
    desk = services_of(request).imports
    if desk is None:
        raise Problem(503, "Nothing is imported here.")
    return desk


def _person(request: Request) -> tuple[Principal, Matrix]:
    person = caller(request)
    documents = services_of(request).access
    with documents.database.reading() as reading:
        return person, documents.index.matrix(reading)


async def _do(request: Request, work: Any) -> Any:
    """In a thread of its own. Raises 409, 422 and 503."""
    try:
        return await asyncio.to_thread(work)
    except NotNowError as error:
        raise Problem(409, str(error)) from None
    except UnreadableError as error:
        raise _unreadable(request, error) from None
    except ImportStoreError as error:
        raise Problem(503, str(error), headers={"retry-after": "5"}) from None


async def _found(request: Request, desk: ImportDesk, person: Principal) -> Import:
    one: Import | None = await _do(request, lambda: desk.find(request.path_params["id"], person))
    if one is None or one.state is State.ARRIVING:
        raise Problem(404, _NONE)
    return one


async def _own(request: Request, desk: ImportDesk, person: Principal) -> Import:
    one = await _found(request, desk, person)
    if one.person != person.name:
        raise Problem(404, _NONE)
    return one


async def _answer(
    request: Request, desk: ImportDesk, one: Import, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return JSONResponse(await _do(request, lambda: whole(desk, one)), status, headers)


ROUTES = [
    Endpoint(
        "GET",
        "/imports",
        listed,
        "One's own imports, the latest first; for GF, BUCH and ADMIN everybody's",
        answer=Imports,
        parameters=(a_number("limit", 1, MOST, PAGE),),
    ),
    Endpoint(
        "POST",
        "/imports",
        uploaded,
        "Uploads a file: what was found out, and which field each column is",
        answer=WholeImport,
        status=201,
        body=BYTES,
        body_media="application/octet-stream",
        example="Firma;Straße;PLZ;Ort\nHofladen Müller;Weg 1;50667;Köln\n",
        parameters=(
            Parameter("type", schema={"type": "string", "enum": list(targets())}, needed=True),
            a_text("file", "The file's name."),
        ),
        problems=(409,),
    ),
    Endpoint("GET", "/imports/{id}", shown, "How far an import is", answer=WholeImport | ShownImport),
    Endpoint("DELETE", "/imports/{id}", removed, "Forgets an import; documents stay", problems=(409,)),
    Endpoint(
        "PUT",
        "/imports/{id}/reading",
        read_again,
        "Reads the file otherwise",
        answer=WholeImport,
        body=ImportReading,
        example={"sheet": "Kunden", "headerLine": 3},
        problems=(409,),
    ),
    Endpoint(
        "PUT",
        "/imports/{id}/mapping",
        mapped,
        "Says which field each column is",
        answer=WholeImport,
        body=ImportMapping,
        example={"columns": {"Firmenname": "companyName", "Intern": None}, "values": {"owner": "adm1"}},
        problems=(409,),
    ),
    Endpoint(
        "GET",
        "/imports/{id}/preview",
        previewed,
        "The first rows as documents",
        answer=ImportPreview,
        parameters=(a_number("limit", 1, 200, PREVIEWED),),
    ),
    Endpoint(
        "POST",
        "/imports/{id}/execute",
        executed,
        "Executes it in the background, or a dry run",
        answer=WholeImport,
        status=202,
        body=ImportOrder,
        example={"dryRun": True, "duplicates": "ask"},
        problems=(409,),
    ),
    Endpoint(
        "GET",
        "/imports/{id}/rows",
        rows,
        "What became of each row, or would",
        answer=ImportedRows,
        parameters=(
            a_word("outcome", Kind),
            a_number("after", 0, 10**9, 0, "A line; `next` of the page before."),
            a_number("limit", 1, MOST, PAGE),
        ),
    ),
    Endpoint(
        "GET",
        "/imports/{id}/errors",
        problems,
        "What was wrong, as CSV: Zeile;Feld;Fehler;Wert;Grund",
        answer=BYTES,
        media="text/csv",
    ),
    Endpoint(
        "POST",
        "/imports/{id}/undo",
        undone,
        "Undoes it in the background",
        answer=ShownImport,
        status=202,
        problems=(409,),
    ),
]
