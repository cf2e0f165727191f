"""The days from 2024 to 2035 with Germany's public holidays, worked out from the laws' rules, not listed.

Sources: the holiday laws of the sixteen Länder as they stand in 2026. Easter by the Gregorian computus
(Meeus, Astronomical Algorithms, ch. 8).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

FIRST, LAST = date(2024, 1, 1), date(2035, 12, 31)

STATES = ("BB", "BE", "BW", "BY", "HB", "HE", "HH", "MV", "NI", "NW", "RP", "SH", "SL", "SN", "ST", "TH")
"""Länder by their usual letters."""

_EPIPHANY = ("BW", "BY", "ST")
_WOMENS_DAY = ("BE", "MV")
_EASTER_SUNDAY = ("BB",)
_CORPUS_CHRISTI = ("BW", "BY", "HE", "NW", "RP", "SL")
_ASSUMPTION = ("BY", "SL")
"""In Bavaria where most people are Catholic, in 1,704 of 2,056 municipalities: here the whole Land has it."""
_CHILDRENS_DAY = ("TH",)
_REFORMATION = ("BB", "HB", "HH", "MV", "NI", "SH", "SN", "ST", "TH")
_ALL_SAINTS = ("BW", "BY", "NW", "RP", "SL")
_REPENTANCE = ("SN",)


class Day(NamedTuple):
    """A row of `dim_time`."""

    date_key: int
    """YYYYMMDD."""

    day: date
    year: int
    quarter: int
    month: int
    week: int
    """By ISO 8601, of `week_year`."""

    week_year: int
    day_of_month: int
    day_of_week: int
    """1 is Monday."""

    is_weekend: bool
    is_holiday: bool
    holiday_name: str | None
    is_working_day: bool


def days(state: str) -> Iterator[Day]:
    """Every day, with the holidays of a Land."""
    known = {day: name for year in range(FIRST.year, LAST.year + 1) for day, name in holidays(year, state)}
    day = FIRST
    while day <= LAST:
        week = day.isocalendar()
        weekend, holiday = week.weekday > 5, known.get(day)
        yield Day(
            day.year * 10_000 + day.month * 100 + day.day,
            day,
            day.year,
            (day.month + 2) // 3,
            day.month,
            week.week,
            week.year,
            day.day,
            week.weekday,
            weekend,
            holiday is not None,
            holiday,
            not weekend and holiday is None,
        )
        day += timedelta(days=1)


def holidays(year: int, state: str) -> Iterator[tuple[date, str]]:
    """The public holidays of a year in a Land. Raises ValueError for a Land that there isn't."""
    if state not in STATES:
        raise ValueError(f"{state} is no German Land; known: {', '.join(STATES)}")
    easter = easter_sunday(year)

    def after_easter(count: int) -> date:
        return easter + timedelta(days=count)

    yield date(year, 1, 1), "Neujahr"
    if state in _EPIPHANY:
        yield date(year, 1, 6), "Heilige Drei Könige"
    if state in _WOMENS_DAY:
        yield date(year, 3, 8), "Internationaler Frauentag"
    yield after_easter(-2), "Karfreitag"
    if state in _EASTER_SUNDAY:
        yield easter, "Ostersonntag"
    yield after_easter(1), "Ostermontag"
    yield date(year, 5, 1), "Tag der Arbeit"
    if state == "BE" and year == 2025:
        yield date(2025, 5, 8), "Tag der Befreiung"  # once, by a law of its own
    yield after_easter(39), "Christi Himmelfahrt"
    if state in _EASTER_SUNDAY:
        yield after_easter(49), "Pfingstsonntag"
    yield after_easter(50), "Pfingstmontag"
    if state in _CORPUS_CHRISTI:
        yield after_easter(60), "Fronleichnam"
    if state in _ASSUMPTION:
        yield date(year, 8, 15), "Mariä Himmelfahrt"
    if state in _CHILDRENS_DAY:
        yield date(year, 9, 20), "Weltkindertag"
    yield date(year, 10, 3), "Tag der Deutschen Einheit"
    if state in _REFORMATION:
        yield date(year, 10, 31), "Reformationstag"
    if state in _ALL_SAINTS:
        yield date(year, 11, 1), "Allerheiligen"
    if state in _REPENTANCE:
        yield repentance_day(year), "Buß- und Bettag"
    yield date(year, 12, 25), "1. Weihnachtstag"
    yield date(year, 12, 26), "2. Weihnachtstag"


def easter_sunday(year: int) -> date:
    """By the Gregorian calendar."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (a + 11 * h) // 319
    r = (2 * e + 2 * i - k - h + m + 32) % 7
    month = (h - m + r + 90) // 25
    return date(year, month, (h - m + r + month + 19) % 32)


def repentance_day(year: int) -> date:
    """The Wednesday before 23 November."""
    last = date(year, 11, 22)
    return last - timedelta(days=(last.weekday() - 2) % 7)
