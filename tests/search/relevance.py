"""100 questions over the demo data, each with the documents that somebody who asks so is looking for.

What is expected is worked out from the documents by plain comparisons, which know nothing of an index. The
same for every driver; `test_relevance.py` and `./scripts/bench search` use it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from kompass.demo.generate import generate
from kompass.settings_values import DemoSize

Doc = Mapping[str, Any]
T = TypeVar("T")
PER_KIND = 4


@dataclass(frozen=True)
class Case:
    kind: str
    text: str
    wanted: frozenset[str]
    """One of these should come first."""


def demo(size: DemoSize = DemoSize.MEDIUM) -> list[dict[str, Any]]:
    return list(generate(size))


def cases(docs: Sequence[Doc]) -> list[Case]:
    """Always the same for the same documents."""
    by_type: dict[str, list[Doc]] = defaultdict(list)
    for doc in docs:
        by_type[doc["type"]].append(doc)
    found: list[Case] = []
    for kind, make in KINDS.items():
        random = Random(f"relevance/{kind}")
        made: dict[str, Case] = {}
        for text, wanted in make(by_type, random):
            if text and wanted and text not in made:
                made[text] = Case(kind, text, frozenset(wanted))
            if len(made) == PER_KIND:
                break
        assert len(made) == PER_KIND, f"the demo has too little for {kind}"
        found += made.values()
    return found


Made = Iterator[tuple[str, set[str]]]
ByType = Mapping[str, list[Doc]]


def _some(docs: Sequence[T], random: Random) -> Iterator[T]:
    while True:
        yield random.choice(docs)


def _same(docs: Sequence[Doc], field: str, value: Any) -> set[str]:
    return {doc["_id"] for doc in docs if doc.get(field) == value}


def _plain(text: str) -> str:
    for one, other in zip("äöüßÄÖÜéë", ("ae", "oe", "ue", "ss", "Ae", "Oe", "Ue", "e", "e"), strict=True):
        text = text.replace(one, other)
    return text


def _bare(text: str) -> str:
    """As somebody types on a foreign keyboard."""
    for one, other in zip("äöüßÄÖÜéë", ("a", "o", "u", "ss", "A", "O", "U", "e", "e"), strict=True):
        text = text.replace(one, other)
    return text


def _longest(text: str) -> str:
    found: list[str] = re.findall(r"\w+", text)
    return max(found, key=len)


def _named(change: Callable[[str, Random], str]) -> Callable[[ByType, Random], Made]:
    """Customers by their name, written in some way."""

    def make(by_type: ByType, random: Random) -> Made:
        for doc in _some(by_type["customer"], random):
            name = doc["companyName"]
            yield change(name, random), _same(by_type["customer"], "companyName", name)

    return make


def _mistaken(name: str, random: Random, mistake: Callable[[str, int], str]) -> str:
    word = _longest(name)
    if len(word) < 6:
        return ""
    return name.replace(word, mistake(word, random.randrange(1, len(word) - 2)), 1)


def _left_out(name: str, random: Random) -> str:
    return _mistaken(name, random, lambda word, at: word[:at] + word[at + 1 :])


def _changed_over(name: str, random: Random) -> str:
    return _mistaken(name, random, lambda word, at: word[:at] + word[at + 1] + word[at] + word[at + 2 :])


def _doubled(name: str, random: Random) -> str:
    return _mistaken(name, random, lambda word, at: word[:at] + word[at] + word[at:])


def _begun(name: str, random: Random) -> str:
    first, _, last = name.rpartition(" ")
    return f"{first} {last[:4]}" if first and len(last) > 5 and last.isalpha() else ""


def _turned(name: str, random: Random) -> str:
    return " ".join(reversed(name.split())) if " " in name else ""


def _by(doctype: str, field: str, change: Callable[[str], str]) -> Callable[[ByType, Random], Made]:
    def make(by_type: ByType, random: Random) -> Made:
        for doc in _some(by_type[doctype], random):
            yield change(str(doc[field])), _same(by_type[doctype], field, doc[field])

    return make


def _people(change: Callable[[str, str], str]) -> Callable[[ByType, Random], Made]:
    def make(by_type: ByType, random: Random) -> Made:
        contacts = by_type["contact"]
        for doc in _some(contacts, random):
            first, last = doc["firstName"], doc["lastName"]
            same = _same(contacts, "firstName", first) & _same(contacts, "lastName", last)
            yield change(first, last), same

    return make


def _in_groups(vat: str) -> str:
    return f"{vat[:2]} {vat[2:5]} {vat[5:8]} {vat[8:]}"


def _in_town(change: Callable[[str], str]) -> Callable[[ByType, Random], Made]:
    """What a customer is, and where."""

    def make(by_type: ByType, random: Random) -> Made:
        customers = by_type["customer"]
        for doc in _some(customers, random):
            word, city = _longest(doc["companyName"]), doc["billingAddress"]["city"]
            yield (
                change(f"{word} {city}"),
                {
                    one["_id"]
                    for one in customers
                    if word in one["companyName"] and one["billingAddress"]["city"] == city
                },
            )

    return make


def _streets(by_type: ByType, random: Random) -> Made:
    """`Hauptstr. Ulm`: customers and places there."""
    places = [(doc["_id"], doc["billingAddress"]) for doc in by_type["customer"]]
    places += [(doc["_id"], doc["deliveryAddress"]) for doc in by_type["location"]]
    for doc in _some(by_type["customer"], random):
        address = doc["billingAddress"]
        if address["street"].endswith("straße"):
            street, city = address["street"], address["city"]
            there = {docid for docid, one in places if (one["street"], one["city"]) == (street, city)}
            yield f"{street.replace('straße', 'str.')} {city}", there


def _contact_at(by_type: ByType, random: Random) -> Made:
    """A name and the company, as people remember somebody."""
    companies = {doc["_id"]: doc for doc in by_type["customer"]}
    for doc in _some(by_type["contact"], random):
        company = companies[doc["customerId"]]["companyName"]
        word = _longest(company)
        same = {
            one["_id"]
            for one in by_type["contact"]
            if one["lastName"] == doc["lastName"] and word in companies[one["customerId"]]["companyName"]
        }
        if word.isalpha() and word != doc["lastName"]:
            yield f"{doc['lastName']} {word}", same


def _titles(doctype: str, field: str, change: Callable[[str], str]) -> Callable[[ByType, Random], Made]:
    def make(by_type: ByType, random: Random) -> Made:
        for doc in _some(by_type[doctype], random):
            yield change(doc[field]), _same(by_type[doctype], field, doc[field])

    return make


def _first_and_last(title: str) -> str:
    found = re.findall(r"\w{4,}", title)
    return f"{found[0]} {found[-1]}" if len(found) > 2 else ""


def _sums(by_type: ByType, random: Random) -> Made:
    """The worth of an opportunity as it stands in a mail."""
    for doc in _some(by_type["opportunity"], random):
        value = doc["estimatedValue"]
        if value >= 1000:
            wanted = _same(by_type["opportunity"], "estimatedValue", value)
            wanted |= _same(by_type["project"], "contractValue", value)
            yield f"{value:,.2f}".translate(str.maketrans(",.", ".,")), wanted


def _hidden_words(by_type: ByType, random: Random) -> Made:
    """Words of a text, and the customer in whose name it was written."""
    for doc in _some(by_type["opportunity"], random):
        text = re.findall(r"\w{6,}", doc.get("description", ""))
        if len(text) > 3 and "–" in doc["title"]:
            company = _longest(doc["title"].split("–")[1])
            words = random.sample(text, 2)
            wanted = {
                one["_id"]
                for one in by_type["opportunity"]
                if company in one["title"] and all(word in one.get("description", "") for word in words)
            }
            yield f"{company} {words[0]} {words[1]}", wanted


def _swapped(one: str, other: str) -> Callable[[ByType, Random], Made]:
    """Another word for the same: whatever has the word itself in its title."""

    def make(by_type: ByType, random: Random) -> Made:
        everything = [
            (doc["_id"], str(doc.get(field, "")))
            for doctype, field in (
                ("customer", "companyName"), ("opportunity", "title"), ("project", "name"),
                ("activity", "subject"), ("project_task", "title"), ("user_task", "title"),
                ("lead", "companyName"), ("time_entry", "taskDescription"),
                ("project_cost", "description"),
            )
            for doc in by_type[doctype]
        ]  # fmt: skip
        for doc in _some([each for each in everything if one in each[1]], random):
            rest = [word for word in re.findall(r"\w{5,}", doc[1]) if one not in word]
            if rest:
                word = random.choice(rest)
                yield (
                    f"{other} {word}",
                    {docid for docid, text in everything if one in text and word in text},
                )

    return make


KINDS: Mapping[str, Callable[[ByType, Random], Made]] = {
    "name": _named(lambda name, _: name),
    "name in small letters without umlauts": _named(lambda name, _: _plain(name).lower()),
    "name on a foreign keyboard": _named(lambda name, _: _bare(name)),
    "a letter left out": _named(_left_out),
    "letters changed over": _named(_changed_over),
    "a letter too many": _named(_doubled),
    "still writing": _named(_begun),
    "words in another order": _named(_turned),
    "customer number": _by("customer", "customerNumber", lambda number: number.lower()),
    "its digits": _by("customer", "customerNumber", lambda number: number[2:]),
    "VAT number with blanks": _by("customer", "vatNumber", _in_groups),
    "mail address": _by("contact", "email", str),
    "telephone as in Germany": _by("contact", "phone", lambda phone: phone.replace("+49 ", "0")),
    "person": _people(lambda first, last: f"{first} {last}"),
    "last name first": _people(lambda first, last: f"{last}, {first}"),
    "person without umlauts": _people(lambda first, last: _plain(f"{first} {last}").lower()),
    "person and company": _contact_at,
    "company and town": _in_town(str),
    "company and town with capital letters": _in_town(lambda text: _plain(text).upper()),
    "street": _streets,
    "opportunity": _titles("opportunity", "title", _first_and_last),
    "project": _titles("project", "name", str),
    "sum": _sums,
    "words of a text": _hidden_words,
    "another word for it": _swapped("Hofladen", "Bauernladen"),
}
