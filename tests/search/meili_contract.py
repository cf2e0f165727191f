"""MeiliSearch's published API, as far as it is used here: what may be asked, and what is answered.

Written from its reference (https://www.meilisearch.com/docs/reference/api, 1.50). Whatever isn't in it is
refused as the reference says: an unknown path, parameter, setting or member of a body, a missing key. Tasks
happen a moment later, in their order. The search itself is a simple one over the same settings: it shows that
the driver asks and reads right, not how good MeiliSearch is.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kompass.search.highlighting import within

KEY = "contract-key"
NOW = "2026-11-02T08:00:00.000000Z"
LINK = "https://docs.meilisearch.com/errors#"
TASK_TAKES = 0.001

SETTINGS = {
    "displayedAttributes", "searchableAttributes", "filterableAttributes", "sortableAttributes",
    "rankingRules", "stopWords", "nonSeparatorTokens", "separatorTokens", "dictionary", "synonyms",
    "distinctAttribute", "proximityPrecision", "typoTolerance", "faceting", "pagination", "embedders",
    "searchCutoffMs", "localizedAttributes", "facetSearch", "prefixSearch", "chat", "vectorStore",
}  # fmt: skip
TYPO_TOLERANCE = {
    "enabled", "minWordSizeForTypos", "disableOnWords", "disableOnAttributes", "disableOnNumbers",
}  # fmt: skip
SEARCH = {
    "indexUid", "q", "offset", "limit", "hitsPerPage", "page", "filter", "facets", "distinct",
    "attributesToRetrieve", "attributesToCrop", "cropLength", "cropMarker", "attributesToHighlight",
    "highlightPreTag", "highlightPostTag", "showMatchesPosition", "sort", "matchingStrategy",
    "showRankingScore", "showRankingScoreDetails", "rankingScoreThreshold", "attributesToSearchOn",
    "hybrid", "vector", "retrieveVectors", "locales",
}  # fmt: skip
RULES = {"words", "typo", "proximity", "attribute", "attributeRank", "wordPosition", "sort", "exactness"}
STATUSES = {"enqueued", "processing", "succeeded", "failed", "canceled"}

_UID = re.compile(r"[A-Za-z0-9_-]{1,400}")
_DOCUMENT_ID = re.compile(r"[A-Za-z0-9_-]{1,511}")
_IN = re.compile(r"(\w+) (NOT )?IN (\[.*\])", re.DOTALL)
_IS = re.compile(r"(\w+) = (true|false|\".*\")", re.DOTALL)
_WORDS = re.compile(r"[^\W_]+")


class RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str, kind: str = "invalid_request") -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, "code": code, "type": kind, "link": LINK + code}


@dataclass
class Index:
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


class MeiliContract:
    """The application of a server."""

    def __init__(self) -> None:
        self.indexes: dict[str, Index] = {}
        self.asked: list[tuple[str, str, Any]] = []
        """Method, path and body of every request."""
        self._tasks: list[dict[str, Any]] = []
        self._queue: asyncio.Queue[tuple[dict[str, Any], Callable[[], None]]] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        index, documents = "/indexes/{uid}", "/indexes/{uid}/documents"
        routes = [
            Route("/indexes", self._create, methods=["POST"]),
            Route(index, self._index, methods=["GET"]),
            Route(index, self._drop, methods=["DELETE"]),
            Route(f"{index}/settings", self._configure, methods=["PATCH"]),
            Route(documents, self._add, methods=["POST"]),
            Route(f"{documents}/fetch", self._fetch, methods=["POST"]),
            Route(f"{documents}/{{id}}", self._document, methods=["GET"]),
            Route(f"{documents}/{{id}}", self._delete, methods=["DELETE"]),
            Route("/swap-indexes", self._swap, methods=["POST"]),
            Route("/tasks", self._listed, methods=["GET"]),
            Route("/tasks/{task:int}", self._task, methods=["GET"]),
            Route("/multi-search", self._search, methods=["POST"]),
        ]
        app = Starlette(routes=routes, exception_handlers={RefusedError: _refused})
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            response: Response | None = None
            headers = dict(scope["headers"])
            given = headers.get(b"authorization", b"").decode()
            if not given:
                message = "The Authorization header is missing."
                response = _error(RefusedError(401, "missing_authorization_header", message, "auth"))
            elif given != f"Bearer {KEY}":
                message = "The provided API key is invalid."
                response = _error(RefusedError(403, "invalid_api_key", message, "auth"))
            if response is not None:
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    # -- tasks -----------------------------------------------------------------------------------

    def _enqueue(self, kind: str, uid: str | None, work: Callable[[], None]) -> Response:
        task = {"uid": len(self._tasks), "indexUid": uid, "status": "enqueued", "type": kind, "error": None}
        self._tasks.append(task)
        self._queue.put_nowait((task, work))
        if self._worker is None:
            self._worker = asyncio.ensure_future(self._work())
        summary = {
            "taskUid": task["uid"], "indexUid": uid, "status": "enqueued", "type": kind, "enqueuedAt": NOW,
        }  # fmt: skip
        return JSONResponse(summary, status_code=202)

    async def _work(self) -> None:
        while True:
            task, work = await self._queue.get()
            task["status"] = "processing"
            await asyncio.sleep(TASK_TAKES)
            try:
                work()
                task["status"] = "succeeded"
            except RefusedError as error:
                task.update(status="failed", error=error.body)

    async def _task(self, request: Request) -> Response:
        number = request.path_params["task"]
        if number >= len(self._tasks):
            raise RefusedError(404, "task_not_found", f"Task `{number}` not found.")
        return JSONResponse(self._tasks[number])

    async def _listed(self, request: Request) -> Response:
        _only(
            request.query_params, {"indexUids", "statuses", "limit", "from", "types", "uids"}, "bad_request"
        )
        names = request.query_params["indexUids"].split(",")
        statuses = request.query_params["statuses"].split(",")
        if not set(statuses) <= STATUSES:
            raise RefusedError(400, "invalid_task_statuses", "Invalid value in parameter `statuses`")
        found = [task for task in self._tasks if task["indexUid"] in names and task["status"] in statuses]
        limit = int(request.query_params.get("limit", 20))
        answer = {"results": found[:limit], "total": len(found), "limit": limit, "from": 0, "next": None}
        return JSONResponse(answer)

    # -- indexes ---------------------------------------------------------------------------------

    def _found(self, uid: str) -> Index:
        if uid not in self.indexes:
            raise RefusedError(404, "index_not_found", f"Index `{uid}` not found.")
        return self.indexes[uid]

    async def _create(self, request: Request) -> Response:
        body = await self._body(request, {"uid", "primaryKey"})
        uid = body["uid"]
        if not isinstance(uid, str) or _UID.fullmatch(uid) is None:
            raise RefusedError(400, "invalid_index_uid", f"`{uid}` is not a valid index uid.")

        def work() -> None:
            if uid in self.indexes:
                raise RefusedError(409, "index_already_exists", f"Index `{uid}` already exists.")
            self.indexes[uid] = Index()

        return self._enqueue("indexCreation", uid, work)

    async def _index(self, request: Request) -> Response:
        uid = request.path_params["uid"]
        self._found(uid)
        return JSONResponse({"uid": uid, "createdAt": NOW, "updatedAt": NOW, "primaryKey": "key"})

    async def _drop(self, request: Request) -> Response:
        uid = request.path_params["uid"]

        def work() -> None:
            self._found(uid)
            del self.indexes[uid]

        return self._enqueue("indexDeletion", uid, work)

    async def _configure(self, request: Request) -> Response:
        body = await self._body(request, SETTINGS)
        _only(body.get("typoTolerance", {}), TYPO_TOLERANCE, "invalid_settings_typo_tolerance")
        for rule in body.get("rankingRules", []):
            if rule not in RULES and not re.fullmatch(r"\w+:(asc|desc)", rule):
                raise RefusedError(400, "invalid_settings_ranking_rules", f"`{rule}` is no ranking rule.")
        uid = request.path_params["uid"]
        return self._enqueue("settingsUpdate", uid, lambda: self._found(uid).settings.update(body))

    async def _swap(self, request: Request) -> Response:
        body = await self._body(request)
        for pair in body:
            _only(pair, {"indexes", "rename"}, "bad_request")
        pairs = [tuple(pair["indexes"]) for pair in body]

        def work() -> None:
            for one, other in pairs:
                first, second = self._found(one), self._found(other)
                self.indexes[one], self.indexes[other] = second, first

        return self._enqueue("indexSwap", None, work)

    # -- documents -------------------------------------------------------------------------------

    async def _add(self, request: Request) -> Response:
        _only(request.query_params, {"primaryKey", "csvDelimiter"}, "bad_request")
        documents = await self._body(request)
        uid, primary = request.path_params["uid"], request.query_params["primaryKey"]

        def work() -> None:
            index = self.indexes.setdefault(uid, Index())
            for one in documents:
                if _DOCUMENT_ID.fullmatch(str(one.get(primary))) is None:
                    raise RefusedError(400, "invalid_document_id", f"{one.get(primary)!r} is invalid.")
            index.documents.update({one[primary]: one for one in documents})

        return self._enqueue("documentAdditionOrUpdate", uid, work)

    async def _document(self, request: Request) -> Response:
        uid, docid = request.path_params["uid"], request.path_params["id"]
        found = self._found(uid).documents.get(docid)
        if found is None:
            raise RefusedError(404, "document_not_found", f"Document `{docid}` not found.")
        return JSONResponse(found)

    async def _delete(self, request: Request) -> Response:
        uid, docid = request.path_params["uid"], request.path_params["id"]

        def work() -> None:
            self._found(uid).documents.pop(docid, None)

        return self._enqueue("documentDeletion", uid, work)

    async def _fetch(self, request: Request) -> Response:
        allowed = {"offset", "limit", "fields", "retrieveVectors", "filter", "ids", "sort"}
        body = await self._body(request, allowed)
        index = self._found(request.path_params["uid"])
        found = [index.documents[each] for each in body["ids"] if each in index.documents]
        limit = body.get("limit", 20)
        shown = [{name: one[name] for name in body["fields"] if name in one} for one in found[:limit]]
        return JSONResponse({"results": shown, "offset": 0, "limit": limit, "total": len(found)})

    # -- searching -------------------------------------------------------------------------------

    async def _search(self, request: Request) -> Response:
        body = await self._body(request, {"queries", "federation"})
        results = []
        for query in body["queries"]:
            _only(query, SEARCH, "bad_request")
            if ("page" in query) != ("hitsPerPage" in query) or ("page" in query and "offset" in query):
                raise RefusedError(400, "bad_request", "either pages or offsets")
            results.append(_searched(self._found(query["indexUid"]), query))
        return JSONResponse({"results": results})

    async def _body(self, request: Request, allowed: set[str] | None = None) -> Any:
        if request.headers.get("content-type") != "application/json":
            raise RefusedError(415, "invalid_content_type", "The Content-Type must be application/json.")
        body = await request.json()
        self.asked.append((request.method, request.url.path, copy.deepcopy(body)))
        if allowed is not None:
            _only(body, allowed, "bad_request")
        return body


def _only(given: Iterable[str], allowed: set[str], code: str) -> None:
    unknown = set(given) - allowed
    if unknown:
        raise RefusedError(400, code, f"Unknown field `{min(unknown)}`")


def _error(error: RefusedError) -> Response:
    return JSONResponse(error.body, status_code=error.status)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return _error(error)


def _passes(expression: str, one: Mapping[str, Any], filterable: list[str]) -> bool:
    """The operators that are used: `x IN [...]`, `x NOT IN [...]`, `x = value`."""
    found, negated = _IN.fullmatch(expression), False
    if found is not None:
        name, values, negated = found[1], json.loads(found[3]), bool(found[2])
    else:
        found = _IS.fullmatch(expression)
        if found is None:
            raise RefusedError(400, "invalid_search_filter", f"Was expecting an operation: {expression[:99]}")
        name, values = found[1], [json.loads(found[2])]
    if name not in filterable:
        raise RefusedError(400, "invalid_search_filter", f"Attribute `{name}` is not filterable.")
    has = one.get(name)
    has = has if isinstance(has, list) else [has]
    return any(each in values for each in has if each is not None) is not negated


def _searched(index: Index, query: Mapping[str, Any]) -> dict[str, Any]:
    settings = index.settings
    wanted = query.get("filter", [])
    found = [
        (one, rank)
        for one in index.documents.values()
        if all(_passes(each, one, settings["filterableAttributes"]) for each in wanted)
        and (rank := _rank(one, query, settings)) is not None
    ]
    found.sort(key=lambda each: (each[1], -each[0].get("weight", 0)))
    for order in reversed(query.get("sort", [])):
        name, _, direction = order.partition(":")
        if name not in settings["sortableAttributes"]:
            raise RefusedError(400, "invalid_search_sort", f"Attribute `{name}` is not sortable.")
        there = [each for each in found if name in each[0]]
        there.sort(key=lambda each: each[0][name], reverse=direction == "desc")
        found = there + [each for each in found if name not in each[0]]
    hits, seen = [], set()
    for one, _ in found:
        value = one.get(query["distinct"])
        if value is None or value not in seen:
            hits.append(one)
            seen.add(value)
    answer: dict[str, Any] = {"indexUid": query["indexUid"], "query": query["q"], "processingTimeMs": 0}
    if "facets" in query:
        answer["facetDistribution"] = {name: _counted(hits, name) for name in query["facets"]}
        answer["facetStats"] = {}
    if "page" in query:
        start = (query["page"] - 1) * query["hitsPerPage"]
        shown = hits[start : start + query["hitsPerPage"]]
        answer |= {"page": query["page"], "hitsPerPage": query["hitsPerPage"], "totalHits": len(hits)}
    else:
        shown = hits[query["offset"] : query["offset"] + query["limit"]]
        answer |= {"offset": query["offset"], "limit": query["limit"], "estimatedTotalHits": len(hits)}
    fields = query.get("attributesToRetrieve", ["*"])
    return {**answer, "hits": [{name: one[name] for name in fields if name in one} for one in shown]}


def _counted(hits: list[dict[str, Any]], name: str) -> dict[str, int]:
    counted: dict[str, int] = {}
    for one in hits:
        if name in one:
            counted[one[name]] = counted.get(one[name], 0) + 1
    return counted


def _rank(one: Mapping[str, Any], query: Mapping[str, Any], settings: Mapping[str, Any]) -> Any | None:
    """None if it lacks a word. The fewer mistakes, and the earlier the attribute, the better."""
    if "channels" not in one:
        return None
    text: str = query["q"]
    asked = [word for word in _WORDS.findall(text) if word not in settings["stopWords"]]
    asked = asked or _WORDS.findall(text)
    attributes = query.get("attributesToSearchOn", settings["searchableAttributes"])
    typos = attribute_sum = inexact = 0
    for place, word in enumerate(asked):
        begun = place == len(asked) - 1 and not text.endswith(" ")
        best: tuple[int, int, bool] | None = None
        for at, name in enumerate(attributes):
            stored = one.get(name, "")
            there = _WORDS.findall(" ".join(stored) if isinstance(stored, list) else stored)
            exact = name in settings["typoTolerance"]["disableOnAttributes"]
            cost = _cost(word, there, begun, exact, settings)
            if cost is not None and (best is None or (cost, at, word not in there) < best):
                best = (cost, at, word not in there)
        if best is None:
            return None
        typos, attribute_sum, inexact = typos + best[0], attribute_sum + best[1], inexact + best[2]
    return (typos, attribute_sum, inexact)


def _cost(word: str, there: list[str], begun: bool, exact: bool, settings: Mapping[str, Any]) -> int | None:
    if word in there or any(other in there for other in settings["synonyms"].get(word, [])):
        return 0
    if begun and any(each.startswith(word) for each in there):
        return 0
    sizes = settings["typoTolerance"]["minWordSizeForTypos"]
    if exact or any(letter.isdigit() for letter in word):
        return None
    most = (len(word) >= sizes["oneTypo"]) + (len(word) >= sizes["twoTypos"])
    for typos in range(1, most + 1):
        if any(within(word, each, typos) for each in there):
            return typos
    return None
