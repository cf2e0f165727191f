"""`/api/v1/search`: full-text search over everything that the one who asks may read."""

from __future__ import annotations

from typing import Any, NotRequired

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from kompass.api.authentication import caller
from kompass.api.endpoints import Endpoint, a_number, a_text, a_word
from kompass.api.parameters import number
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.search.asking import MOST_LIMIT, MOST_OFFSET, MOST_QUESTION, Question, Sort, question
from kompass.search.catalogue import FACETS, SEARCHED, base_type
from kompass.search.finding import Mode, State
from kompass.search.service import Answer, Hit, SearchDownError
from replication.protocol import jsontext

LIMIT = 20
"""Hits in an answer, unless `limit` says another number."""

MOST_VALUES = 20
"""Values of one filter."""

MOST_VALUE = 200
"""Characters of one."""

TYPES = sorted({base_type(doctype) for doctype in SEARCHED})


class Highlight(TypedDict):
    field: str
    html: str


class FoundDocument(TypedDict):
    id: str
    type: str
    document: Any
    title: str
    subtitle: str
    highlights: list[Highlight]
    modifiedAt: str | None
    value: Any


class IndexState(TypedDict):
    state: str
    behind: int | None


class Found(TypedDict):
    """`behind`: changes that the index doesn't know yet."""

    hits: list[FoundDocument]
    total: int | None
    facets: dict[str, Any] | None
    limit: int
    offset: int
    more: bool
    index: IndexState
    vectors: NotRequired[IndexState]


class Embedded(TypedDict):
    id: str
    state: str
    pieces: int
    unread: dict[str, str]


async def searched(request: Request) -> Response:
    """`GET ?q=…`: hits by how well they fit, or as `sort` says.

    Of each filter a document must have one of the values, which are separated by commas or given several
    times.
    """
    principal = caller(request)
    asked = _question(request.query_params)
    mode = _mode(request.query_params, asked)
    limit = number(request, "limit", LIMIT, 1, MOST_LIMIT)
    offset = number(request, "offset", 0, 0, MOST_OFFSET)
    services = services_of(request)
    documents = services.access
    try:
        answer = await services.search.answer(
            documents.database, documents.index, principal, asked, limit=limit, offset=offset, mode=mode
        )
    except SearchDownError as error:
        members = {"index": {"state": "down"}}
        raise Problem(503, str(error), headers={"retry-after": "5"}, members=members) from None
    # Numbers of any size stay what they are.
    return Response(jsontext.encode(_body(answer, limit, offset)), media_type="application/json")


async def embedded(request: Request) -> Response:
    """`GET`: what search by meaning has of a document, and what of its attachments could not be read."""
    services = services_of(request)
    documents = services.access
    docid = request.path_params["id"]
    try:
        found = await services.search.embedded(documents.database, documents.index, caller(request), docid)
    except SearchDownError as error:
        raise Problem(503, str(error), headers={"retry-after": "5"}) from None
    if found is None:
        raise Problem(404, "There is no such document, or none that you may read.")
    body = {"id": docid, "state": found.state, "pieces": found.pieces, "unread": dict(found.unread)}
    return Response(jsontext.encode(body), media_type="application/json")


def _question(parameters: QueryParams) -> Question:
    text = parameters.get("q", "")
    if len(text) > MOST_QUESTION:
        raise Problem(400, f"q must have at most {MOST_QUESTION} characters.")
    filters: dict[str, tuple[str, ...]] = {}
    for facet in FACETS:
        values = [one for given in parameters.getlist(facet) for one in given.split(",") if one]
        if len(values) > MOST_VALUES or any(len(one) > MOST_VALUE for one in values):
            raise Problem(400, f"{facet} must be at most {MOST_VALUES} values of {MOST_VALUE} characters.")
        if values:
            filters[facet] = tuple(dict.fromkeys(values))
    wrong = [one for one in filters.get("type", ()) if one not in TYPES]
    if wrong:
        raise Problem(400, f"type can't be {wrong[0][:50]}; it is one of {', '.join(TYPES)}.")
    sort = parameters.get("sort", Sort.RELEVANCE.value)
    if sort not in Sort._value2member_map_:
        raise Problem(400, f"sort must be one of {', '.join(Sort)}.")
    return question(text, filters, Sort(sort))


def _mode(parameters: QueryParams, asked: Question) -> Mode:
    text = parameters.get("mode", Mode.TEXT.value)
    if text not in Mode._value2member_map_:
        raise Problem(400, f"mode must be one of {', '.join(Mode)}.")
    mode = Mode(text)
    if mode is Mode.VECTOR and not asked.text:
        raise Problem(400, "mode=vector needs something to look for in q.")
    if mode is not Mode.TEXT and asked.sort is not Sort.RELEVANCE:
        raise Problem(400, "What is found by meaning is sorted by relevance: leave out sort or mode.")
    return mode


def _body(answer: Answer, limit: int, offset: int) -> dict[str, Any]:
    return {
        "hits": [_hit(hit) for hit in answer.hits],
        "total": answer.total,
        "facets": answer.facets,
        "limit": limit,
        "offset": offset,
        "more": answer.more,
        "index": _state(answer.index),
        **({} if answer.vectors is None else {"vectors": _state(answer.vectors)}),
    }


def _state(state: State) -> dict[str, Any]:
    return {"state": state.state, "behind": state.behind}


def _hit(hit: Hit) -> dict[str, Any]:
    return {
        "id": hit.id,
        "type": hit.type,
        "document": hit.document,
        "title": hit.title,
        "subtitle": hit.subtitle,
        "highlights": [{"field": one.field, "html": one.html} for one in hit.highlights],
        "modifiedAt": hit.modified,
        "value": hit.value,
    }


ROUTES = [
    Endpoint(
        "GET",
        "/search",
        searched,
        "Documents by what they say, or mean",
        answer=Found,
        parameters=(
            a_text("q", "What to look for.", most=MOST_QUESTION),
            *(
                a_text(facet, "Values separated by commas; one of them.")
                for facet in FACETS
                if facet != "type"
            ),
            a_text("type", f"Some of {', '.join(TYPES)}, separated by commas."),
            a_word("sort", Sort, Sort.RELEVANCE.value),
            a_word("mode", Mode, Mode.TEXT.value),
            a_number("limit", 1, MOST_LIMIT, LIMIT),
            a_number("offset", 0, MOST_OFFSET, 0),
        ),
    ),
    Endpoint(
        "GET",
        "/search/documents/{id}",
        embedded,
        "What search by meaning has of a document",
        answer=Embedded,
    ),
]
