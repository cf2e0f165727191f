"""What stands before a MeiliSearch, so that one that works can fail for a test."""

from __future__ import annotations

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

DISK_FULL = {"message": "No space left on device", "code": "internal", "type": "internal", "link": ""}


class Outage:
    """Passes everything on to a server; as long as `broken` it answers as one that can't work."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.broken = False
        self._http = http
        """At the server's address."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = JSONResponse(DISK_FULL, 503) if self.broken else await self._passed_on(request)
        await response(scope, receive, send)

    async def _passed_on(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode()
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        answer = await self._http.request(
            request.method,
            f"{path}?{request.url.query}" if request.url.query else path,
            content=await request.body(),
            headers=headers,
        )
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))


_PASSED_ON = ("authorization", "content-type")
