"""`GET /api/v1/NAME/export` for each type of documents: a whole list as a file, as the caller may read it.

Filters, `sort` and `fields` are those of the list. Files of text are sent while they are made: if that fails,
the connection is cut before the body's end, which any client notices. Others are whole before they are sent.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from kompass.accounting.catalogue import profiles_of
from kompass.accounting.profiles import Profile
from kompass.api.documents import fields_of, view_of
from kompass.api.language import german
from kompass.api.parameters import flag
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.api.streaming import begun
from kompass.archives import Archive
from kompass.exports.encoding import Told
from kompass.exports.formats import BINARY, KINDS, Format, absent, accepted
from kompass.exports.making import BusyError, Exports, Whole, Wish
from kompass.resources.catalogue import RESOURCES, Resource
from kompass.resources.filters import Filter, FilterError, parse
from kompass.resources.lists import Question
from kompass.sync.personal import PersonalDatabase

SORT = "createdAt"
"""Nobody changes it: a document keeps its place, and is in the file once, whatever happens meanwhile."""
_PARAMETERS = ("format", "sort", "fields", "profile", "package", "dry_run")
_ZIP = "application/zip"


async def exported(resource: Resource, request: Request) -> Response:
    """`GET`: the file. With `package=true` a ZIP file of it and of what became of the documents; with
    `dry_run=true` the latter alone.
    """
    query = request.query_params
    for name in _PARAMETERS:
        if len(query.getlist(name)) > 1:
            raise Problem(400, f"Give {name} once.")
    package, dry = flag(request, "package") is True, flag(request, "dry_run") is True
    wish = _wish(resource, request)
    view = await view_of(request)
    exports = services_of(request).exports
    assert exports is not None
    now = datetime.now(UTC)
    name = wish.name(now)
    if dry:
        return JSONResponse(await _dry(exports, view, wish, now))
    if package:
        pieces = _packed(exports, view, wish, now)
        return await _sent(request, pieces, f"{name}.zip", _ZIP)
    media_type = KINDS[wish.form].media_type
    if wish.form in BINARY or wish.profile is not None:
        return _whole_answer(request, await _whole(exports, view, wish), name, media_type)
    return await _sent(request, exports.pieces(view, wish, []), name, media_type)


# -- what is asked for -----------------------------------------------------------------------------


def _wish(resource: Resource, request: Request) -> Wish:
    query = request.query_params
    profile = _profile(resource, query.get("profile"))
    form = Format.CSV if profile is not None else _format(request)
    if profile is not None and query.get("format", "csv") != "csv":
        raise Problem(400, "A profile is a dialect of CSV: format can't be anything else.")
    if profile is not None and "fields" in query:
        raise Problem(400, "A profile has columns of its own: give fields or profile.")
    why = absent(form)
    if why is not None:
        raise Problem(503, f"This server can't write {form.value}: {why}.")
    sort = query.get("sort", SORT)
    field = sort.removeprefix("-")
    if field not in resource.sortable:
        raise Problem(400, f"sort can't be {sort[:60]}; it is one of {', '.join(resource.sortable)}.")
    given = [(name, value) for name, value in query.multi_items() if name not in _PARAMETERS]
    try:
        filters = parse(resource.fields, given)
        filters += tuple(_where(resource, profile))
    except FilterError as error:
        raise Problem(400, str(error)) from None
    question = Question(resource, field, sort.startswith("-"), filters, 1)
    return Wish(question, form, fields_of(request, resource), german(request), profile)


def _where(resource: Resource, profile: Profile | None) -> tuple[Filter, ...]:
    """The documents that a profile is about."""
    if profile is None:
        return ()
    return parse(resource.fields, [(f"{name}.in", ",".join(words)) for name, words in profile.where.items()])


def _profile(resource: Resource, name: str | None) -> Profile | None:
    if name is None:
        return None
    found = next((one for one in profiles_of(resource.type) if one.name == name), None)
    if found is None:
        raise Problem(400, f"There is no profile {name[:60]} by which {resource.name} are exported.")
    return found


def _format(request: Request) -> Format:
    text = request.query_params.get("format")
    if text is not None:
        try:
            return Format(text)
        except ValueError:
            raise Problem(400, f"format is one of {', '.join(Format)}, not {text[:40]}.") from None
    header = request.headers.get("accept", "*/*")
    found = accepted(header)
    if found is None:
        raise Problem(
            406, f"There is {', '.join(kind.media_type for kind in KINDS.values())}; or say format=."
        )
    return found


# -- answers ---------------------------------------------------------------------------------------


async def _sent(
    request: Request, pieces: AsyncGenerator[bytes, None], name: str, media_type: str
) -> Response:
    """A body that is sent while it is made. What fails at once is answered as a problem."""
    headers = attachment(name)
    if request.method == "HEAD":
        return Response(headers=headers, media_type=media_type)
    return StreamingResponse(await begun(pieces), headers=headers, media_type=media_type)


def _whole_answer(request: Request, whole: Whole, name: str, media_type: str) -> Response:
    headers = {
        **attachment(name),
        "content-length": str(whole.size),
        "repr-digest": f"sha-256=:{b64encode(whole.digest).decode()}:",
        "kompass-rows": str(whole.told.rows),
        "kompass-left-out": str(whole.told.left_out),
        "kompass-changed": str(whole.told.changed),
    }
    if request.method == "HEAD":
        whole.close()
        return Response(headers=headers, media_type=media_type)
    return StreamingResponse(whole.pieces(), headers=headers, media_type=media_type)


async def _whole(exports: Exports, view: PersonalDatabase, wish: Wish) -> Whole:
    try:
        return await exports.whole(view, wish)
    except BusyError:
        raise Problem(
            503, "Too many files are being made: ask again in a minute.", headers={"retry-after": "60"}
        ) from None


async def _dry(exports: Exports, view: PersonalDatabase, wish: Wish, now: datetime) -> dict[str, Any]:
    whole = await _whole(exports, view, wish)
    whole.close()
    return _manifest(wish, now, whole.told, whole.size, whole.digest)


async def _packed(
    exports: Exports, view: PersonalDatabase, wish: Wish, now: datetime
) -> AsyncGenerator[bytes, None]:
    """A ZIP file of the file and of what became of the documents."""
    archive, told = Archive(level=1), list[Told]()
    digest, size = hashlib.sha256(), 0
    with archive.entry(wish.name(now)) as entry:
        async with aclosing(exports.pieces(view, wish, told)) as pieces:
            async for piece in pieces:
                digest.update(piece)
                size += len(piece)
                await asyncio.to_thread(entry.write, piece)
                if ready := archive.take():
                    yield ready
    manifest = _manifest(wish, now, told[0], size, digest.digest())
    archive.write("manifest.json", orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    archive.close()
    yield archive.take()


def _manifest(wish: Wish, now: datetime, told: Told, size: int, digest: bytes) -> dict[str, Any]:
    question = wish.question
    return {
        "list": question.resource.name,
        "profile": None if wish.profile is None else wish.profile.name,
        "file": wish.name(now),
        "exported_at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "filters": {f"{one.field.name}.{one.operator}": list(one.given) for one in question.filters},
        "sort": ("-" if question.descending else "") + question.sort,
        "bytes": size,
        "sha256": digest.hex(),
        **told.as_json(),
    }


def attachment(name: str) -> Mapping[str, str]:
    """Headers of a file that browsers save under this name (RFC 6266)."""
    plain = name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_")
    return {
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }


ROUTES = [
    Route(f"/{resource.name}/export", partial(exported, resource), methods=["GET"])
    for resource in RESOURCES.values()
]
