"""Serves the page's files, and PouchDB beside them.

PouchDB isn't part of this package: it comes from npm, where `./scripts/run` fetches it. Without it the page
says what to do.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

PREFIX = "/app"
POUCHDB = "/pouchdb.min.js"
STATIC = Path(__file__).parent / "static"

HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    # Ask each time; an unchanged file is answered 304.
    "cache-control": "no-cache",
}


def content_policy(token_endpoint: str | None) -> str:
    """Everything from here; pictures and files also from memory, where the page holds attachments.

    `token_endpoint` is the one address elsewhere that the page asks: for the token of a login.
    """
    connect = "'self'"
    if token_endpoint is not None:
        connect += " " + quote(token_endpoint, safe=":/%@[]!$&'()*+=~")  # `;` and `,` end a directive
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src {connect}; worker-src 'self'; "
        "manifest-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def find_pouchdb(configured: Path | None) -> Path | None:
    """PouchDB's browser build: where the settings say, else in the source tree's npm packages."""
    if configured is not None:
        return configured if configured.is_file() else None
    source_tree = Path(__file__).parent.parent.parent
    file = source_tree / "pwa-contract" / "node_modules" / "pouchdb" / "dist" / "pouchdb.min.js"
    return file if file.is_file() else None


class Page:
    """ASGI application for everything below `/app`."""

    def __init__(self, pouchdb: Path | None = None, *, token_endpoint: str | None = None) -> None:
        """`pouchdb`: the setting `pouchdb_file`; `token_endpoint`: see `content_policy`."""
        self._headers = {**HEADERS, "content-security-policy": content_policy(token_endpoint)}
        self._configured = pouchdb
        self._files = StaticFiles(directory=STATIC, html=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        path = scope["path"].removeprefix(PREFIX)
        if path == "":
            response = Response(status_code=308, headers={"location": f"{PREFIX}/"})
            await response(scope, receive, send_with_headers)
        elif path == POUCHDB:
            await self._pouchdb()(scope, receive, send_with_headers)
        else:
            inner = {**scope, "root_path": scope.get("root_path", "") + PREFIX}
            try:
                await self._files(inner, receive, send_with_headers)
            except HTTPException as error:
                response = PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)
                await response(scope, receive, send_with_headers)

    def _pouchdb(self) -> Response:
        # Looked up for every request: it may be installed while the server runs.
        file = find_pouchdb(self._configured)
        if file is None:
            return PlainTextResponse("PouchDB is not installed: run ./scripts/run\n", status_code=404)
        return FileResponse(file, media_type="text/javascript")
