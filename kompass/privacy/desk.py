"""Which erasures and withdrawals aren't through everywhere, and why: for people, alarms and figures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from kompass.privacy import enrolments
from kompass.texts import Text
from replication.store.sqlite import Reading, SqliteDatabase

FILE = "kompass-erasures-open.json"
LATE = timedelta(hours=1)
"""After that something is said of a ticket that waits."""


class Hindrance:
    """Why consumers can't work off tickets at the moment, as they tell themselves. Methods block, and raise
    `OSError`.
    """

    def __init__(self, text: Text) -> None:
        self._text = text

    def why(self) -> dict[str, str]:
        """By consumer."""
        content = self._text.read()
        value: dict[str, str] = orjson.loads(content) if content else {}
        return value

    def tell(self, consumer: str, why: str | None) -> bool:
        """None when nothing is in the way. False if that is what was told before."""
        before = self.why()
        after = {name: text for name, text in before.items() if name != consumer}
        if why is not None:
            after[consumer] = why
        if after == before:
            return False
        self._text.replace(orjson.dumps(after))
        return True


class ErasureDesk:
    """Methods block; they raise `ProtocolError`, 503, without a database, and `OSError`."""

    def __init__(self, database: Callable[[], SqliteDatabase], hindrance: Hindrance) -> None:
        """`database` is the operational one, as it is there now."""
        self._database = database
        self.hindrance = hindrance

    def notes(self) -> list[str]:
        """What is wrong and keeps nobody from working. Anybody may read them."""
        with self._database().reading() as reading:
            return notes(reading, self.hindrance.why())

    def figures(self) -> list[str]:
        """For Prometheus."""
        with self._database().reading() as reading:
            return list(figures(reading))


def notes(reading: Reading, hindered: Collection[str], now: datetime | None = None) -> list[str]:
    """Of consumers that are `hindered`, or late; whom it is about isn't said."""
    now = datetime.now(UTC) if now is None else now
    told = []
    for one in enrolments.listed(reading):
        _, oldest = enrolments.waiting(reading, one)
        if oldest is not None and (one.name in hindered or now - oldest > LATE):
            since = oldest.isoformat(timespec="minutes")
            told.append(
                f"Erasures aren't through in {one.name} since {since}: kompass privacy tickets tells why."
            )
    return told


def figures(reading: Reading, now: datetime | None = None) -> Iterator[str]:
    """For Prometheus; nothing as long as nobody is enrolled."""
    now = datetime.now(UTC) if now is None else now
    standing: list[tuple[str, Any]] = [
        (one.name, enrolments.waiting(reading, one)) for one in enrolments.listed(reading)
    ]
    if not standing:
        return
    yield "# HELP kompass_privacy_open_tickets erasures and withdrawals that a consumer hasn't confirmed"
    yield "# TYPE kompass_privacy_open_tickets gauge"
    for name, (count, _) in standing:
        yield f'kompass_privacy_open_tickets{{consumer="{name}"}} {count}'
    yield "# HELP kompass_privacy_oldest_ticket_seconds how long the oldest of them waits"
    yield "# TYPE kompass_privacy_oldest_ticket_seconds gauge"
    for name, (_, oldest) in standing:
        seconds = 0.0 if oldest is None else (now - oldest).total_seconds()
        yield f'kompass_privacy_oldest_ticket_seconds{{consumer="{name}"}} {seconds:.0f}'
