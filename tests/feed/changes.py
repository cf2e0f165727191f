"""Changes and batches for the tests of sinks, made of customers with a number and a name."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from kompass.domain.examples import docid, smallest
from kompass.feed.sink import Batch, Change, Checkpoint, PersonAccess

EPOCH = "conformance"
ALL = frozenset({"all:customer"})
OWN = frozenset({"own:customer:adm1"})


CONSENT = {"aiProcessing": True, "marketing": False, "dataSharing": False}
"""A sink that needs a customer's consent has it."""


def customer(number: int, name: str, **more: Any) -> dict[str, Any]:
    doc = {**smallest("customer"), "_id": docid("customer", number), "companyName": name}
    return {**doc, "dsgvoConsent": dict(CONSENT), **more}


def change(number: int, position: int, name: str = "", channels: frozenset[str] = ALL, **more: Any) -> Change:
    """Customer `number` as it is at `position`, deleted without a name."""
    doc = {**customer(number, name, **more), "_rev": rev_of(position)} if name else None
    return Change(
        docid("customer", number), position, rev_of(position), doc, channels if name else frozenset()
    )


def changed(doc: Mapping[str, Any], position: int, channels: frozenset[str] = ALL) -> Change:
    return Change(doc["_id"], position, rev_of(position), {**doc, "_rev": rev_of(position)}, channels)


def rev_of(position: int) -> str:
    return f"{position}-{position:032x}"


def at(position: int, epoch: str = EPOCH) -> Checkpoint:
    return Checkpoint(epoch, f"{position}-{epoch}", position)


def batch(*changes: Change, position: int = 0, people: Sequence[PersonAccess] = ()) -> Batch:
    return Batch(changes, at(position or max((one.position for one in changes), default=1)), people)


def latest(changes: Sequence[Change]) -> list[Change]:
    """One of each document, as a batch has it."""
    return list({one.id: one for one in sorted(changes, key=lambda one: one.position)}.values())


def stream(number: int, seed: int, size: int = 8, documents: int = 30) -> Batch:
    """Batch `number` of an endless sequence of batches, always the same for a seed."""
    chance = random.Random(f"{seed}/{number}")
    changes = []
    for place in range(size):
        position = number * size + place + 1
        which = chance.randrange(1, documents + 1)
        name = "" if chance.random() < 0.2 else f"Hofladen Stand{position}"
        changes.append(change(which, position, name, chance.choice([ALL, OWN, ALL | OWN])))
    kept = latest(changes)
    return Batch(kept, at(number * size + size))


def expected(upto: int, seed: int, size: int = 8) -> dict[str, Change]:
    """What stands of the first batches of `stream`, by id."""
    found: dict[str, Change] = {}
    for number in range(upto // size):
        found |= {one.id: one for one in stream(number, seed, size).changes}
    return {key: one for key, one in found.items() if one.doc is not None}
