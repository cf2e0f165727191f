"""The functions of design documents, called with Python's values.

Each of these is one job of the engine. What comes back is checked: a function can do what it likes with
its results, but only to itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from replication.javascript.engine import Engine, JavaScriptError, Job, Thrown

__all__ = [
    "Emitted", "JavaScriptError", "Thrown", "array", "check", "filter_documents", "map_documents", "reduce",
    "update", "validate",
]  # fmt: skip


class Emitted(NamedTuple):
    key: Any
    value: Any


async def check(engine: Engine, source: str, modules: str = "") -> None:
    """Compiles a function. Raises `JavaScriptError` if it is none."""
    await engine.run(Job("compile", source, b"null", modules))


async def map_documents(
    engine: Engine, source: str, modules: str, documents: Sequence[bytes]
) -> list[list[Emitted] | Thrown]:
    """What a map function emits for each document, or what it threw.

    When that is a lot, only for the first ones, at least for one.
    """
    results = await engine.run(Job("map", source, array(documents), modules))
    if documents and not 0 < len(results) <= len(documents):
        raise _wrong_results()
    return [result if isinstance(result, Thrown) else _emitted(result) for result in results]


def _emitted(result: Any) -> list[Emitted]:
    if not isinstance(result, list):
        raise _wrong_results()
    try:
        return [Emitted._make(row) for row in result]
    except TypeError:
        raise _wrong_results() from None


async def reduce(engine: Engine, source: str, modules: str, groups: Sequence[bytes]) -> list[Any]:
    """What a reduce function makes of each group: JSON of `[keys, values]`, keys null for a rereduce."""
    return _counted(await engine.run(Job("reduce", source, array(groups), modules)), len(groups))


async def filter_documents(
    engine: Engine,
    source: str,
    modules: str,
    request: bytes,
    documents: Sequence[bytes],
    *,
    view: bool = False,
) -> list[bool | Thrown]:
    """Which documents pass a filter; with `view`, for which a map function emits anything."""
    body = b'{"req":%b,"docs":%b}' % (request, array(documents))
    job = Job("view_filter" if view else "filter", source, body, modules)
    results = _counted(await engine.run(job), len(documents))
    return [result if isinstance(result, Thrown) else result is True for result in results]


async def validate(
    engine: Engine,
    source: str,
    modules: str,
    documents: Sequence[tuple[bytes, bytes]],
    user: bytes,
    security: bytes,
) -> list[Thrown | None]:
    """What a validation function threw for each pair of new and stored document, if it did."""
    pairs = array([b"[%b,%b]" % pair for pair in documents])
    body = b'{"docs":%b,"user":%b,"security":%b}' % (pairs, user, security)
    results = _counted(await engine.run(Job("validate", source, body, modules)), len(documents))
    return [result if isinstance(result, Thrown) else None for result in results]


async def update(
    engine: Engine, source: str, modules: str, document: bytes, request: bytes
) -> tuple[Any, Any] | Thrown:
    """The document and the answer that an update function returns."""
    body = b'{"doc":%b,"req":%b}' % (document, request)
    (result,) = _counted(await engine.run(Job("update", source, body, modules)), 1)
    if isinstance(result, Thrown):
        return result
    if not isinstance(result, list) or len(result) != 2:
        raise _wrong_results()
    return result[0], result[1]


def array(texts: Sequence[bytes]) -> bytes:
    """A JSON array of values that are JSON already."""
    return b"[%b]" % b",".join(texts)


def _counted(results: list[Any], count: int) -> list[Any]:
    if len(results) != count:
        raise _wrong_results()
    return results


def _wrong_results() -> JavaScriptError:
    return JavaScriptError("The function spoilt its own results.", limit=True)
