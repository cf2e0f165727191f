"""The product as one ASGI application: its own paths, and the document server for everything else.

A table decides by the first segment of the path. Those segments are no names for databases, so that no
document can ever be hidden by one of them.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import orjson
import structlog
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kompass.app import Page
from kompass.demo import load as demo
from kompass.settings import Settings
from replication.http import Application, ServerConfig, create_app
from replication.replicator.hosts import LOOPBACK
from replication.store.interface import Store

DATABASE = "kompass"
"""The operational database."""

SECURITY = orjson.dumps(
    {
        "admins": {"names": [], "roles": ["_admin"]},
        "members": {"names": [], "roles": ["ADM", "INNEN", "PLAN", "KALK", "BUCH", "GF", "ADMIN"]},
    }
)
"""Who may use it: everybody with a role of the business."""

log = structlog.get_logger(__name__)


class Product:
    """Routes between the product's own paths and the document server, and owns the latter's lifetime."""

    def __init__(self, documents: Application, page: ASGIApp) -> None:
        self.documents = documents
        self._own: dict[bytes, ASGIApp] = {
            b"app": page,
            b"api": _problem(404, "There is no such resource."),
            b"metrics": _problem(404, "There are no metrics yet."),
            b"healthz": JSONResponse({"status": "ok"}),
            b"readyz": self._ready,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            # From the raw path: decoded, `a%2Fb` and `a/b` would look the same.
            segment = scope["raw_path"].lstrip(b"/").partition(b"/")[0]
            own = self._own.get(unquote_to_bytes(segment))
            if own is not None:
                await own(scope, receive, send)
                return
        await self.documents(scope, receive, send)

    async def _ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """200 when documents can be read, 503 with the reason when not."""
        try:
            info = await self.documents.server.store.get(DATABASE).info()
            response = JSONResponse({"status": "ready", "documents": info.doc_count})
        except Exception as error:
            log.exception("not ready")
            response = JSONResponse({"status": "not ready", "reason": str(error)}, status_code=503)
        await response(scope, receive, send)


def _problem(status: int, detail: str) -> ASGIApp:
    """An answer by RFC 9457."""
    body = orjson.dumps({"type": "about:blank", "title": "Not Found", "status": status, "detail": detail})
    return Response(body, status_code=status, media_type="application/problem+json")


async def create_product(store: Store, settings: Settings) -> Product:
    """The application with its database, and with the demo's users and documents if they were asked for.

    Raises `demo.RealDataError` when demo and real data would meet.
    """
    admins = demo.ADMINS if settings.demo else settings.admins
    config = ServerConfig(
        admins=admins,
        cors_origins=settings.cors_origins,
        session_timeout=settings.session_timeout,
        access_log=settings.log_requests,
        replication_hosts=(*LOOPBACK, *settings.replication_hosts),
        replication_proxies=settings.replication_proxies,
    )
    documents = create_app(store, config)
    await documents.server.prepare()
    await demo.check_kind(store, DATABASE, demo_wanted=settings.demo)
    if settings.demo:
        await demo.load(documents, DATABASE, SECURITY, settings.demo_size)
    else:
        await _create_database(store)
    return Product(documents, Page(settings.pouchdb_file))


async def _create_database(store: Store) -> None:
    if DATABASE not in await store.names():
        await store.create(DATABASE, security=SECURITY)
