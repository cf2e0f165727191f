"""Whether CouchDB still lets in the service user alone, and whether nobody else writes."""

from __future__ import annotations

from typing import Any

from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX
from replication.replicator.connection import document_path
from replication.store.couchdb.client import Client, database_path
from replication.store.couchdb.reading import HIDDEN
from replication.store.couchdb.setup import inside, validation

ADVICE = "Look who did it, then run `kompass init`."


class Guard:
    """Of one database."""

    def __init__(self, client: Client, database: str, service: str) -> None:
        """`client` logs in as the service user, `service`; `database`: what it is called there."""
        self._client = client
        self._path = database_path(database)
        self._service = service

    async def look(self) -> list[str]:
        """What isn't as `kompass init` left it, for people. Raises `ProtocolError`."""
        return [*await self._security(), *await self._designs()]

    async def _security(self) -> list[str]:
        present = await self._client.ask("GET", f"{self._path}/_security")
        wanted = inside(self._service)
        return [
            f"its `_security` lets in others as {who}"
            for who in ("admins", "members")
            if not isinstance(present, dict) or _said(present.get(who)) != _said(wanted)
        ]

    async def _designs(self) -> list[str]:
        """A validation function of somebody else's refuses what was committed here."""
        found = await self._client.ask(
            "GET",
            f"{self._path}/_all_docs",
            query={"startkey": f'"{DESIGN_PREFIX}"', "endkey": f'"{DESIGN_PREFIX}\\ufff0"'},
        )
        names = {row["id"] for row in found["rows"]}
        wrong = []
        if HIDDEN not in names or await self._function(HIDDEN) != validation(self._service):
            wrong.append("its validation function isn't ours: others may write")
        wrong += [
            f"{name} has a validation function, which may refuse what was committed here"
            for name in sorted(names - {HIDDEN})
            if await self._function(name) is not None
        ]
        return wrong

    async def _function(self, name: str) -> Any:
        try:
            found = await self._client.ask("GET", self._path + document_path(name))
        except ProtocolError as error:
            if error.status != 404:
                raise
            return None
        return found.get("validate_doc_update")


def _said(section: Any) -> Any:
    """Whom a part of `_security` lets in; no names and no roles mean everybody."""
    if not isinstance(section, dict):
        return None
    return {key: section.get(key) or [] for key in ("names", "roles")}
