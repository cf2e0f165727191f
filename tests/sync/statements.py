"""What is asked of database files."""

from __future__ import annotations

from typing import Any

import apsw
import pytest


class Statements:
    """Those of files that are opened from now on; `seen` may be cleared."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        monkeypatch.setattr(apsw, "connection_hooks", [*apsw.connection_hooks, self._watch])

    def _watch(self, connection: apsw.Connection) -> None:
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._note, id=self)

    def _note(self, event: dict[str, Any]) -> None:
        self.seen.append(event["sql"])
