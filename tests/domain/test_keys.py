"""What customers are found by that may be there twice: the index finds whom a comparison with all finds."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from kompass.domain import keys, uniqueness
from tests.domain.world import World, change

ADDRESS = {"street": "Gartenstraße", "streetNumber": "12", "zipCode": "95028", "city": "Hof"}


def customer(docid: str, name: str, **address: str) -> dict[str, Any]:
    return {"_id": docid, "type": "customer", "companyName": name, "billingAddress": {**ADDRESS, **address}}


def levenshtein(one: str, other: str) -> int:
    """By the book."""
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        before, row = row, [place]
        for at, there in enumerate(other, 1):
            row.append(min(before[at] + 1, row[-1] + 1, before[at - 1] + (letter != there)))
    return row[-1]


_few = st.text("ab ", max_size=9)


@given(_few, _few, st.integers(0, 4))
def test_the_distance_is_levenshtein_s_as_far_as_it_matters(one: str, other: str, most: int) -> None:
    assert keys.distance(one, other, most) == min(levenshtein(one, other), most + 1)


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A customer and another one, with a few letters changed."""
    letters = "abcß 1"
    members = {
        "companyName": draw(st.text(letters, max_size=24)),
        "street": draw(st.text(letters, max_size=16)),
        "streetNumber": draw(st.text("123a ", max_size=3)),
        "zipCode": draw(st.sampled_from(["95028", "95030", "", "D-95028"])),
        "city": draw(st.sampled_from(["Hof", "Frankfurt am Main", ""])),
    }
    others = dict(members)
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(list(members)))
        text = others[name]
        at = draw(st.integers(0, len(text)))
        cut = draw(st.integers(0, 1))
        others[name] = text[:at] + draw(st.sampled_from(["", "a", "1", " "])) + text[at + cut :]
    return tuple(  # type: ignore[return-value]
        {**customer(docid, one.pop("companyName")), "billingAddress": one}
        for docid, one in (("customer-1", dict(members)), ("customer-2", dict(others)))
    )


@given(_pairs())
@example((customer("customer-1", "Autohaus Müller"), customer("customer-2", "Autohaus Müler", city="Hoff")))
@example((customer("customer-1", "abcdefghijklm"), customer("customer-2", "abcdefgh_jklmx")))
def test_who_is_alike_shares_a_piece(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    one, other = pair
    found = uniqueness.flags(change(one), World(other))
    assert bool(found) == keys.alike(one, other)
    text, there = keys.name_and_address(one), keys.name_and_address(other)
    zips = [keys.compact(each["billingAddress"].get("zipCode")) for each in pair]
    names = [keys.plain(each["companyName"]) for each in pair]
    shared = (zips[0] and zips[0] == zips[1]) or (names[0] and names[0] == names[1])
    assert keys.alike(one, other) == bool(shared and levenshtein(text, there) <= keys.CLOSE)


def test_a_piece_leaves_out_most_of_a_town() -> None:
    streets = ["Ring", "Gartenweg", "Am Markt", "Lange Gasse", "Hauptstr."]
    town = [
        customer(f"customer-{n}", f"{trade} {family}", street=streets[n % 5], streetNumber=str(1 + n % 83))
        for n, (trade, family) in enumerate(
            (trade, family)
            for trade in ("Bäckerei", "Metzgerei", "Autohaus", "Blumen", "Optik")
            for family in ("Müller", "Schmidt", "Weber", "Wagner", "Becker", "Hoffmann", "Koch", "Bauer")
        )
    ]
    world = World(*town)
    new = customer("customer-new", "Bäckerei Mueler", street="Ring", streetNumber="1")
    compared = {one for value in keys.pieces_of_alike(new) for one in world.sharing(keys.ALIKE, value)}
    assert "customer-0" in compared
    assert len(compared) < 5
    assert uniqueness.flags(change(new), world)[0].about == ("customer-0",)
