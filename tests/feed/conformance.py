"""What every sink of the change feed must do: the same tests over each of them.

A sink brings a `SinkHarness` and its line in `test_conformance.py`. The tests know nothing of a sink but the
interface and what the harness reads back.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from kompass.feed.sink import (
    Batch,
    Change,
    Checkpoint,
    DocumentRejectedError,
    PersonAccess,
    Sink,
    SinkUnavailableError,
)
from tests.domain.examples import TYPES, docid, full, smallest
from tests.needs import ROOT

EPOCH = "conformance"
ALL = frozenset({"all:customer"})
OWN = frozenset({"own:customer:adm1"})


@dataclass(frozen=True)
class Stored:
    """What a sink has of a document."""

    rev: str
    channels: frozenset[str]
    content: object
    """Everything else it keeps of it, comparable with `==`: rows, fields of an index. Of a customer the text
    of `companyName` occurs in `str(content)`."""


class SinkHarness(ABC):
    """A place for one sink, empty at first, and another way to look into it than the sink itself."""

    keeps_people = False
    """Whether it stores `Batch.people`."""

    @property
    @abstractmethod
    def again(self) -> tuple[str, str]:
        """How another process makes a sink on this place: `module:function` and the text it is given."""

    @abstractmethod
    def make(self) -> Sink:
        """A sink on this place, not opened. Each call gives another object on the same data."""

    @abstractmethod
    async def read(self, docid: str) -> Stored | None:
        """What readers find of a document, now, in the generation that is read."""

    @abstractmethod
    async def readable(self, person: PersonAccess) -> set[str]:
        """Ids that somebody finds. Where people are kept, only the name counts."""

    @abstractmethod
    async def break_it(self) -> None:
        """What lies behind the sink can't be reached, or can't store, until `mend_it`."""

    @abstractmethod
    async def mend_it(self) -> None: ...


# -- what is applied ---------------------------------------------------------------------------


def customer(number: int, name: str, **more: Any) -> dict[str, Any]:
    return {**smallest("customer"), "_id": docid("customer", number), "companyName": name, **more}


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


class Exploding(dict[str, Any]):
    """A document in which whoever reads it fails, in the midst of a batch."""

    def _fail(self, *_: Any) -> Any:
        raise RuntimeError("a fault in the midst of a batch")

    __getitem__ = __iter__ = __contains__ = get = items = keys = values = copy = _fail
    __len__ = __or__ = __ror__ = _fail


async def take(sink: Sink, changes: Sequence[Change], checkpoint: Checkpoint) -> dict[str, str]:
    """Applies as a follower does, and gives why documents were left out, by id."""
    try:
        await sink.apply(Batch(changes, checkpoint))
        return {}
    except DocumentRejectedError as error:
        if error.docid not in {one.id for one in changes}:
            raise AssertionError("a document was rejected that nobody gave") from error
        left = [one for one in changes if one.id != error.docid]
        return {error.docid: error.reason} | await take(sink, left, checkpoint)
    except SinkUnavailableError:
        raise
    except Exception as error:
        if len(changes) == 1:
            await sink.apply(Batch((), checkpoint))
            return {changes[0].id: f"{type(error).__name__}: {error}"[:1000]}
        if not changes:
            raise
        half = len(changes) // 2
        before = await sink.checkpoint() or at(0)
        return await take(sink, changes[:half], before) | await take(sink, changes[half:], checkpoint)


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


# -- documents that break assumptions ----------------------------------------------------------


def _nested(depth: int) -> Any:
    value: Any = "tief"
    for _ in range(depth):
        value = [value]
    return value


def sound_but_odd() -> Iterator[tuple[str, dict[str, Any]]]:
    """Documents that any sink must store: nothing is wrong with them but what nobody thought of."""
    contact = {**smallest("contact"), "_id": docid("contact", 900), "customerId": docid("customer", 999)}
    yield "parent that isn't there", contact
    yield "NUL in a text", customer(901, "Hof\x00laden", notes="a\x00b\x00")
    yield "5 MB of text", customer(902, "Hofladen", notes="Regale aus Eiche. " * 290_000)
    yield "5 MB without a blank", customer(903, "Hofladen", notes="x" * 5_000_000)
    yield "other alphabets", customer(904, "Hof 🥕 مزرعة 农场 \u202e ﬁ", notes="\ufeff\u2028\U0010ffff")
    yield (
        "members nobody knows",
        customer(905, "Hofladen", zukunft={"a": [1, {"b": None}]}, **{"": 1, "a.b": 2}),
    )
    yield (
        "what looks like SQL and markup",
        customer(906, "'; DROP TABLE x; -- <b>&amp;\\", notes="$1 %s {0} \\x00"),
    )


def broken() -> Iterator[tuple[str, dict[str, Any]]]:
    """Documents of which a sink may refuse to store any, by name."""
    yield "no type", {"_id": "customer-ohne-typ", "companyName": "Hofladen"}
    yield "unknown type", {**customer(910, "Hofladen"), "type": "zukunft"}
    for number, value in enumerate((None, 7, True, ["customer"], {"a": 1}, "", "x" * 10_000, "a\x00b")):
        yield f"type {str(value)[:20]}", {**customer(911 + number, "Hofladen"), "type": value}
    for number, version in enumerate((10**6, -1, "neu", 1.5, None, 10**30)):
        yield f"schema version {version}", customer(920 + number, "Hofladen", schemaVersion=version)
    yield "half of a character", customer(930, "Hofladen \ud83e", notes="\udd55")
    yield "deep", customer(931, "Hofladen", notes=_nested(400), billingAddress=_nested(400))
    yield "NUL in a name of a member", customer(932, "Hofladen", **{"a\x00b": 1})
    yield "long id", {**customer(933, "Hofladen"), "_id": "customer-" + "x" * 20_000}
    yield "odd id", {**customer(934, "Hofladen"), "_id": "customer-'\"\x00 🥕/%2F\n"}
    yield "a hundred thousand members", customer(935, "Hofladen", **{f"m{at}": at for at in range(100_000)})
    numbers = (10**400, -(10**400), 1e308, float("inf"), -0.0, 2**63, 2**64, 5e-324)
    for number, huge in enumerate(numbers):
        doc = {**full("invoice"), "_id": docid("invoice", 940 + number)}
        yield (
            f"number {number}",
            {key: huge if isinstance(old, int | float) else old for key, old in doc.items()},
        )


WRONG: Sequence[Any] = (
    None, True, -7, 1.5e300, "x", "", [], {}, [[1]], [None], {"a": {"b": []}}, ["x", 7], [{"a": None}],
    "0000-00-00", "99999-12-31T25:61:00Z", "2026-02-30",
)  # fmt: skip


def wrong_everywhere(value: Any, first: int) -> Iterator[dict[str, Any]]:
    """A document of every type in which every field has this value, and one in which its lists have it."""
    for number, doctype in enumerate(TYPES):
        doc = {key: one for key, one in full(doctype).items() if key[:1] != "_"}
        fields = {key: value for key in doc if key != "type"}
        yield {**fields, "type": doctype, "_id": f"{doctype}-falsch-{first + number}"}
        inside = {key: [value] if isinstance(one, list) else one for key, one in doc.items()}
        yield {**inside, "type": doctype, "_id": f"{doctype}-innen-{first + number}"}


# -- the tests ---------------------------------------------------------------------------------


class SinkConformance:
    """Derive from it, with a fixture `harness`."""

    # -- applying ------------------------------------------------------------------------------

    async def test_a_new_sink_is_empty(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        assert await sink.checkpoint() is None
        assert await harness.read(docid("customer")) is None
        await sink.close()

    async def test_what_is_applied_is_there_with_its_checkpoint(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel"), change(2, 2, "Hofladen Birne", OWN)))
        assert await sink.checkpoint() == at(2)
        first, second = await has(harness, 1), await has(harness, 2)
        assert (first.rev, first.channels) == (rev_of(1), ALL)
        assert "Hofladen Apfel" in str(first.content)
        assert (second.rev, second.channels) == (rev_of(2), OWN)
        await sink.close()

    async def test_another_process_of_the_name_finds_it(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel")))
        await sink.close()
        sink = await opened(harness)
        assert await sink.checkpoint() == at(1)
        assert (await has(harness, 1)).rev == rev_of(1)
        await sink.close()

    async def test_a_checkpoint_moves_without_documents(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel")))
        await sink.apply(Batch((), at(50)))
        assert await sink.checkpoint() == at(50)
        assert (await has(harness, 1)).rev == rev_of(1)
        await sink.close()

    async def test_a_newer_change_takes_the_place_of_the_whole_document(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel", notes="Zwetschge")))
        await sink.apply(batch(change(1, 2, "Hofladen Birne")))
        found = await has(harness, 1)
        assert found.rev == rev_of(2)
        assert "Birne" in str(found.content)
        assert "Apfel" not in str(found.content)
        assert "Zwetschge" not in str(found.content)
        await sink.close()

    async def test_applying_again_changes_nothing(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        one = batch(
            change(1, 1, "Hofladen Apfel"), change(2, 2, "Hofladen Birne"), change(3, 3), people=[knows(ALL)]
        )
        await sink.apply(one)
        before = await everything(harness, 3)
        for _ in range(3):
            await sink.apply(one)
        assert await everything(harness, 3) == before
        assert await harness.readable(knows(ALL)) == {docid("customer", 1), docid("customer", 2)}
        await sink.close()

    async def test_an_older_change_changes_nothing(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 5, "Hofladen Neu", OWN)))
        before = await has(harness, 1)
        await sink.apply(batch(change(1, 3, "Hofladen Alt", ALL), position=5))
        assert await has(harness, 1) == before
        await sink.apply(batch(change(1, 4), position=5))
        assert await has(harness, 1) == before, "an older deletion has taken a newer document away"
        await sink.close()

    async def test_how_changes_are_divided_into_batches_makes_no_difference(
        self, harness: SinkHarness
    ) -> None:
        sink = await opened(harness)
        batches = [stream(number, seed=1) for number in range(6)]
        for one in batches:
            await sink.apply(one)
        before = await everything(harness, 30)
        assert {key for key, one in before.items() if one} == set(expected(48, seed=1))
        # All of it as one batch, and then one by one from the middle, as after a crash.
        changes = [one for each in batches for one in each.changes]
        for division in ([latest(changes)], [[one] for one in changes]):
            other = await sink.rebuilding()
            for part in division:
                await other.apply(batch(*part))
            for part in division[len(division) // 2 :]:
                await other.apply(batch(*part))
            await other.switch()
            await sink.close()
            sink = other
            assert await everything(harness, 30) == before
        await sink.close()

    async def test_a_deleted_document_is_gone(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        one, two = change(1, 1, "Hofladen Apfel"), change(2, 2, "Hofladen Birne")
        await sink.apply(batch(one, two, people=[knows(ALL)]))
        await sink.apply(batch(change(1, 3), change(7, 4)))
        assert await harness.read(docid("customer", 1)) is None
        assert await harness.read(docid("customer", 7)) is None
        assert await harness.readable(knows(ALL)) == {docid("customer", 2)}
        await sink.close()

    async def test_a_deleted_document_can_come_back(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel")))
        await sink.apply(batch(change(1, 2)))
        await sink.apply(batch(change(1, 3, "Hofladen Quitte")))
        found = await has(harness, 1)
        assert found.rev == rev_of(3)
        assert "Apfel" not in str(found.content)
        await sink.close()

    async def test_documents_of_every_type_are_taken(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        changes = [
            changed({**make(doctype), "_id": f"{doctype}-art-{number}{kind}"}, 2 * number + kind + 1)
            for number, doctype in enumerate(TYPES)
            for kind, make in enumerate((smallest, full))
        ]
        await sink.apply(batch(*changes))
        assert await sink.checkpoint() == at(2 * len(TYPES))
        await sink.apply(batch(*(Change(one.id, one.position + 1000, "9-aa", None) for one in changes)))
        for one in changes:
            assert await harness.read(one.id) is None, one.id
        await sink.close()

    # -- who reads -----------------------------------------------------------------------------

    async def test_whoever_shares_a_channel_reads_it_and_nobody_else(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        people = [knows(ALL, "innen1"), knows(OWN, "adm1"), knows(frozenset({"own:customer:adm2"}), "adm2")]
        nobody = change(4, 4, "Hofladen Niemand", frozenset())
        await sink.apply(
            batch(
                change(1, 1, "Hofladen Apfel", ALL | OWN),
                change(2, 2, "Hofladen Birne", ALL),
                change(3, 3, "Hofladen Quitte", OWN),
                nobody,
                people=people,
            )
        )
        one, two, three = (docid("customer", number) for number in (1, 2, 3))
        assert await harness.readable(people[0]) == {one, two}
        assert await harness.readable(people[1]) == {one, three}
        assert await harness.readable(people[2]) == set()
        assert await harness.readable(PersonAccess("fremd", True, frozenset(), frozenset())) == set()
        await sink.close()

    async def test_channels_change_without_the_document(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        people = [knows(ALL, "innen1"), knows(OWN, "adm1")]
        await sink.apply(batch(change(1, 1, "Hofladen Apfel", ALL), people=people))
        moved = change(1, 1, "Hofladen Apfel")
        await sink.apply(batch(Change(moved.id, 2, moved.rev, moved.doc, OWN)))
        found = await has(harness, 1)
        assert (found.rev, found.channels) == (rev_of(1), OWN)
        assert await harness.readable(people[0]) == set()
        assert await harness.readable(people[1]) == {moved.id}
        await sink.close()

    async def test_people_gain_and_lose(self, harness: SinkHarness) -> None:
        if not harness.keeps_people:
            return  # whoever asks says what he holds: `readable` is tested above
        sink = await opened(harness)
        before = knows(OWN, "adm1")
        await sink.apply(
            batch(change(1, 1, "Hofladen Apfel", ALL), change(2, 2, "Hofladen Birne", OWN), people=[before])
        )
        one, two = docid("customer", 1), docid("customer", 2)
        assert await harness.readable(before) == {two}
        await sink.apply(batch(position=3, people=[knows(ALL, "adm1")]))
        assert await harness.readable(before) == {one}
        await sink.apply(batch(position=4, people=[knows(ALL | OWN, "adm1")]))
        assert await harness.readable(before) == {one, two}
        await sink.apply(batch(position=5, people=[PersonAccess("adm1", False, frozenset(), frozenset())]))
        assert await harness.readable(before) == set()
        await sink.close()

    # -- atomic --------------------------------------------------------------------------------

    async def test_a_fault_in_the_midst_leaves_nothing_of_the_batch(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel"), change(2, 2, "Hofladen Birne")))
        before = await everything(harness, 6)
        fault = Change(docid("customer", 4), 5, rev_of(5), Exploding(type="customer"), ALL)
        with pytest.raises(Exception, match=r".*"):  # whatever it raises
            await sink.apply(
                batch(
                    change(1, 3),
                    change(2, 4, "Hofladen Neu", OWN),
                    fault,
                    change(5, 6, "Hofladen Quitte"),
                    people=[knows(OWN, "adm1")],
                )
            )
        assert await everything(harness, 6) == before
        assert await sink.checkpoint() == at(2)
        await sink.apply(batch(change(1, 3), change(5, 6, "Hofladen Quitte")))
        assert await harness.read(docid("customer", 1)) is None
        assert (await has(harness, 5)).rev == rev_of(6)
        await sink.close()

    async def test_while_it_is_down_nothing_is_lost(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel")))
        await harness.break_it()
        for _ in range(2):
            with pytest.raises(SinkUnavailableError) as error:
                await sink.apply(batch(change(1, 2), change(2, 3, "Hofladen Birne")))
            assert str(error.value)
        await harness.mend_it()
        assert await sink.checkpoint() == at(1)
        assert (await has(harness, 1)).rev == rev_of(1)
        await sink.apply(batch(change(1, 2), change(2, 3, "Hofladen Birne")))
        assert await sink.checkpoint() == at(3)
        assert await harness.read(docid("customer", 1)) is None
        assert (await has(harness, 2)).rev == rev_of(3)
        await sink.close()

    async def test_opening_what_is_down_says_so(self, harness: SinkHarness) -> None:
        await harness.break_it()
        sink = harness.make()

        async def open_and_apply() -> None:
            await sink.open()
            await sink.apply(batch(change(1, 1, "Hofladen Apfel")))

        with pytest.raises(SinkUnavailableError):
            await open_and_apply()
        await sink.close()
        await harness.mend_it()
        sink = await opened(harness)
        assert await sink.checkpoint() is None
        await sink.close()

    @pytest.mark.crash
    @pytest.mark.timeout(600)
    async def test_killed_at_any_moment_data_and_checkpoint_agree(self, harness: SinkHarness) -> None:
        await (await opened(harness)).close()
        rounds = int(os.environ.get("KOMPASS_TEST_CRASH_ROUNDS", "6"))
        chance = random.Random(rounds)
        reached = 0
        for number in range(rounds):
            await asyncio.to_thread(_apply_and_be_killed, harness.again, chance.uniform(0.02, 0.6))
            sink = await opened(harness)
            checkpoint = await sink.checkpoint()
            upto = 0 if checkpoint is None else checkpoint.position
            assert upto >= reached, f"round {number}: went back from {reached} to {upto}"
            wanted = expected(upto, seed=2)
            for each in range(1, 31):
                found, right = (
                    await harness.read(docid("customer", each)),
                    wanted.get(docid("customer", each)),
                )
                assert (found and (found.rev, found.channels)) == (right and (right.rev, right.channels)), (
                    f"round {number}: customer {each} at {upto}"
                )
            reached = upto
            await sink.close()
        assert reached > 0

    # -- generations ---------------------------------------------------------------------------

    async def test_a_new_generation_is_seen_when_it_is_switched_to(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel"), change(2, 2, "Hofladen Birne")))
        other = await sink.rebuilding()
        assert other.name == sink.name
        assert await other.checkpoint() is None
        people = [knows(OWN, "adm1")]
        await other.apply(batch(change(1, 1, "Hofladen Apfel", OWN), people=people))
        # Readers have the old one, which goes on.
        assert (await has(harness, 1)).channels == ALL
        assert (await has(harness, 2)).rev == rev_of(2)
        await sink.apply(batch(change(2, 3, "Hofladen Quitte")))
        assert (await has(harness, 2)).rev == rev_of(3)
        assert await other.checkpoint() == at(1)
        await other.switch()
        assert (await has(harness, 1)).channels == OWN
        assert await harness.read(docid("customer", 2)) is None
        assert await harness.readable(people[0]) == {docid("customer", 1)}
        await sink.close()
        # It is the sink from now on, here and in other processes.
        await other.apply(batch(change(3, 4, "Hofladen Kirsche")))
        await other.close()
        sink = await opened(harness)
        assert await sink.checkpoint() == at(4)
        assert (await has(harness, 3)).rev == rev_of(4)
        await sink.close()

    async def test_an_interrupted_rebuild_goes_on(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel"), position=9))
        other = await sink.rebuilding()
        await other.apply(batch(change(2, 2, "Hofladen Birne"), change(3, 3, "Hofladen Quitte")))
        await other.close()
        await sink.close()
        sink = await opened(harness)
        assert await sink.checkpoint() == at(9)
        assert await harness.read(docid("customer", 2)) is None
        other = await sink.rebuilding()
        assert await other.checkpoint() == at(3)
        await other.apply(batch(change(3, 4), change(4, 5, "Hofladen Kirsche")))
        await other.switch()
        await sink.close()
        assert {key for key, one in (await everything(harness, 5)).items() if one} == {
            docid("customer", 2),
            docid("customer", 4),
        }
        await other.close()

    async def test_a_generation_can_be_discarded(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel")))
        other = await sink.rebuilding()
        await other.apply(batch(change(2, 2, "Hofladen Birne")))
        await other.discard()
        await other.close()
        assert await harness.read(docid("customer", 2)) is None
        assert (await has(harness, 1)).rev == rev_of(1)
        other = await sink.rebuilding()
        assert await other.checkpoint() is None
        await other.discard()
        await other.close()
        await sink.apply(batch(change(1, 2)))
        assert await harness.read(docid("customer", 1)) is None
        await sink.close()

    async def test_another_epoch_is_stored_as_it_comes(self, harness: SinkHarness) -> None:
        """What it means is the follower's matter."""
        sink = await opened(harness)
        await sink.apply(Batch([change(1, 900, "Hofladen Apfel")], at(900)))
        other = await sink.rebuilding()
        await other.apply(Batch([change(1, 2, "Hofladen Birne")], at(2, "andere")))
        await other.switch()
        await sink.close()
        assert await other.checkpoint() == at(2, "andere")
        assert (await has(harness, 1)).rev == rev_of(2)
        await other.close()

    # -- documents that break assumptions ------------------------------------------------------

    async def test_what_is_odd_and_sound_is_stored(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        for position, (what, doc) in enumerate(sound_but_odd(), start=1):
            rejected = await take(sink, [changed(doc, position)], at(position))
            assert rejected == {}, what
            found = await harness.read(doc["_id"])
            assert found is not None, what
            assert found.rev == rev_of(position), what
        await sink.close()

    async def test_what_is_broken_stops_nothing_else(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        position = 0
        for what, doc in broken():
            position += 3
            await self._between_sound_ones(harness, sink, [doc], position, what)
        await sink.close()

    async def test_wrong_types_everywhere_stop_nothing_else(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        position = 0
        for value in WRONG:
            docs = list(wrong_everywhere(value, position))
            position += len(docs) + 3
            await self._between_sound_ones(harness, sink, docs, position, repr(value))
        await sink.close()

    async def _between_sound_ones(
        self, harness: SinkHarness, sink: Sink, docs: Sequence[dict[str, Any]], position: int, what: str
    ) -> None:
        changes = [change(1, position, f"Hofladen Vor{position}")]
        changes += [changed(doc, position) for doc in docs]
        changes.append(change(2, position + 1, f"Hofladen Nach{position}"))
        rejected = await take(sink, changes, at(position + 1))
        assert not set(rejected) & {changes[0].id, changes[-1].id}, what
        assert await sink.checkpoint() == at(position + 1), what
        assert (await has(harness, 1)).rev == rev_of(position), what
        assert (await has(harness, 2)).rev == rev_of(position + 1), what
        for each, reason in rejected.items():
            assert await harness.read(each) is None, what
            assert len(reason) > 0, what
            assert len(reason) < 2000, f"{what}: the reason is for people"
        # And what was stored of them can go again.
        gone = [Change(doc["_id"], position + 2, rev_of(position + 2), None) for doc in docs]
        assert await take(sink, gone, at(position + 2)) == {}, what
        for doc in docs:
            assert await harness.read(doc["_id"]) is None, what


def knows(channels: frozenset[str], name: str = "jemand") -> PersonAccess:
    return PersonAccess(name, True, frozenset({"ADM"}), channels)


async def opened(harness: SinkHarness) -> Sink:
    sink = harness.make()
    await sink.open()
    return sink


async def has(harness: SinkHarness, number: int) -> Stored:
    found = await harness.read(docid("customer", number))
    assert found is not None, f"customer {number} isn't there"
    return found


async def everything(harness: SinkHarness, customers: int) -> dict[str, Stored | None]:
    ids = [docid("customer", number) for number in range(1, customers + 1)]
    return {each: await harness.read(each) for each in ids}


def _apply_and_be_killed(again: tuple[str, str], seconds: float) -> None:
    """Applies `stream` in another process, which is killed so many seconds after its first batch."""
    command = [sys.executable, "-m", "tests.feed.applying", *again]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            if process.stdout.readline() != b"applied\n":
                process.kill()
                raise AssertionError(process.stderr.read().decode())
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
            else:
                raise AssertionError(process.stderr.read().decode())
        finally:
            process.send_signal(signal.SIGKILL)
