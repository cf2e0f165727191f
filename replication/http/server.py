"""What all handlers share: the store and how the server is set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from replication.http.call import Call
from replication.store.interface import Database, Store


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Settings of the HTTP side. Times in seconds."""

    admins: Mapping[str, str] = field(default_factory=dict)
    """Server administrators: name to plain or hashed password."""
    require_valid_user: bool = False
    """Refuse requests without a login, but for `/`, `/_up` and `/_session`."""
    session_timeout: int = 600
    cors_origins: tuple[str, ...] = ()
    """Origins that browsers may call from; `*` for any."""
    cors_credentials: bool = True
    access_log: bool = True
    max_feed_seconds: int = 3600
    """A live feed is ended after this time; clients reconnect by themselves."""
    gzip_responses: bool = True
    gzip_minimum: int = 1000
    """Smallest response in bytes that is compressed."""


@dataclass(slots=True)
class Server:
    store: Store
    config: ServerConfig

    def database(self, call: Call, name: str) -> Database:
        """The database `name` as this caller may use it. Raises `database_missing`."""
        return self.store.get(name)
