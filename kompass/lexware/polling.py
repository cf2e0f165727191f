"""A look into the folder where Lexware's files come: what is whole is taken, one after the other."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass, field

import structlog

from kompass.accounting.problems import quoted
from kompass.leases import Lease, LeaseLostError
from kompass.lexware import arrivals, importing, mirroring, rematching
from kompass.lexware.arrivals import Report
from kompass.lexware.inbox import FAILED, PROCESSED, Inbox, InboxError, Skipped, Waiting
from kompass.lexware.store import LexwareStore
from kompass.sync.gate.gate import Gate
from replication.protocol.errors import ProtocolError

POLLED = "poll"
"""The note of the last look."""
_TAKEN_BACK = 86_400.0
"""Seconds for which it is looked whether somebody goes on writing into a file that was taken."""

log = structlog.get_logger(__name__)
pause = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Polled:
    """What came of it."""

    reports: list[Report] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    """Names of files that may still grow."""
    skipped: list[Skipped] = field(default_factory=list)
    """What is left where it is, and why."""


async def poll(store: LexwareStore, lease: Lease, gate: Gate, inbox: Inbox, person: str) -> Polled:
    """Takes the files that lie there and are whole. One that can't be taken stops no other.
    Raises `InboxError`, `LeaseLostError`, `ProtocolError`.
    """
    await mirroring.drain(store, lease, gate)
    await rematching.again(store, lease, gate)
    await asyncio.to_thread(inbox.take_back, time.time() - _TAKEN_BACK)
    seen, skipped = await asyncio.to_thread(inbox.look)
    polled = Polled(skipped=skipped)
    await pause(inbox.rest_of(seen))
    resting = set(await asyncio.to_thread(inbox.resting, seen))
    for one in seen:
        found = await _tried(store, lease, gate, inbox, one, person) if one in resting else None
        if isinstance(found, Report):
            polled.reports.append(found)
        elif found is None:
            polled.waiting.append(quoted(one.name))
        else:
            polled.skipped.append(found)
    left = [asdict(one) for one in polled.skipped]
    await asyncio.to_thread(store.note, POLLED, {"taken": len(polled.reports), "skipped": left})
    return polled


async def _tried(
    store: LexwareStore, lease: Lease, gate: Gate, inbox: Inbox, one: Waiting, person: str
) -> Report | Skipped | None:
    name = quoted(one.name)
    try:
        return await _taken(store, lease, gate, inbox, one, person)
    except LeaseLostError:
        raise
    except InboxError as error:
        return Skipped(name, f"it can't be moved: {error}", f"lässt sich nicht verschieben: {error}")
    except ProtocolError as error:
        log.error("a file of Lexware's can't be taken now", file=name, why=error.reason)
        return Skipped(
            name, "documents can't be written now: it is tried again",
            "Dokumente lassen sich gerade nicht schreiben: es wird wiederholt",
        )  # fmt: skip
    except Exception:
        log.exception("a file of Lexware's can't be taken", file=name)
        return Skipped(
            name, "it can't be taken: the server's log says why",
            "lässt sich nicht übernehmen: warum, sagt das Protokoll des Servers",
        )  # fmt: skip


async def _taken(
    store: LexwareStore, lease: Lease, gate: Gate, inbox: Inbox, one: Waiting, person: str
) -> Report | Skipped | None:
    found = await asyncio.to_thread(inbox.read, one)
    if found is None or isinstance(found, Skipped):
        return found
    data, manifest = found
    report = await importing.take(store, lease, gate, data, quoted(one.name), person, manifest=manifest)
    to = FAILED if report.state == "refused" else PROCESSED
    kept = await asyncio.to_thread(inbox.move, one, to, report.text(one.size))
    if kept:
        await asyncio.to_thread(arrivals.keep, store, report.sha256, kept)
    return report
