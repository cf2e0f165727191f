"""What every index of the full text finds, whichever driver it is. Derive from it, with a fixture `place`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

import pytest

from kompass.feed.sink import Batch, Change, Checkpoint, Sink
from kompass.search.asking import Sort, question
from kompass.search.index import Found, TextIndex

ALL = frozenset({"all:customer", "all:x"})
CARDS = frozenset({"all:customer_card"})
MONEY = frozenset({"all:invoice_amount"})


HOSTILE = {
    "one letter": "a" * 10_000,
    "many words": "a " * 5_000,
    "umlauts": "ä" * 10_000,
    "a pattern": "(a+)+$ " * 100,
    "operators": "* ? [ ] ^ ~2 \\ / AND OR NOT + - \" ' : { } TO",
    "fields": "channels:* OR *:* OR _id:x",
    "control characters": "\x00\x01 a\ud800 \u202e\ufeff",
    "long words": "abcdefghijklmnopqrstuvwx " * 10,
    "digits": "1" * 10_000,
    "pieces": "1-" * 5_000,
    "what folds to much": "ﷺ" * 500,
    "fractions": "½" * 400,
    "accents": "e\u0301\u0302\u0303" * 150,
}


class Place(Protocol):
    sink: Sink
    index: TextIndex


def customer(number: int, name: str, city: str = "Karlsruhe", **more: Any) -> dict[str, Any]:
    return {
        "_id": f"customer-{number}",
        "type": "customer",
        "companyName": name,
        "customerNumber": f"K-{number:05d}",
        "billingAddress": {"street": "Hauptstraße", "zipCode": "76137", "city": city},
        "owner": "adm1",
        "rating": "A",
        "customerType": "retail",
        "modifiedAt": f"2026-10-{number:02d}T08:00:00.000Z",
        **more,
    }


async def fill(place: Place, *docs: dict[str, Any], channels: frozenset[str] = ALL, start: int = 1) -> None:
    changes = [Change(doc["_id"], start + at, "1-a", doc, channels) for at, doc in enumerate(docs)]
    last = start + len(docs) - 1
    await place.sink.apply(Batch(changes, Checkpoint("e", f"{last}-e", last)))


async def ids(place: Place, text: str, readable: frozenset[str] = ALL, **more: Any) -> list[str]:
    return [match.base for match in (await ask(place, text, readable, **more)).matches]


async def ask(place: Place, text: str, readable: frozenset[str] = ALL, **more: Any) -> Found:
    filters, sort = more.pop("filters", None), more.pop("sort", Sort.RELEVANCE)
    return await place.index.find(question(text, filters, sort), readable, **more)


class FindingConformance:
    @pytest.mark.parametrize(
        "text",
        [
            "Hofladen Müller",
            "hofladen",
            "mueller",
            "Muller",
            "MÜLLER",
            "müll",  # still being written
            "Hofladn",  # a letter missing
            "Hoflaedn",  # two changed
            "Müler",
            "Hauptstr.",
            "Hauptstrasse",
            "karlsruhe hofladen",
            "Bauernladen",  # a synonym
            "K-00001",
            "k00001",
            "00001",
            "K-000",  # still being written
            "76137 Müller",
            "der Hofladen von Müller",
        ],
    )
    async def test_it_is_found(self, place: Place, text: str) -> None:
        await fill(place, customer(1, "Hofladen Müller"), customer(2, "Weinhaus Schmidt", "Ulm"))
        assert (await ids(place, text))[0] == "customer-1"

    @pytest.mark.parametrize(
        "text",
        [
            "K-00002",
            "K-00011",  # numbers forgive nothing
            "76138",
            "Hofladen Schulze Xylophon",
            "Hof Hut",
            "Mill",  # too short to forgive
            "!!! ((( --- ",
            "\u0000\u0001",
            "*",
            "companyName:Hofladen OR 1",
        ],
    )
    async def test_it_is_not_found(self, place: Place, text: str) -> None:
        await fill(place, customer(1, "Hofladen Müller"))
        if text == "\u0000\u0001":
            assert await ids(place, text) == ["customer-1"], "nothing but blanks asks for everything"
            return
        assert await ids(place, text) == []

    async def test_the_end_of_a_compound_and_another_form_of_a_word_find_it(self, place: Place) -> None:
        one = {
            "_id": "opportunity-1",
            "type": "opportunity",
            "title": "Kühlregale",
            "description": "Montagen",
        }
        await fill(place, one)
        for text in ("Regal", "Regale", "Kühlregal", "Montage", "kuehlregal"):
            assert await ids(place, text) == ["opportunity-1"], text

    async def test_whoever_asks_for_more_than_there_is_gets_what_fits_most(self, place: Place) -> None:
        await fill(place, customer(1, "Hofladen Müller"), customer(2, "Weinhaus Schmidt"))
        assert await ids(place, "Hofladen Müller Zeppelin") == ["customer-1"]

    async def test_a_title_counts_more_than_a_text_and_the_word_more_than_one_like_it(
        self, place: Place
    ) -> None:
        await fill(
            place,
            customer(1, "Gasthaus Schulz", notes="Eiche ist erwünscht"),
            customer(2, "Eichenhof Moden"),
            customer(3, "Gasthof Eiche"),
        )
        assert await ids(place, "Eiche") == ["customer-3", "customer-2", "customer-1"]

    async def test_a_sum_is_found_by_those_who_read_it_and_stands_for_the_invoice(self, place: Place) -> None:
        invoice = {"_id": "invoice-1", "type": "invoice", "invoiceNumber": "R-2026-00007"}
        amount = {
            "_id": "invoice-amount-1",
            "type": "invoice_amount",
            "invoiceId": "invoice-1",
            "grossAmount": 63046.5,
            "notes": "R-2026-00007 Skonto",
        }
        await fill(place, invoice)
        await fill(place, amount, channels=MONEY, start=2)
        for text in ("63.046,50", "63046.5", "63046,50", "Skonto"):
            assert await ids(place, text) == [], text
            assert await ids(place, text, ALL | MONEY) == ["invoice-1"], text
        assert await ids(place, "63046,51", ALL | MONEY) == []
        both = await ask(place, "R-2026-00007", ALL | MONEY)
        assert (both.total, [match.base for match in both.matches]) == (1, ["invoice-1"])
        assert both.facets["type"] == {"invoice": 1}

    async def test_a_document_and_its_card_are_one_hit(self, place: Place) -> None:
        docs = [customer(number, f"Hofladen Nummer{number}") for number in range(1, 6)]
        cards = [
            {
                "_id": f"customer-card-{number}",
                "type": "customer_card",
                "customerId": f"customer-{number}",
                "companyName": f"Hofladen Nummer{number}",
            }
            for number in range(1, 8)
        ]
        await fill(place, *docs)
        await fill(place, *cards, channels=CARDS, start=10)
        for readable, total in ((ALL, 5), (CARDS, 7), (ALL | CARDS, 7)):
            for text in ("Hofladen", ""):
                found = await ask(place, text, readable)
                assert found.total == len(found.matches) == total
                assert sorted(match.base for match in found.matches) == [
                    f"customer-{number}" for number in range(1, total + 1)
                ]
                assert found.facets["type"] == {"customer": total}
        # Page by page it is the same.
        pages = [(await ids(place, "Hofladen", ALL | CARDS, limit=2, offset=at)) for at in (0, 2, 4, 6)]
        assert sorted(one for page in pages for one in page) == [
            f"customer-{number}" for number in range(1, 8)
        ]

    async def test_nobody_learns_of_what_he_does_not_read(self, place: Place) -> None:
        """Not by totals, facets, pages, order or mistakes that are forgiven."""
        await fill(place, customer(1, "Hofladen Müller"), customer(2, "Hofladen Schmidt"))
        asked: Sequence[dict[str, Any]] = (
            {}, {"sort": Sort.NEWEST}, {"sort": Sort.DEAREST}, {"limit": 1, "offset": 1},
            {"filters": {"rating": ("A", "B")}},
        )  # fmt: skip
        texts = ("", "Hofladen", "Hofladen Müller", "Hoflden", "Geheimlabor", "Geheimlabr", "Hofladen Geheim")
        before = [await ask(place, text, **each) for text in texts for each in asked]
        secret = [
            customer(number, f"Hofladen Geheimlabor {number}", owner="chef", rating="B")
            for number in range(10, 30)
        ]
        await fill(place, *secret, channels=frozenset({"all:secret"}), start=10)
        after = [await ask(place, text, **each) for text in texts for each in asked]
        assert after == before
        assert await ids(place, "Hofladen", frozenset()) == []
        assert (await ask(place, "", frozenset())).total == 0
        assert (await ask(place, "Hofladen", ALL | {"all:secret"})).total == 22

    async def test_what_is_left_out_is_not_counted(self, place: Place) -> None:
        await fill(place, customer(1, "Hofladen Müller"), customer(2, "Hofladen Schmidt", owner="adm2"))
        found = await ask(place, "Hofladen", without=["customer-2", "customer-99"])
        assert (found.total, [match.id for match in found.matches]) == (1, ["customer-1"])
        assert found.facets["owner"] == {"adm1": 1}

    async def test_filters_facets_and_pages(self, place: Place) -> None:
        docs = [
            customer(number, "Hofladen", owner="adm1" if number % 3 else "adm2", rating="ABC"[number % 3])
            for number in range(1, 10)
        ]
        await fill(place, *docs)
        found = await ask(place, "Hofladen", limit=4)
        assert (found.total, len(found.matches)) == (9, 4)
        assert found.facets["owner"] == {"adm1": 6, "adm2": 3}
        assert found.facets["rating"] == {"A": 3, "B": 3, "C": 3}
        assert found.facets["customerId"] == {f"customer-{number}": 1 for number in range(1, 10)}
        assert found.facets["status"] == {}
        assert (await ask(place, "", filters={"owner": ("adm2",)})).total == 3
        assert (await ask(place, "", filters={"owner": ("adm2",), "rating": ("B", "C")})).total == 0
        assert (await ask(place, "", filters={"owner": ("adm1", "adm2")})).total == 9
        assert (await ask(place, "", filters={"owner": ("adm1 OR adm2", 'x" OR 1')})).total == 0
        assert await ids(place, "Hofladen", offset=9) == []

    async def test_sorted_by_time_and_value(self, place: Place) -> None:
        docs = [
            {
                "_id": f"offer-{number}",
                "type": "offer",
                "totalEur": value,
                "modifiedAt": f"2026-10-{number:02d}T00:00:00Z",
                "terms": "Eiche",
            }
            for number, value in ((1, 500), (2, 90000.5), (3, 7), (4, None))
        ]
        await fill(place, *docs)
        numbers = {
            sort: [int(each[6:]) for each in await ids(place, "Eiche", sort=sort)]
            for sort in (Sort.NEWEST, Sort.OLDEST, Sort.DEAREST, Sort.CHEAPEST)
        }
        assert numbers[Sort.NEWEST] == [4, 3, 2, 1]
        assert numbers[Sort.OLDEST] == [1, 2, 3, 4]
        assert [one for one in numbers[Sort.DEAREST] if one != 4] == [2, 1, 3]
        assert [one for one in numbers[Sort.CHEAPEST] if one != 4] == [3, 1, 2]

    @pytest.mark.parametrize("name", HOSTILE)
    async def test_a_hostile_question_is_answered_soon(self, place: Place, name: str) -> None:
        await fill(place, *(customer(number, f"Hofladen {number}") for number in range(1, 29)))
        began = time.perf_counter()
        found = await ask(place, HOSTILE[name])
        assert time.perf_counter() - began < 2
        assert found.total <= 28

    async def test_how_far_it_is(self, place: Place) -> None:
        await fill(place, customer(1, "Hofladen"))
        standing = await place.index.standing()
        assert standing.checkpoint == Checkpoint("e", "1-e", 1)
        assert not standing.rebuilding
        other = await place.sink.rebuilding()
        assert (await place.index.standing()).rebuilding
        assert await ids(place, "Hofladen") == ["customer-1"]
        await other.apply(Batch([], Checkpoint("f", "9-f", 9)))
        await other.switch()
        await other.close()
        standing = await place.index.standing()
        assert (standing.checkpoint, standing.rebuilding) == (Checkpoint("f", "9-f", 9), False)
        assert await ids(place, "Hofladen") == []
