"""How the exchange is: for people, for alarms, for figures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import structlog

from kompass.access.principals import Role
from kompass.access.services import AUTHOR
from kompass.domain.keys import ROLE
from kompass.domain.stamps import timestamp
from kompass.jobs.schedules import Schedule, previous
from kompass.lexware import arrivals, errors, mirroring, reconciling, runs
from kompass.lexware.ledger import ledger
from kompass.lexware.polling import POLLED
from kompass.lexware.runs import State
from kompass.lexware.store import LexwareStore
from kompass.settings import Settings
from kompass.settings_values import NEVER
from kompass.sync.gate.gate import Gate
from replication.protocol.errors import ProtocolError

DAY = 86_400.0
LATE = 12 * 3600.0
"""Seconds for which what is due by the clock may be undone."""
MOST_WRONG = 0.05
"""Share of the rows of a day that may be wrong."""
COUNT_GAP = 5
SUM_GAP = Decimal(100)
_NAMESPACE = uuid5(NAMESPACE_URL, "urn:kompass:lexware:alert")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that somebody should look at."""

    name: str
    said: str
    gesagt: str


def status(store: LexwareStore | None) -> dict[str, Any]:
    """Blocks. `alerts` are true now, with the time from which on they are."""
    if store is None:
        return {
            "export": None, "imported": None, "undelivered": 0, "why": "", "openErrors": 0,
            "openDocuments": 0, "skipped": [], "alerts": [],
        }  # fmt: skip
    waiting = runs.undelivered(store)
    came = arrivals.listed(store, limit=1)
    noted = store.noted("alerts")
    return {
        "export": _last_export(store),
        "imported": None if not came else {"name": came[0].name, "at": came[0].at, "state": came[0].state},
        "undelivered": len(waiting),
        "why": waiting[0].error if waiting else "",
        "openErrors": errors.count_open(store),
        "openDocuments": mirroring.count_open(store),
        "skipped": _skipped(store),
        "alerts": [] if noted is None else list(noted[1]["alerts"].values()),
    }


def _last_export(store: LexwareStore) -> dict[str, Any] | None:
    for one in runs.listed(store, limit=20):
        if one.state in (State.DELIVERED, State.NOTHING):
            return {"run": one.num, "kind": one.kind.value, "at": one.at, "rows": one.rows}
    return None


async def look(store: LexwareStore, settings: Settings, gate: Gate, now: float) -> list[Alert]:
    """Which alerts there are, noted; whoever has to know of a new one is notified."""
    found = await asyncio.to_thread(_found, store, settings, now)
    found += await _gaps(store, gate)
    before = await asyncio.to_thread(store.noted, "alerts")
    known = {} if before is None else before[1]["alerts"]
    told = {one.name: {**asdict(one), "since": known.get(one.name, {}).get("since", now)} for one in found}
    for one in found:
        if one.name not in known:
            log.warning("the exchange with Lexware needs somebody", alert=one.name, why=one.said)
            await _notify(gate, one)
    if told or known:
        await asyncio.to_thread(store.note, "alerts", {"alerts": told})
    return found


def _found(store: LexwareStore, settings: Settings, now: float) -> list[Alert]:
    return [*_errors(store, now), *_late(store, settings, now), *_undelivered(store), *_left(store)]


def _errors(store: LexwareStore, now: float) -> Iterator[Alert]:
    ((rows, wrong),) = store.rows(
        "SELECT coalesce(sum(rows), 0), coalesce(sum(wrong), 0) FROM arrivals WHERE at > ?", (now - DAY,)
    )
    if rows and wrong / rows > MOST_WRONG:
        percent = round(100 * wrong / rows)
        yield Alert(
            "errors",
            f"{wrong} of {rows} rows from Lexware ({percent} %) didn't fit within a day.",
            f"{wrong} von {rows} Zeilen aus Lexware ({percent} %) passten binnen eines Tages nicht.",
        )


def _late(store: LexwareStore, settings: Settings, now: float) -> Iterator[Alert]:
    """What was due by the clock twelve hours ago and isn't done."""
    plans = [("export", settings.lexware_export)]
    if settings.lexware_directory is not None:
        plans.append(("import", settings.lexware_import))
    elif settings.lexware_sftp is None:
        return
    for name, cron in plans:
        noted = store.noted(f"schedule.{name}")
        if cron == NEVER or noted is None:
            continue
        try:
            due = previous(Schedule(name, cron), now - LATE)
        except ImportError:
            return
        if noted[1]["at"] < due:
            yield Alert(
                f"no {name}",
                f"No {name} with Lexware for more than twelve hours after it was due.",
                f"Seit über zwölf Stunden kein fälliger {'Export' if name == 'export' else 'Import'}"
                " mit Lexware.",
            )


def _undelivered(store: LexwareStore) -> Iterator[Alert]:
    stuck = [one for one in runs.undelivered(store) if one.attempts >= len(mirroring.DELAYS) + 1]
    if stuck:
        yield Alert(
            "undelivered",
            f"{len(stuck)} files for Lexware can't be delivered: {stuck[0].error}",
            f"{len(stuck)} Dateien für Lexware lassen sich nicht zustellen: {stuck[0].error}",
        )


def _left(store: LexwareStore) -> Iterator[Alert]:
    count = len(_skipped(store))
    if count:
        yield Alert(
            "not taken",
            f"{count} files in the folder for imports can't be taken: kompass lexware status tells why.",
            f"{count} Dateien im Ordner für Importe lassen sich nicht übernehmen: kompass lexware status"
            " sagt, warum.",
        )


def _skipped(store: LexwareStore) -> list[dict[str, str]]:
    noted = store.noted(POLLED)
    return [] if noted is None else list(noted[1]["skipped"])


async def _gaps(store: LexwareStore, gate: Gate) -> list[Alert]:
    """Of this month and the last one, as far as Lexware has sent invoices of them."""
    today = gate.now().date()
    months = [f"{today:%Y-%m}", f"{today.replace(day=1) - timedelta(days=1):%Y-%m}"]
    heard = await asyncio.to_thread(reconciling.heard_of, store, months)
    if not heard:
        return []
    books = await ledger(gate.database)
    found = []
    for month in heard:
        one = await asyncio.to_thread(reconciling.compare, store, books, month)
        if one.count_gap > COUNT_GAP:
            found.append(
                Alert(
                    f"count {month}",
                    f"{month}: {one.lexware.invoices} invoices in Lexware, {one.documents.invoices} here.",
                    f"{month}: {one.lexware.invoices} Rechnungen in Lexware, {one.documents.invoices} hier.",
                )
            )
        if one.sum_gap > SUM_GAP:
            found.append(
                Alert(
                    f"sum {month}",
                    f"{month}: invoices in Lexware and here differ by {one.sum_gap:.2f} EUR.",
                    f"{month}: Rechnungen in Lexware und hier weichen um {one.sum_gap:.2f} EUR ab.",
                )
            )
    return found


async def _notify(gate: Gate, alert: Alert) -> None:
    at = timestamp(gate.now())
    day = gate.now().date()
    for person in _people(gate):
        docid = f"notification-{uuid5(_NAMESPACE, f'{alert.name}/{day}/{person}')}"
        body = {
            "type": "notification", "recipientId": person, "notificationType": "SYSTEM", "isRead": False,
            "documentType": "lexware", "title": alert.gesagt[:200], "createdBy": AUTHOR, "createdAt": at,
            "modifiedBy": AUTHOR, "modifiedAt": at, "version": 1,
        }  # fmt: skip
        try:
            await gate.create_as_service(docid, body)
        except ProtocolError as error:
            log.warning("somebody couldn't be notified", why=error.reason)


def _people(gate: Gate) -> Sequence[str]:
    """The accounts and the management."""
    names = set()
    with gate.database.reading() as reading:
        for role in (Role.BUCH, Role.GF):
            for docid in gate.facts(reading).sharing(ROLE, role):
                name = docid.removeprefix("user-")
                if role in (gate.index.roles(reading, name) or ()):
                    names.add(name)
    return sorted(names)


def figures(told: Mapping[str, Any]) -> Iterator[str]:
    """For Prometheus; nothing as long as nothing was exchanged."""
    if told["export"] is None and told["imported"] is None:
        return
    lines = (
        ("open_errors", "what didn't fit and isn't settled", told["openErrors"]),
        ("open_documents", "invoices that don't say yet what Lexware says", told["openDocuments"]),
        ("undelivered", "files that Lexware can't fetch yet", told["undelivered"]),
        ("alerts", "what somebody should look at", len(told["alerts"])),
    )
    for name, about, value in lines:
        yield f"# HELP kompass_lexware_{name} {about}"
        yield f"# TYPE kompass_lexware_{name} gauge"
        yield f"kompass_lexware_{name} {value}"
    for name in ("export", "imported"):
        if told[name] is not None:
            full = f"kompass_lexware_last_{name}_timestamp_seconds"
            yield f"# HELP {full} when that was last done"
            yield f"# TYPE {full} gauge"
            yield f"{full} {round(told[name]['at'], 3)}"
