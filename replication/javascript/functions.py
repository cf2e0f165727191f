"""The functions of design documents, called with Python's values.

Each of these makes jobs of the engine, as many as it takes, on behalf of `owner`, the database whose
function it is. What comes back is checked: a function can do what it likes with its results, but only to
itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from replication.javascript.engine import Engine, JavaScriptError, Job, Thrown

__all__ = [
    "Emitted", "JavaScriptError", "Thrown", "array", "check", "filter_documents", "map_documents", "reduce",
    "update", "validate",
]  # fmt: skip


JOB_SIZE = 4 << 20
"""Bytes of items after which a job takes no more."""


class Emitted(NamedTuple):
    key: Any
    value: Any


async def check(engine: Engine, owner: str, source: str, modules: str = "") -> None:
    """Compiles a function. Raises `JavaScriptError` if it is none."""
    await engine.run(Job(owner, "compile", source, modules=modules))


async def map_documents(
    engine: Engine, owner: str, source: str, modules: str, documents: Sequence[bytes]
) -> list[list[Emitted] | Thrown]:
    """What a map function emits for each document, or what it threw.

    When that takes long or is a lot, only for the first ones, at least for one.
    """
    results = await engine.run(Job(owner, "map", source, _first(documents, 0), modules=modules))
    return [result if isinstance(result, Thrown) else _emitted(result) for result in results]


def _emitted(result: Any) -> list[Emitted]:
    if not isinstance(result, list):
        raise _wrong_results()
    try:
        return [Emitted(key, value) for key, value in result]
    except (TypeError, ValueError):
        raise _wrong_results() from None


async def reduce(
    engine: Engine, owner: str, source: str, modules: str, groups: Sequence[bytes]
) -> AsyncIterator[Any]:
    """What a reduce function makes of each group: JSON of `[keys, values]`, keys null for a rereduce."""
    job = Job(owner, "reduce", source, groups, modules=modules)
    async for results in _results(engine, job):
        for result in results:
            yield result


async def filter_documents(
    engine: Engine,
    owner: str,
    source: str,
    modules: str,
    request: bytes,
    documents: Sequence[bytes],
    *,
    view: bool = False,
) -> list[bool | Thrown]:
    """Which documents pass a filter; with `view`, for which a map function emits anything."""
    shared = (b'{"req":%b}' % request).decode("utf-8")
    job = Job(owner, "view_filter" if view else "filter", source, documents, shared, modules)
    return [
        result if isinstance(result, Thrown) else result is True
        async for results in _results(engine, job)
        for result in results
    ]


async def validate(
    engine: Engine,
    owner: str,
    source: str,
    modules: str,
    documents: Sequence[tuple[bytes, bytes]],
    user: bytes,
    security: bytes,
) -> list[Thrown | None]:
    """What a validation function threw for each pair of new and stored document, if it did."""
    shared = (b'{"user":%b,"security":%b}' % (user, security)).decode("utf-8")
    job = Job(owner, "validate", source, [b"[%b,%b]" % pair for pair in documents], shared, modules)
    verdicts: list[Thrown | None] = []
    async for results in _results(engine, job):
        for result in results:
            if result is not None and not isinstance(result, Thrown):
                raise _wrong_results()
            verdicts.append(result)
    return verdicts


async def update(
    engine: Engine, owner: str, source: str, modules: str, document: bytes, request: bytes
) -> tuple[Any, Any] | Thrown:
    """The document and the answer that an update function returns."""
    item = b'{"doc":%b,"req":%b}' % (document, request)
    (result,) = await engine.run(Job(owner, "update", source, [item], modules=modules))
    if isinstance(result, Thrown):
        return result
    if not isinstance(result, list) or len(result) != 2:
        raise _wrong_results()
    return result[0], result[1]


async def _results(engine: Engine, job: Job) -> AsyncIterator[list[Any]]:
    """The results of a job's items, of some at a time: one job after the other."""
    done = 0
    while done < len(job.items):
        results = await engine.run(replace(job, items=_first(job.items, done)))
        done += len(results)
        yield results


def _first(items: Sequence[bytes], start: int) -> Sequence[bytes]:
    """As many items from `start` on as fit into one job, at least one."""
    size = 0
    for end in range(start, len(items)):
        size += len(items[end])
        if size > JOB_SIZE:
            return items[start : max(end, start + 1)]
    return items[start:]


def array(texts: Sequence[bytes]) -> bytes:
    """A JSON array of values that are JSON already."""
    return b"[%b]" % b",".join(texts)


def _wrong_results() -> JavaScriptError:
    return JavaScriptError("The function spoilt its own results.", limit=True)
