"""The client: a server, who asks, and what there is to ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Self

import httpx

from kompass.client.bulk import Operation, Outcome, as_json, outcome
from kompass.client.connection import PREFIX, Connection, Params, new_key, told
from kompass.client.documents import Resource
from kompass.client.names import Name


class Client:
    """Asks a server in somebody's name. Everything it does raises `ProblemError` and `UnreachableError`.

    For one thread at a time.
    """

    def __init__(
        self,
        server: str,
        *,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        language: str = "en",
        timeout: float = 60.0,
        patience: float = 90.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`server`: its address. Who asks: `user` and `password`, or a `token`. `language`: of refusals, `de`
        or `en`. `timeout`: seconds for an answer; `patience`: seconds in which a request is sent again where
        that is safe; a server that has been asked too much says to wait up to 60. `transport`: httpx's, for
        proxies and tests.
        """
        self._connection = Connection(
            server,
            user=user,
            password=password,
            token=token,
            language=language,
            timeout=timeout,
            patience=patience,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def resource(self, name: Name) -> Resource:
        """Documents of a type, as `customers`."""
        return Resource(self._connection, name)

    def session(self) -> Mapping[str, Any]:
        """Who asks, with which roles."""
        found: Mapping[str, Any] = self.get("/session")
        return found

    def bulk(self, operations: Sequence[Operation], *, key: str | None = None) -> Sequence[Outcome]:
        """Up to 100 operations in one request, done one after the other: one that can't be done stops no
        other.
        """
        body = {"operations": [as_json(one) for one in operations]}
        found = self.post("/bulk", body, key=key or new_key())
        return [outcome(one) for one in found["results"]]

    def search(self, text: str, **parameters: str | int) -> Iterator[Mapping[str, Any]]:
        """Hits of the full text; parameters as the server's `/search` has them."""
        found = self.get("/search", {"q": text, **parameters})
        yield from found["hits"]

    def get(self, path: str, params: Params | None = None) -> Any:
        """The JSON of any endpoint; `path` begins behind `/api/v1`."""
        return told(self._connection.ask("GET", PREFIX + path, params=params))

    def post(
        self, path: str, body: Any = None, *, params: Params | None = None, key: str | None = None
    ) -> Any:
        """Posts to any endpoint. Without a `key` it is sent again only after 429."""
        return self.send("POST", path, body, params=params, key=key)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Any:
        """The same with any method and headers."""
        answer = self._connection.ask(
            method, PREFIX + path, params=params, json=body, headers=headers, key=key
        )
        return told(answer)

    def stream(
        self,
        path: str,
        params: Params | None = None,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> AbstractContextManager[Iterator[bytes]]:
        """`with client.stream(…) as pieces:` reads what any endpoint answers piece by piece."""
        return self._connection.stream(method, PREFIX + path, params=params, headers=headers)

    def upload(
        self,
        method: str,
        path: str,
        content: bytes | Iterator[bytes],
        content_type: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Sends bytes to any endpoint."""
        given = {**(headers or {}), "content-type": content_type}
        answer = self._connection.ask(method, PREFIX + path, params=params, content=content, headers=given)
        return told(answer)

    def couchdb(self, method: str, path: str, body: Any = None, params: Params | None = None) -> Any:
        """The same server by CouchDB's protocol: `path` begins with a database."""
        return told(self._connection.ask(method, path, params=params, json=body))
