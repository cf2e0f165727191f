from __future__ import annotations

from datetime import date

import pytest

from kompass.readstore.calendar import FIRST, LAST, STATES, days, easter_sunday, holidays, repentance_day

EASTER = {
    2024: (3, 31),
    2025: (4, 20),
    2026: (4, 5),
    2027: (3, 28),
    2030: (4, 21),
    2035: (3, 25),
    2038: (4, 25),
}
HOW_MANY = {
    "BB": 12, "BE": 10, "BW": 12, "BY": 13, "HB": 10, "HE": 10, "HH": 10, "MV": 11, "NI": 10, "NW": 11,
    "RP": 11, "SH": 10, "SL": 12, "SN": 11, "ST": 11, "TH": 11,
}  # fmt: skip
"""As the Länder publish them for 2026."""


@pytest.mark.parametrize("year", EASTER)
def test_easter_falls_on_the_day_that_the_church_has(year: int) -> None:
    assert easter_sunday(year) == date(year, *EASTER[year])


def test_bavaria_in_2026() -> None:
    assert [f"{day:%d.%m.} {name}" for day, name in holidays(2026, "BY")] == [
        "01.01. Neujahr",
        "06.01. Heilige Drei Könige",
        "03.04. Karfreitag",
        "06.04. Ostermontag",
        "01.05. Tag der Arbeit",
        "14.05. Christi Himmelfahrt",
        "25.05. Pfingstmontag",
        "04.06. Fronleichnam",
        "15.08. Mariä Himmelfahrt",
        "03.10. Tag der Deutschen Einheit",
        "01.11. Allerheiligen",
        "25.12. 1. Weihnachtstag",
        "26.12. 2. Weihnachtstag",
    ]


@pytest.mark.parametrize("state", STATES)
def test_every_land_has_the_holidays_it_has(state: str) -> None:
    found = list(holidays(2026, state))
    assert len(found) == HOW_MANY[state]
    assert [day for day, _ in found] == sorted(day for day, _ in found)


def test_the_day_of_repentance_is_a_wednesday_in_november() -> None:
    assert [repentance_day(year).day for year in range(2024, 2030)] == [20, 19, 18, 17, 22, 21]
    assert {repentance_day(year).weekday() for year in range(2024, 2036)} == {2}


def test_an_unknown_land_is_refused() -> None:
    with pytest.raises(ValueError, match="XX is no German Land"):
        list(holidays(2026, "XX"))


def test_every_day_is_there_once() -> None:
    found = list(days("BY"))
    assert len(found) == (LAST - FIRST).days + 1
    assert len({one.date_key for one in found}) == len(found)
    by_key = {one.date_key: one for one in found}
    assert by_key[20260404].is_weekend
    assert not by_key[20260404].is_holiday
    assert by_key[20260406].holiday_name == "Ostermontag"
    assert not by_key[20260406].is_working_day
    assert by_key[20260407].is_working_day
    # The first days of January belong to the last week of the year before.
    assert (by_key[20270101].week, by_key[20270101].week_year, by_key[20270101].quarter) == (53, 2026, 1)
