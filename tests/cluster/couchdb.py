"""The CouchDB of a cluster: the one that KOMPASS_TEST_COUCHDB_URL names, or else the one of this project."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx

from tests.needs import COUCHDB_URL
from tests.servers import running_server


class CouchdbPlace:
    """Room in it: databases with a prefix of their own, and a service user."""

    def __init__(self, admin: str) -> None:
        """`admin`: its address with the login of an administrator."""
        self.admin = admin
        self._parts = urlsplit(admin)
        self.prefix = f"t{secrets.token_hex(4)}-"
        self.service = f"svc{secrets.token_hex(4)}"

        self.login = (self.service, "geheim-1234")
        """Of the service user."""
        at = f"{self._parts.hostname}:{self._parts.port}"
        self.origin = f"http://{at}"
        self.url = f"http://{':'.join(self.login)}@{at}"
        """With that login."""

    @property
    def environment(self) -> dict[str, str]:
        """What the processes and `kompass init` are told of it."""
        return {
            "KOMPASS_COUCHDB_URL": self.url,
            "KOMPASS_COUCHDB_PREFIX": self.prefix,
            "KOMPASS_COUCHDB_ADMIN": f"{self._parts.username}:{self._parts.password}",
        }

    def client(self) -> httpx.Client:
        """As the administrator."""
        return httpx.Client(base_url=self.admin, timeout=30)

    def database(self, name: str = "kompass") -> str:
        """Its path."""
        return "/" + quote(self.prefix + name, safe="")

    def clean(self) -> None:
        with self.client() as client:
            for name in client.get("/_all_dbs").json():
                if name.startswith(self.prefix):
                    client.delete("/" + quote(name, safe=""))
            user = f"/_users/org.couchdb.user:{self.service}"
            if (found := client.get(user)).status_code == 200:
                client.delete(user, params={"rev": found.json()["_rev"]})


@contextmanager
def couchdb(directory: Path) -> Iterator[str]:
    """The address, with an administrator's login. `directory`: for the data of our own."""
    if COUCHDB_URL:
        yield COUCHDB_URL
        return
    with running_server(directory) as server:
        yield server.url


@contextmanager
def couchdb_place(directory: Path) -> Iterator[CouchdbPlace]:
    """As `couchdb`, with room in it that is given back."""
    with couchdb(directory) as url:
        place = CouchdbPlace(url)
        try:
            yield place
        finally:
            place.clean()
