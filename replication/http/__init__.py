"""The HTTP side: `create_app` makes an ASGI application of a store."""

from replication.http.app import Application, create_app
from replication.http.server import Server, ServerConfig

__all__ = ["Application", "Server", "ServerConfig", "create_app"]
