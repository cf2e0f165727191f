"""Requests and answers: who asks, what is asked again, and refusals as exceptions."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

import httpx

from kompass.client.errors import ProblemError, UnreachableError

PREFIX = "/api/v1"

Params = Mapping[str, str | int | bool]

_READING = frozenset({"GET", "HEAD"})
_FIRST_PAUSE = 0.5


class Connection:
    """A server, and who asks there. For one thread at a time.

    A request is sent again after 429, and, if it reads or has an idempotency key, after 503, when the
    connection is lost, and while it is still being worked on; for as long as `patience` says. A server that
    was never reached isn't waited for.
    """

    def __init__(
        self,
        server: str,
        *,
        user: str | None,
        password: str | None,
        token: str | None,
        language: str,
        timeout: float,
        patience: float,
        transport: httpx.BaseTransport | None,
    ) -> None:
        """Raises `UnreachableError` for what is no address."""
        headers = {"accept-language": language}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        auth = None if user is None else (user, password or "")
        try:
            self._http = httpx.Client(
                base_url=server.rstrip("/"), auth=auth, headers=headers, timeout=timeout, transport=transport
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise UnreachableError(f"{server} can't be reached: {error}") from None
        self._server = server
        self._patience = patience
        self._was_reached = False

    def close(self) -> None:
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: Any = None,
        content: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> httpx.Response:
        """The answer to a request below the server's address. `key`: under which it is done once, however
        often it is sent. Raises `ProblemError` and `UnreachableError`.
        """
        given = dict(headers or {})
        if key is not None:
            given["idempotency-key"] = f'"{key}"'
        again = content is None or isinstance(content, bytes)
        return _checked(
            self._answer(
                lambda: self._http.build_request(
                    method, path, params=params, json=json, content=content, headers=given
                ),
                again=again,
                harmless=again and (method in _READING or key is not None),
            )
        )

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """Reads piece by piece. Raises as `ask` does, also while it is read: then nothing is asked again."""
        answer = self._answer(
            lambda: self._http.build_request(method, path, params=params, headers=headers),
            harmless=method in _READING,
            stream=True,
        )
        try:
            if not answer.is_success:
                answer.read()
                _checked(answer)
            yield answer.iter_bytes()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None
        finally:
            answer.close()

    def _answer(
        self,
        made: Callable[[], httpx.Request],
        *,
        again: bool = True,
        harmless: bool = True,
        stream: bool = False,
    ) -> httpx.Response:
        """The last answer to a request. `again`: it can be sent once more; `harmless`: though it may have
        been done.
        """
        ends = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while True:
            try:
                answer = self._http.send(made(), stream=stream)
            except httpx.InvalidURL as error:
                raise self._unreachable(error) from None
            except httpx.HTTPError as error:
                lost = isinstance(error, httpx.TransportError) and self._was_reached
                if not (lost and harmless and time.monotonic() + pause < ends):
                    raise self._unreachable(error) from None
                wait = pause
            else:
                self._was_reached = True
                repeated = again if answer.status_code == 429 else harmless and _is_passing(answer)
                wait = _retry_after(answer, pause)
                if not repeated or time.monotonic() + wait > ends:
                    return answer
                answer.close()
            time.sleep(wait * random.uniform(1.0, 1.2))  # noqa: S311 - so that not all come at once
            pause = min(2 * pause, 10.0)

    def _unreachable(self, error: Exception) -> UnreachableError:
        return UnreachableError(f"{self._server} can't be reached: {error}")


def new_key() -> str:
    """An idempotency key that nobody has used."""
    return str(uuid4())


def told(answer: httpx.Response) -> Any:
    """An answer's JSON; None for one without a body. Raises `UnreachableError` for one that is none."""
    try:
        return answer.json() if answer.content else None
    except ValueError:
        raise UnreachableError(
            f"{answer.url} answers {answer.status_code}, and not as KOMPASS does"
        ) from None


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success or answer.status_code == 304:
        return answer
    members = told(answer)
    raise ProblemError(answer.status_code, members if isinstance(members, dict) else {})


def _is_passing(answer: httpx.Response) -> bool:
    """Whether the same will be answered otherwise soon: the server can't now, or works on it still since the
    connection was lost.
    """
    return answer.status_code == 503 or (answer.status_code == 409 and "retry-after" in answer.headers)


def _retry_after(answer: httpx.Response, otherwise: float) -> float:
    """Seconds to wait, as the server says."""
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), 3600))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return otherwise
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
