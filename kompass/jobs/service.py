"""The server, as the service that does jobs knows it: over HTTP, with its own secret.

It reads documents, asks what a person may read, and writes the few kinds of documents that jobs make. What
it may write is decided there (`kompass/access/services.py`), not here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from kompass.answers import Again, again
from kompass.jobs.outcomes import LaterError, NeverError
from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError

FRESH_SECONDS = 1.0
"""How long what was asked of a webhook is believed."""

_TIMEOUT = httpx.Timeout(20, connect=5)
_API = "/api/v1/jobs/service"
_PROBLEM = "application/problem+json"
_GONE = {"missing", "deleted"}
"""What a 404 of the database says of a document. Another is of the database itself, which may come back."""


class ServerUnavailableError(Exception):
    """It can't be reached, or not now, whatever is asked. The text is for people."""


class RefusedError(Exception):
    """It will not have it so. The text says why, and quotes no document."""


@dataclass(frozen=True, slots=True)
class View:
    """What somebody may read."""

    active: bool
    email: str
    name: str
    """As he is called."""
    documents: Mapping[str, Mapping[str, Any]]
    """Of those asked for, by id."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A webhook as it is now."""

    url: str
    secret: str
    fields: Sequence[str]
    person: str


class Server:
    """One connection. Blocking. Everything raises `ServerUnavailableError` as long as it isn't up to it;
    `LaterError` if this question was turned away or failed, and that may be mended; `NeverError` if it always
    will be.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        database: str = "kompass",
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`transport`: for tests."""
        self._database = database
        self._receivers: dict[str, tuple[float, Receiver | None]] = {}
        self._client = httpx.Client(
            base_url=url.rstrip("/"),
            headers={"authorization": f"Bearer {secret}", "accept": "application/json"},
            timeout=_TIMEOUT,
            transport=transport,
        )

    def close(self) -> None:
        self._client.close()

    def document(self, docid: str) -> Mapping[str, Any] | None:
        """The document as it is now, whole; None if there is none."""
        answer = self._ask("GET", f"/{self._database}/{quote(docid, safe='')}")
        if answer.status_code == 404 and (why := _members(answer)).get("error") == "not_found":
            if why.get("reason") in _GONE:
                return None
            raise LaterError(f"the server answers 404: {_detail(answer)}")
        found = self._value(answer)
        if not isinstance(found, dict) or found.get("_id") != docid:
            raise LaterError("the server's answer is no document: something else answers")
        return found

    def view(self, person: str, docids: Sequence[str]) -> View | None:
        """None if there is no such person."""
        answer = self._ask("POST", f"{_API}/view", {"person": person, "ids": list(docids)})
        if _absent(answer):
            return None
        found = self._value(answer)
        return View(found["active"], found["email"], found["name"], found["documents"])

    def people(self, role: str) -> list[str]:
        """Names of the active ones that have it."""
        found = self._value(self._ask("GET", f"{_API}/people", role=role))
        return [str(one) for one in found["people"]]

    def receiver(self, name: str) -> Receiver | None:
        """None if there is no such webhook, or it is switched off; as it was a second ago."""
        now = time.monotonic()
        at, known = self._receivers.get(name, (-FRESH_SECONDS, None))
        if now - at < FRESH_SECONDS:
            return known
        answer = self._ask("GET", f"{_API}/webhooks/{quote(name, safe='')}")
        receiver = None
        if not _absent(answer):
            found = self._value(answer)
            receiver = Receiver(found["url"], found["secret"], found["fields"], found["person"])
        self._receivers[name] = now, receiver
        return receiver

    def write(self, docid: str, body: Mapping[str, Any]) -> bool:
        """False if it was there already. Raises `RefusedError`."""
        answer = self._ask("PUT", f"{_API}/documents/{quote(docid, safe='')}", body)
        if answer.status_code in (403, 422) and _is_problem(answer):
            raise RefusedError(_detail(answer))
        if self._value(answer) != {}:
            raise LaterError("the server doesn't say that it is written: something else answers")
        return answer.status_code == 201

    def _ask(self, method: str, path: str, body: object = None, **query: str) -> httpx.Response:
        content = None if body is None else jsontext.encode(body)
        headers = {} if body is None else {"content-type": "application/json"}
        try:
            return self._client.request(method, path, content=content, headers=headers, params=query or None)
        except httpx.HTTPError as error:
            raise ServerUnavailableError(f"the server can't be reached: {type(error).__name__}") from error

    def _value(self, answer: httpx.Response) -> Any:
        if not answer.is_success:
            said = f"the server answers {answer.status_code}: {_detail(answer) or 'no reason'}"
            match again(answer.status_code):
                case Again.LATER:
                    raise ServerUnavailableError(said)
                case Again.MENDED:
                    raise LaterError(said)
                case Again.NEVER:
                    raise NeverError(said)
        try:
            return jsontext.decode(answer.content)
        except ProtocolError as error:
            raise LaterError("the server's answer is no JSON: something else answers") from error


def _absent(answer: httpx.Response) -> bool:
    """Whether the API says that there is none; something in between that knows no such way doesn't."""
    return answer.status_code == 404 and _is_problem(answer)


def _is_problem(answer: httpx.Response) -> bool:
    """Whether the API itself says no, and why."""
    return answer.headers.get("content-type", "").startswith(_PROBLEM) and bool(_detail(answer))


def _detail(answer: httpx.Response) -> str:
    value = _members(answer)
    return str(value.get("detail") or value.get("reason") or "")[:300]


def _members(answer: httpx.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
