"""Documents that break what somebody who writes a sink takes for granted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kompass.domain.examples import TYPES, docid, full, smallest
from tests.feed.changes import customer


class Exploding(dict[str, Any]):
    """A document in which whoever reads it fails, in the midst of a batch."""

    def _fail(self, *_: Any) -> Any:
        raise RuntimeError("a fault in the midst of a batch")

    __getitem__ = __iter__ = __contains__ = get = items = keys = values = copy = _fail
    __len__ = __or__ = __ror__ = _fail


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
