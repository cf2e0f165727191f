"""Routes that say what they take and what they answer. The description of the API is made of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kompass.api.authentication import MAX_BODY, call_of
from kompass.api.parameters import Handler, taking
from kompass.api.problems import Problem

Json = dict[str, Any]

JSON = "application/json"
BYTES: Json = {"type": "string", "format": "binary"}
"""What is no JSON."""

_IN_PATH = re.compile(r"\{(\w+)(?::(\w+))?\}")
_KINDS: Mapping[str | None, Json] = {
    None: {"type": "string", "minLength": 1, "maxLength": 200},
    "path": {"type": "string", "minLength": 1, "maxLength": 500},
    "number": {"type": "integer", "minimum": 1, "maximum": 10**15 - 1},
}


class _Number(IntegerConvertor):
    """`{num:number}` in a path: more digits name nothing, and no store could look for it."""

    regex = "[0-9]{1,15}"


register_url_convertor("number", _Number())


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of a query, unless it says otherwise."""

    name: str
    about: str = ""
    schema: Json = field(default_factory=lambda: {"type": "string"})
    needed: bool = False
    place: Literal["query", "header", "path"] = "query"

    def described(self) -> Json:
        told: Json = {"name": self.name, "in": self.place, "schema": self.schema}
        if self.needed or self.place == "path":
            told["required"] = True
        if self.about:
            told["description"] = self.about
        return told


def a_text(name: str, about: str = "", *, needed: bool = False, most: int | None = None) -> Parameter:
    """`most`: characters."""
    return Parameter(name, about, {"type": "string", **({} if most is None else {"maxLength": most})}, needed)


def a_number(name: str, least: int, most: int, default: int | None = None, about: str = "") -> Parameter:
    """A whole number."""
    schema: Json = {"type": "integer", "minimum": least, "maximum": most}
    return Parameter(name, about, schema if default is None else {**schema, "default": default})


def a_flag(name: str, about: str = "") -> Parameter:
    return Parameter(name, about, {"type": "boolean"})


def a_word(name: str, words: Collection[str] | type[StrEnum], default: str = "") -> Parameter:
    """One of a few."""
    schema: Json = {"type": "string", "enum": [str(one) for one in words]}
    return Parameter(name, "", {**schema, "default": default} if default else schema)


class Endpoint(Route):
    """One method at one path, described.

    What every endpoint may answer (400, 401, 403, 429, 503), 404 where the path names something and 413, 415
    and 422 where a body is taken follow by themselves.
    """

    def __init__(
        self,
        method: str,
        path: str,
        handler: Handler,
        summary: str,
        *,
        answer: Any = None,
        status: int | None = None,
        answers: Mapping[int, Any] | None = None,
        media: str = JSON,
        or_json: Any = None,
        body: Any = None,
        body_media: str = JSON,
        body_needed: bool = True,
        example: Any = None,
        parameters: Sequence[Parameter] = (),
        problems: Collection[int] = (),
        public: bool = False,
        added: bool = False,
    ) -> None:
        """`answer`: a type that pydantic knows (`TypedDict`, model, dataclass, …), or a JSON schema; none is
        an answer without a body. `status`: 200, or 204 without a body. `answers`: by other statuses.
        `or_json`: what is answered instead of another `media` if it is asked for. `body`:
        as `answer`; `example` is one that is taken. `problems`: statuses besides those that follow by
        themselves. `public`: for those, too, who have not logged in. `added`: other parameters are passed
        over, as programs and people add some to an address that they fetch again and again.
        """
        names = [one.name for one in parameters if one.place == "query"]
        asked = handler if body is not None or method == "GET" else _without_body(handler)
        super().__init__(path, asked if added else taking(names, asked), methods=[method])
        module = inspect.getmodule(handler)
        assert module is not None
        self.handler = handler
        self.method = method.lower()
        self.summary = summary
        self.name = f"{module.__name__.rpartition('.')[2]}_{handler.__name__}"
        self.tag = path.split("/")[1]
        self.about = _about(module.__doc__ or "")
        self.media, self.or_json = media, or_json
        self.answers: dict[int, Any] = {status or (204 if answer is None else 200): answer, **(answers or {})}
        self.body, self.body_media, self.body_needed = body, body_media, body_needed
        self.example = example
        self.parameters = (*_of_path(path, parameters), *parameters)
        self.public, self.added = public, added
        self.problems = {400, 401, 403, 429, 503, *problems}
        if "{" in path:
            self.problems.add(404)
        if body is not None:
            self.problems |= {413, 415, 422}

    @property
    def address(self) -> str:
        """The path as OpenAPI writes it."""
        return _IN_PATH.sub(r"{\1}", self.path)


def _without_body(handler: Handler) -> Handler:
    """The handler, of which nobody asks with a body that says anything, as that it is only a trial."""

    async def asked(request: Request) -> Response:
        if (await call_of(request).body(MAX_BODY)).strip() not in (b"", b"{}", b"null"):
            raise Problem(400, "This address takes no body.")
        return await handler(request)

    return asked


def _of_path(path: str, given: Sequence[Parameter]) -> list[Parameter]:
    """Those in the path that nobody has described better."""
    known = {one.name for one in given if one.place == "path"}
    return [
        Parameter(name, schema=_KINDS[kind or None], place="path")
        for name, kind in _IN_PATH.findall(path)
        if name not in known
    ]


def _about(text: str) -> str:
    """What a module says of itself in its first paragraph, without its address."""
    first = " ".join(text.split("\n\n")[0].split())
    told = re.sub(r"^`[^`]*`(?:,[^:]*)?: ", "", first)
    return told[:1].upper() + told[1:]
