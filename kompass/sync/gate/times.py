"""When the versions that are to be united were changed, as far as clocks can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kompass.domain.paths import ABSENT
from kompass.domain.stamps import Stamp, bounded, stamp
from kompass.domain.versions import equal
from kompass.sync.gate import records
from kompass.sync.gate.stored import Stored, members_of, members_today
from replication.protocol.revisions import parse_rev
from replication.store.sqlite import Reading
from replication.store.values import Document

_MOST = 50
"""Versions of the winner's line that are looked at, to find the one that changed a field."""


class Times:
    """For `kompass.domain.merging.merge`."""

    def __init__(
        self, reading: Reading, now: datetime, stored: Stored, base: Document | None, mine: Mapping[str, Any]
    ) -> None:
        """`mine` has arrived now."""
        self._reading = reading
        self._stored = stored
        self._base = base
        self._earliest = 0 if base is None else self._of(base, 0)
        self._mine = bounded(mine.get("modifiedAt"), self._earliest, stamp(now))
        self._line: list[tuple[Mapping[str, Any], Stamp]] | None = None
        self.latest = self._of(stored.document, self._earliest)
        """When the winner was made."""

    def mine(self, name: str) -> Stamp:
        return self._mine

    def theirs(self, name: str) -> Stamp:
        """When the winner's line gave a field the value it has."""
        if self._line is None:
            self._line = list(self._versions())
        stamp = self.latest
        for (body, made), (before, _) in zip(self._line, self._line[1:], strict=False):
            stamp = made
            if not equal(body.get(name, ABSENT), before.get(name, ABSENT)):
                break
        return stamp

    def _versions(self) -> list[tuple[Mapping[str, Any], Stamp]]:
        """From the winner back to the base, as far as the texts are stored."""
        found: list[tuple[Mapping[str, Any], Stamp]] = [(members_today(self._stored.document), self.latest)]
        end = None if self._base is None else parse_rev(self._base.rev)
        for rev in self._stored.path.revisions()[1:_MOST]:
            version = self._reading.revision(self._stored.document.id, rev)
            if version is None or version.deleted:
                break
            found.append((members_today(version), self._of(version, self._earliest)))
            if rev == end:
                break
        return found

    def _of(self, version: Document, earliest: Stamp) -> Stamp:
        body = members_of(version)
        record = records.of_revision(self._reading, version.id, parse_rev(version.rev))
        received = None if record is None else stamp(record.received)
        return bounded(body.get("modifiedAt"), earliest, received)
