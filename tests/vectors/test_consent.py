"""A customer's consent decides about every vector that comes of him: as it is now, whatever came first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from kompass.domain.examples import docid, smallest
from kompass.feed.sink import Change, Sink, SinkUnavailableError
from kompass.feed.source import SourceUnavailableError
from kompass.vectors.embedded.reader import EmbeddedVectors
from kompass.vectors.embedders.packaged import NAME
from tests.feed.changes import ALL, CONSENT, batch, changed, customer
from tests.vectors.embedded import Documents, make

HOF = docid("customer", 1)
NONE = {**CONSENT, "aiProcessing": False}


def activity(number: int, subject: str, **more: Any) -> dict[str, Any]:
    doc = {**smallest("activity"), "_id": docid("activity", number), "subject": subject}
    return {**doc, "customerId": HOF, **more}


class Place:
    """A sink, what its server has, and what is in it."""

    def __init__(self, directory: Path) -> None:
        self.server = Documents()
        self.sink: Sink = make(directory, self.server)
        self._index = EmbeddedVectors(directory, NAME)
        self._position = 0

    async def write(self, *docs: Mapping[str, Any], told: bool = True) -> None:
        """`told`: whether the server has it by the time the sink reads it."""
        changes = []
        for doc in docs:
            self._position += 1
            one = changed(doc, self._position, ALL)
            changes.append(one)
            if told and one.doc is not None:
                self.server.there[one.id] = one.doc
        await self.sink.apply(batch(*changes))

    async def delete(self, one: str) -> None:
        self._position += 1
        self.server.there.pop(one, None)
        await self.sink.apply(batch(Change(one, self._position, "9-a", None)))

    async def has(self, one: str) -> bool | None:
        """Whether it has vectors; None if it isn't there at all."""
        found = await self._index.inspect(one)
        if found is None:
            return None
        assert found["allowed"] == bool(found["chunks"])
        assert found["allowed"] or not found["title"]
        return bool(found["chunks"])

    async def close(self) -> None:
        await self._index.close()
        await self.sink.close()


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    one = Place(tmp_path / "vectors")
    await one.sink.open()
    yield one
    await one.close()


async def test_without_consent_nothing_is_embedded(place: Place) -> None:
    await place.write(customer(1, "Hofladen", dsgvoConsent=NONE), activity(1, "Rundgang"))
    assert (await place.has(HOF), await place.has(docid("activity", 1))) == (False, False)


@pytest.mark.parametrize("first", ["customer", "activity"])
async def test_it_makes_no_difference_what_comes_first(place: Place, first: str) -> None:
    both = [customer(1, "Hofladen"), activity(1, "Rundgang")]
    for doc in both if first == "customer" else reversed(both):
        await place.write(doc)
    assert (await place.has(HOF), await place.has(docid("activity", 1))) == (True, True)


async def test_a_document_before_its_customer_comes_in_with_him(place: Place) -> None:
    """Where the server doesn't know him either."""
    await place.write(activity(1, "Rundgang"))
    assert await place.has(docid("activity", 1)) is False
    await place.write(customer(1, "Hofladen"))
    assert await place.has(docid("activity", 1)) is True


async def test_a_withdrawal_takes_everything_about_him_and_nothing_else(place: Place) -> None:
    other = {**activity(2, "Probe"), "customerId": docid("customer", 2)}
    internal = {**activity(3, "Inventur")}
    del internal["customerId"]
    await place.write(customer(1, "Hofladen"), customer(2, "Hofgut"))
    await place.write(activity(1, "Rundgang"), other, internal)
    await place.write(customer(1, "Hofladen", dsgvoConsent=NONE))
    assert [await place.has(docid("activity", number)) for number in (1, 2, 3)] == [False, True, True]
    assert await place.has(HOF) is False
    await place.write(customer(1, "Hofladen"))
    assert await place.has(docid("activity", 1)) is True


async def test_a_later_revocation_counts(place: Place) -> None:
    consent = {**CONSENT, "grantedAt": "2026-01-01T00:00:00Z", "revokedAt": "2026-02-01T00:00:00Z"}
    await place.write(customer(1, "Hofladen"), activity(1, "Rundgang"))
    await place.write(customer(1, "Hofladen", dsgvoConsent=consent))
    assert await place.has(docid("activity", 1)) is False


async def test_a_customer_who_is_gone_agrees_to_nothing(place: Place) -> None:
    await place.write(customer(1, "Hofladen"), activity(1, "Rundgang"))
    await place.delete(HOF)
    assert (await place.has(HOF), await place.has(docid("activity", 1))) == (None, False)


async def test_what_has_changed_meanwhile_comes_by_itself(place: Place) -> None:
    """The server has a newer version than the row that waits: its channels aren't known yet."""
    await place.write(activity(1, "Rundgang"))
    newer = {**activity(1, "Neu"), "_rev": "7-b"}
    place.server.there[docid("activity", 1)] = newer
    await place.write(customer(1, "Hofladen"))
    assert await place.has(docid("activity", 1)) is False
    await place.write(activity(1, "Neu"))
    assert await place.has(docid("activity", 1)) is True


async def test_leads_and_the_erased_have_agreed_to_nothing(place: Place) -> None:
    lead = {**smallest("lead"), "_id": docid("lead", 1), "companyName": "Hofladen"}
    await place.write(lead, customer(1, "Gelöschter Kunde", anonymized=True))
    assert (await place.has(lead["_id"]), await place.has(HOF)) == (False, False)


async def test_while_the_server_is_away_nothing_is_written(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: object) -> Mapping[str, Any]:
        raise SourceUnavailableError("it doesn't answer")

    before = await place.sink.checkpoint()
    with monkeypatch.context() as patch:
        patch.setattr(place.server, "documents", away)
        with pytest.raises(SinkUnavailableError, match="doesn't answer"):
            await place.write(activity(1, "Rundgang"), told=False)
    assert await place.sink.checkpoint() == before
    assert await place.has(docid("activity", 1)) is None
