"""What judging the shape of a document costs."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from typing import Any

import orjson

from kompass.access import Principal, Role
from kompass.demo.generate import generate
from kompass.domain import models
from kompass.domain.changes import Change, NoFacts
from kompass.domain.settings import BusinessSettings
from kompass.settings_values import DemoSize

GOAL = 50
"""Microseconds for a document of 1 KB, half of the times."""

_ROUNDS = 20


def documents() -> list[dict[str, Any]]:
    """The demo's, with attachments as a judge sees them."""
    found = []
    for doc in generate(DemoSize.SMALL):
        names = doc.pop("_attachments", {})
        found.append({**doc, "_attachments": dict.fromkeys(names, "md5-1B2M2Y8AsgTpgAmY7PhCfg==")})
    return found


def _times(changes: list[Change]) -> list[float]:
    """Microseconds of each judgement."""
    facts, settings = NoFacts(), BusinessSettings()
    found = []
    for _ in range(_ROUNDS):
        for change in changes:
            start = time.perf_counter_ns()
            models.check(change, facts, settings)
            found.append((time.perf_counter_ns() - start) / 1000)
    return found


def run() -> None:
    """Prints the figures."""
    author = Principal("adm1", frozenset({Role.ADM}))
    all_documents = documents()
    changes = [Change(doc, None, author, datetime(2026, 11, 2, 12, tzinfo=UTC)) for doc in all_documents]
    sizes = [len(orjson.dumps(doc)) for doc in all_documents]
    _times(changes[:200])
    print(f"{len(changes)} documents of the demo, {statistics.mean(sizes):.0f} bytes on average")
    print(f"each: {_figures(changes)}")
    kilobyte = [change for change, size in zip(changes, sizes, strict=True) if 900 <= size <= 1200]
    print(f"{len(kilobyte)} of 0.9 to 1.2 KB (goal {GOAL} µs): {_figures(kilobyte)}")


def _figures(changes: list[Change]) -> str:
    times = sorted(_times(changes))
    return f"{times[len(times) // 2]:.1f} µs (half), {times[int(len(times) * 0.95)]:.1f} µs (95 %)"
