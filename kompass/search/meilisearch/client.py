"""The few requests of MeiliSearch's API (1.50) that an index needs.

What changes something is a task there: it is waited for, and has happened or not when a call returns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx

TIMEOUT = httpx.Timeout(10.0, read=60.0)
SHORTEST_WAIT, LONGEST_WAIT = 0.005, 0.25
LONGEST_TASK = 600.0
"""Seconds that a task may take."""


class MeiliError(Exception):
    """An answer that is no success. The text says what was asked and what was answered."""

    def __init__(self, said: str, *, code: str = "", kind: str = "", status: int = 0) -> None:
        """`code` and `kind` as MeiliSearch names them: `index_not_found`, `invalid_request`. `status` of the
        answer, if there was one."""
        super().__init__(said)
        self.status = status
        self.code = code
        self.kind = kind


class MeiliClient:
    def __init__(self, url: str, key: str = "") -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT)

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, method: str, path: str, body: Any = None, **query: str | int) -> Any:
        """The answer's JSON. Raises `MeiliError`, also where nobody answers."""
        try:
            answer = await self._http.request(method, path, json=body, params=query or None)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise MeiliError(
                f"MeiliSearch at {self._http.base_url} can't be reached: {type(error).__name__} {error}"
            ) from error
        try:
            value = answer.json() if answer.content else {}
        except ValueError:
            value = {}
        if answer.is_success:
            return value
        told = value if isinstance(value, dict) else {}
        raise MeiliError(
            f"MeiliSearch answers {answer.status_code} to {method} {path}: {told.get('message', '')}",
            code=str(told.get("code", "")),
            kind=str(told.get("type", "")),
            status=answer.status_code,
        )

    async def found(self, method: str, path: str, **query: str | int) -> Any | None:
        """The same; None for what isn't there."""
        try:
            return await self.ask(method, path, **query)
        except MeiliError as error:
            if error.code in ("index_not_found", "document_not_found"):
                return None
            raise

    async def do(self, method: str, path: str, body: Any = None, **query: str | int) -> None:
        """A change, waited for. Raises `MeiliError` if the task has failed or was cancelled."""
        summary = await self.ask(method, path, body, **query)
        await self._done(int(summary["taskUid"]), f"{method} {path}")

    async def settled(self, *indexes: str) -> None:
        """Waits for what others have ordered of these indexes, as somebody who was killed."""
        names = ",".join(indexes)
        for pause in _pauses(f"tasks of {names}"):
            page = await self.ask("GET", "/tasks", indexUids=names, statuses="enqueued,processing", limit=1)
            if not page["results"]:
                return
            await asyncio.sleep(pause)

    async def _done(self, task: int, what: str) -> None:
        for pause in _pauses(what):
            state = await self.ask("GET", f"/tasks/{task}")
            if state["status"] == "succeeded":
                return
            if state["status"] in ("failed", "canceled"):
                error = state.get("error") or {}
                raise MeiliError(
                    f"MeiliSearch's task {task} ({what}) {state['status']}: {error.get('message', '')}",
                    code=str(error.get("code", "")),
                    kind=str(error.get("type", "")),
                )
            await asyncio.sleep(pause)


def _pauses(what: str) -> Iterator[float]:
    """Seconds to wait, ever longer; `MeiliError` when that has become too long."""
    until = time.monotonic() + LONGEST_TASK
    wait = SHORTEST_WAIT
    while time.monotonic() <= until:
        yield wait
        wait = min(2 * wait, LONGEST_WAIT)
    raise MeiliError(f"MeiliSearch has not done {what} within {LONGEST_TASK:.0f} seconds")


def index_path(index: str, *parts: str) -> str:
    return "/".join(("/indexes", quote(index, safe=""), *(quote(part, safe="") for part in parts)))
