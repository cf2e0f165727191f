"""Three versions make one: the promises, with generated versions, and what each rule does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompass.access.audiences import AUDIENCES
from kompass.domain.merge_results import Merged
from kompass.domain.merge_rules import TOGETHER, Rule, declared, rule_of
from kompass.domain.merging import merge, undecided
from kompass.domain.paths import ABSENT, changed_at, pattern_of, text_of, value_at
from kompass.domain.stamps import bounded, claimed
from kompass.domain.upcasting import alike
from kompass.domain.versions import HOUSEKEEPING, applied, canonical, differs, equal

HOUR = 3_600_000


def together(
    doctype: str, base: Any, mine: Any, theirs: Any, mine_at: int = 2 * HOUR, theirs_at: int = HOUR
) -> Merged:
    return merge(doctype, base, mine, theirs, lambda _: mine_at, lambda _: theirs_at)


# -- promises, for any type and any text -----------------------------------------------------------

FIELDS = [
    "type", "status", "tags", "teamMemberIds", "notes", "description", "phone", "estimatedValue", "totalEur",
    "isActive", "lineItems", "milestones", "deliveryAddress", "dsgvoConsent", "offerNumber", "modifiedBy",
    "version",
]  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-1, 2), st.sampled_from(["", "a", "b", "draft"]))
ITEM = st.dictionaries(st.sampled_from(["id", "position", "name", "unitPriceEur"]), SCALARS, max_size=4)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.lists(ITEM, max_size=3),
    st.dictionaries(st.sampled_from(["street", "streetNumber", "zipCode", "city", "flag"]), SCALARS),
)
BODIES = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6)
TYPES = st.sampled_from(sorted(AUDIENCES))
TIMES = st.integers(0, 3).map(lambda one: one * TOGETHER)


@given(TYPES, BODIES, BODIES, TIMES, TIMES)
def test_who_is_alone_gets_what_he_wrote(kind: str, base: Any, one: Any, first: int, second: int) -> None:
    assert together(kind, base, one, base, first, second).body == one
    assert together(kind, base, base, one, first, second).body == one
    assert applied(base, one, base) == one


@given(TYPES, BODIES, BODIES, TIMES, TIMES)
def test_the_same_change_on_both_sides_is_one(
    kind: str, base: Any, one: Any, first: int, second: int
) -> None:
    merged = together(kind, base, one, one, first, second)
    assert equal(merged.body, one)
    assert (merged.open, merged.decided) == ([], [])


@given(TYPES, BODIES, BODIES, BODIES, TIMES, TIMES)
def test_a_merge_is_always_the_same(
    kind: str, base: Any, mine: Any, theirs: Any, first: int, second: int
) -> None:
    before = canonical([base, mine, theirs])
    merged = together(kind, base, mine, theirs, first, second)
    assert canonical([base, mine, theirs]) == before
    again = together(kind, base, mine, theirs, first, second)
    assert list(again.body.items()) == list(merged.body.items())
    assert again == merged


@given(TYPES, BODIES, BODIES, BODIES, TIMES, TIMES)
def test_what_one_side_alone_changed_is_in_the_merge(
    kind: str, base: Any, mine: Any, theirs: Any, first: int, second: int
) -> None:
    merged = together(kind, base, mine, theirs, first, second).body
    for name in {*base, *mine, *theirs} - HOUSEKEEPING:
        sides = [one.get(name, ABSENT) for one in (base, mine, theirs)]
        if equal(sides[0], sides[1]):
            assert equal(merged.get(name, ABSENT), sides[2])
        elif equal(sides[0], sides[2]):
            assert equal(merged.get(name, ABSENT), sides[1])


@given(TYPES, BODIES, BODIES, BODIES, TIMES, TIMES)
def test_what_both_changed_is_in_the_merge_or_told(
    kind: str, base: Any, mine: Any, theirs: Any, first: int, second: int
) -> None:
    """Nothing that a person wrote is lost without a trace."""
    merged = together(kind, base, mine, theirs, first, second)
    told = {one.steps[0] for one in merged.open} | {one.steps[0] for one in merged.decided}
    for name in {*mine, *theirs} - HOUSEKEEPING:
        for side in (mine, theirs):
            if equal(side.get(name, ABSENT), base.get(name, ABSENT)) or name in told:
                continue
            if declared(kind, name) is Rule.DERIVED or rule_of(kind, name) is Rule.DERIVED:
                continue
            value = merged.body.get(name, ABSENT)
            assert equal(value, side.get(name, ABSENT)) or isinstance(value, list | dict), (name, merged)


@given(TYPES, BODIES, BODIES, BODIES, TIMES, TIMES)
def test_the_order_in_which_two_arrive_does_not_matter(
    kind: str, base: Any, one: Any, other: Any, first: int, second: int
) -> None:
    """Where a rule prefers what is stored it does; everywhere else both orders make the same."""
    there = together(kind, base, {**other, "status": "x"}, {**one, "status": "x"}, second, first)
    here = together(kind, base, {**one, "status": "x"}, {**other, "status": "x"}, first, second)
    asked = {each.name for each in [*here.open, *there.open]}
    assert {each.path for each in here.open} == {each.path for each in there.open}
    fixed = {each.steps[0] for each in [*here.decided, *there.decided] if each.rule is Rule.STORED}
    for name in {*here.body, *there.body} - HOUSEKEEPING - asked - fixed:
        if rule_of(kind, name, "x") is Rule.DERIVED or declared(kind, name) is Rule.DERIVED:
            continue
        mine, theirs = here.body.get(name, ABSENT), there.body.get(name, ABSENT)
        assert equal(_sorted(mine), _sorted(theirs)), name


def _sorted(value: Any) -> Any:
    """Members have no order."""
    return canonical(value)


@given(TYPES, BODIES, BODIES, BODIES, TIMES, TIMES)
def test_what_is_open_keeps_the_stored_value(
    kind: str, base: Any, mine: Any, theirs: Any, first: int, second: int
) -> None:
    merged = together(kind, base, mine, theirs, first, second)
    for one in merged.open:
        assert equal(value_at(merged.body, one.steps), value_at(theirs, one.steps)), one
        chosen = changed_at(merged.body, one.steps, one.mine)
        assert equal(value_at(chosen, one.steps), one.mine), one
        assert one.recommendation in ("mine", "theirs")
        assert 0 <= one.confidence <= 1


@given(TYPES, BODIES, BODIES)
def test_without_a_base_every_difference_is_asked(kind: str, mine: Any, theirs: Any) -> None:
    merged = undecided(kind, mine, theirs)
    assert merged.body == theirs
    assert [one.path for one in merged.open] == differs(mine, theirs)


# -- the rules by themselves -------------------------------------------------------------------------


def paths(merged: Merged) -> list[str]:
    return [one.path for one in merged.open]


def test_a_field_of_a_customer_is_asked() -> None:
    merged = together("customer", {"phone": "1"}, {"phone": "2", "email": "x"}, {"phone": "3"})
    assert merged.body == {"phone": "3", "email": "x"}
    (one,) = merged.open
    assert (one.path, one.base, one.mine, one.theirs, one.kind) == ("phone", "1", "2", "3", "ask")
    assert (one.recommendation, one.confidence) == ("mine", 0.6)


def test_members_of_an_address_are_merged_one_by_one() -> None:
    base = {"deliveryAddress": {"street": "A", "streetNumber": "1", "city": "X", "country": "D"}}
    mine = {"deliveryAddress": {"street": "B", "streetNumber": "1", "city": "X", "country": "D"}}
    theirs = {"deliveryAddress": {"street": "C", "streetNumber": "1", "city": "X", "country": "E"}}
    merged = together("location", base, mine, theirs)
    assert paths(merged) == ["deliveryAddress.street"]
    assert merged.body["deliveryAddress"] == {"street": "C", "streetNumber": "1", "city": "X", "country": "E"}
    theirs = {"deliveryAddress": {"street": "A", "streetNumber": "1", "city": "X", "country": "E"}}
    assert together("location", base, mine, theirs).body["deliveryAddress"] == {
        "street": "B", "streetNumber": "1", "city": "X", "country": "E",
    }  # fmt: skip


def test_a_street_of_one_and_a_number_of_the_other_are_no_address() -> None:
    base = {"deliveryAddress": {"street": "A", "streetNumber": "1"}}
    mine = {"deliveryAddress": {"street": "B", "streetNumber": "1"}}
    theirs = {"deliveryAddress": {"street": "A", "streetNumber": "2"}}
    merged = together("location", base, mine, theirs)
    assert paths(merged) == ["deliveryAddress.street", "deliveryAddress.streetNumber"]
    assert merged.body == theirs


def test_sets_are_united_and_what_was_taken_away_stays_away() -> None:
    base, mine, theirs = {"tags": ["a", "b"]}, {"tags": ["b", "z"]}, {"tags": ["a", "b", "c"]}
    assert together("opportunity", base, mine, theirs).body == {"tags": ["b", "c", "z"]}


def test_notes_of_both_are_kept_the_earlier_first() -> None:
    base, mine, theirs = {"notes": "eins"}, {"notes": "eins\nzwei"}, {"notes": "eins\ndrei"}
    assert together("customer", base, mine, theirs).body == {"notes": "eins\ndrei\nzwei"}
    assert together("customer", base, mine, theirs, HOUR, 2 * HOUR).body == {"notes": "eins\nzwei\ndrei"}


def test_a_flag_that_somebody_set_is_set() -> None:
    merged = together("location", {}, {"isHotel": True}, {"isHotel": False})
    assert merged.body == {"isHotel": True}


def test_consents_are_asked_as_one_thing() -> None:
    merged = together(
        "customer",
        {"dsgvoConsent": {"marketing": True, "aiProcessing": True}},
        {"dsgvoConsent": {"marketing": False, "aiProcessing": True}},
        {"dsgvoConsent": {"marketing": True, "aiProcessing": False}},
    )
    assert paths(merged) == ["dsgvoConsent"]


def test_the_later_change_of_a_time_entry_counts() -> None:
    base, mine, theirs = ({"taskDescription": text} for text in ("a", "b", "c"))
    later = together("time_entry", base, mine, theirs)
    assert later.body == mine
    assert [(one.path, one.taken, one.lost) for one in later.decided] == [("taskDescription", "mine", "c")]
    earlier = together("time_entry", base, mine, theirs, HOUR, 2 * HOUR)
    assert earlier.body == theirs
    assert earlier.decided[0].lost == "b"


def test_changes_within_five_minutes_are_asked_where_it_matters() -> None:
    base, mine, theirs = ({"nextStep": text} for text in ("a", "b", "c"))
    assert paths(together("opportunity", base, mine, theirs, HOUR + TOGETHER, HOUR)) == ["nextStep"]
    assert together("opportunity", base, mine, theirs, HOUR + TOGETHER + 1, HOUR).body == mine


def test_stored_money_stays_and_the_other_value_is_told() -> None:
    merged = together(
        "opportunity", {"estimatedValue": 1}, {"estimatedValue": 30_000}, {"estimatedValue": 20_000}
    )
    assert merged.body == {"estimatedValue": 20_000}
    assert (merged.decided[0].rule, merged.decided[0].lost) == (Rule.STORED, 30_000)
    assert not merged.open


@pytest.mark.parametrize("side", [0, 1, 2])
def test_from_fifty_thousand_euros_on_management_decides(side: int) -> None:
    values = [100, 200, 300]
    values[side] = 50_000
    base, mine, theirs = ({"estimatedValue": one} for one in values)
    merged = together("opportunity", base, mine, theirs)
    assert merged.body == theirs
    assert [one.kind for one in merged.open] == ["amount"]
    assert merged.escalated


def test_an_expense_is_asked_once_it_is_submitted() -> None:
    for status, asked in (("draft", []), ("rejected", []), ("submitted", ["title"])):
        base, mine, theirs = ({"status": status, "title": one} for one in "abc")
        assert paths(together("expense", base, mine, theirs)) == asked


def test_statuses_are_asked() -> None:
    base, mine, theirs = ({"status": one} for one in ("open", "completed", "cancelled"))
    (one,) = together("user_task", base, mine, theirs).open
    assert (one.kind, one.recommendation) == ("status", "theirs")


LINES = [{"position": 1, "description": "A", "unitPriceEur": 5}, {"position": 2, "description": "B"}]


def lines(*items: dict[str, Any]) -> dict[str, Any]:
    return {"status": "draft", "lineItems": list(items)}


def test_items_are_merged_by_their_position() -> None:
    base = lines(*LINES)
    mine = lines({**LINES[0], "description": "mine"}, LINES[1], {"position": 3, "description": "M"})
    theirs = lines({**LINES[0], "unitPriceEur": 6}, {"position": 3, "description": "T"})
    merged = together("offer", base, mine, theirs)
    assert merged.open == []
    assert merged.body["lineItems"] == [
        {"position": 1, "description": "mine", "unitPriceEur": 6},
        {"position": 3, "description": "M"},
        {"position": 4, "description": "T"},
    ]


def test_an_item_that_one_took_away_and_the_other_changed_is_asked() -> None:
    base, mine = lines(*LINES), lines(LINES[0])
    theirs = lines(LINES[0], {"position": 2, "description": "C"})
    (one,) = together("offer", base, mine, theirs).open
    assert (one.path, one.kind, one.mine) == ("lineItems[2]", "removed", ABSENT)
    (one,) = together("offer", base, theirs, mine).open
    assert (one.path, one.kind, one.theirs) == ("lineItems[2]", "removed", ABSENT)


def test_a_price_in_an_item_is_not_overwritten() -> None:
    base, mine, theirs = (lines({"position": 1, "unitPriceEur": one}) for one in (1, 2, 3))
    merged = together("offer", base, mine, theirs)
    assert merged.body == theirs
    assert [(one.path, one.lost) for one in merged.decided] == [("lineItems[1].unitPriceEur", 2)]


def test_paths() -> None:
    steps = ("lineItems", ("position", 3), "quantity")
    assert (text_of(steps), pattern_of(steps)) == ("lineItems[3].quantity", "lineItems[].quantity")
    body = lines({"position": 3, "quantity": 1})
    assert value_at(body, steps) == 1
    assert changed_at(body, steps, 2) == lines({"position": 3, "quantity": 2})
    assert changed_at(body, steps, ABSENT) == lines({"position": 3})
    assert changed_at(body, steps[:2], ABSENT) == lines()
    assert body == lines({"position": 3, "quantity": 1})


# -- clocks ------------------------------------------------------------------------------------------


def stamp(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("says", "counts"),
    [
        ("2026-03-02T10:00:00.000Z", "2026-03-02T10:00:00"),
        ("2026-03-02T11:00:00+01:00", "2026-03-02T10:00:00"),
        ("2031-01-01T00:00:00Z", "2026-03-02T12:00:00"),
        ("1999-01-01T00:00:00Z", "2026-03-01T00:00:00"),
        ("yesterday", "2026-03-02T12:00:00"),
        (None, "2026-03-02T12:00:00"),
        (17, "2026-03-02T12:00:00"),
    ],
)
def test_a_clock_counts_within_what_the_server_knows(says: object, counts: str) -> None:
    earliest, received = stamp("2026-03-01T00:00:00"), stamp("2026-03-02T12:00:00")
    assert bounded(says, earliest, received) == stamp(counts)


def test_hostile_times_are_no_times() -> None:
    for text in ("9" * 50, "0001-01-01T00:00:00+23:59", "2026-13-01", "\0", "2026-03-02T10:00:00" * 9):
        assert claimed(text) is None or isinstance(claimed(text), int)


# -- versions that an older app wrote --------------------------------------------------------------

RATES = {0.07: 7, 0.19: 19}
STAGES = {"new": "lead", "qualifying": "Qualified", "negotiation": "negotiation", "lost": "closed_lost"}


def older(body: dict[str, Any]) -> dict[str, Any]:
    """The same as the first app wrote it: tax rates in percent, `stage` in place of `status`."""
    found = {name: value for name, value in body.items() if name not in ("schemaVersion", "status")}
    if "taxRate" in body:
        found["taxRate"] = RATES[body["taxRate"]]
    if "lineItems" in body:
        found["lineItems"] = [{**item, "taxRate": RATES[item["taxRate"]]} for item in body["lineItems"]]
    if "status" in body:
        stage = body["type"] == "opportunity"
        found["stage" if stage else "status"] = STAGES[body["status"]] if stage else body["status"]
    return found


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


LINE = st.fixed_dictionaries(
    {"position": st.integers(1, 3), "taxRate": st.sampled_from(sorted(RATES)), "quantity": st.integers(1, 2)}
)
OFFER = optional(
    taxRate=st.sampled_from(sorted(RATES)),
    lineItems=st.lists(LINE, max_size=3, unique_by=lambda item: item["position"]),
    notes=st.sampled_from(["", "a", "b"]),
    title=st.sampled_from(["x", "y", "z"]),
).map(lambda body: {"type": "offer", "status": "draft", "schemaVersion": 2, **body})
OPPORTUNITY = optional(
    estimatedValue=st.integers(1, 3), notes=st.sampled_from(["", "a"]), title=st.sampled_from(["x", "y"])
).flatmap(
    lambda body: st.sampled_from(sorted(STAGES)).map(
        lambda status: {"type": "opportunity", "status": status, "schemaVersion": 2, **body}
    )
)
THREE = st.one_of(st.tuples(OFFER, OFFER, OFFER), st.tuples(OPPORTUNITY, OPPORTUNITY, OPPORTUNITY))


@given(THREE, st.tuples(st.booleans(), st.booleans(), st.booleans()), TIMES, TIMES)
def test_it_makes_no_difference_which_app_wrote_a_version(
    versions: tuple[Any, Any, Any], by_old_app: tuple[bool, bool, bool], first: int, second: int
) -> None:
    base, mine, theirs = versions
    written = [older(one) if old else one for one, old in zip(versions, by_old_app, strict=True)]
    before = canonical(written)
    kind = base["type"]
    expected = together(kind, base, mine, theirs, first, second)
    was, ours, stored = alike(*written)
    found = together(kind, was, ours, stored, first, second)
    assert canonical(written) == before
    said = found.body.pop("schemaVersion", 2)
    assert said == 2
    assert not differs(found.body, {k: v for k, v in expected.body.items() if k != "schemaVersion"})
    assert found.escalated == expected.escalated
    told = [[*one.open, *one.decided] for one in (found, expected)]
    assert sorted(map(repr, told[0])) == sorted(map(repr, told[1]))


def test_a_form_is_said_by_all_or_by_none() -> None:
    plain = {"type": "offer", "notes": "a"}
    assert alike(plain, {**plain, "notes": "b"}) == [plain, {**plain, "notes": "b"}]
    brought = {**plain, "schemaVersion": 2}
    assert alike(plain, {**plain, "taxRate": 19})[0] == brought
    unknown = {**plain, "schemaVersion": 9, "taxRate": 19}
    assert alike(plain, unknown) == [plain, unknown]
    assert alike({"type": []}, {"schemaVersion": "x"}) == [{"type": []}, {"schemaVersion": "x"}]
