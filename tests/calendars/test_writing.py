"""Calendars as text, read by the library and, where it folds and escapes, as bytes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from kompass.calendars import events
from kompass.calendars.events import Event
from kompass.calendars.writing import written

NOW = datetime(2026, 11, 3, 8, 0, tzinfo=UTC)
HOSTILE = 'Hof; Süß, \\n "x"\r\nEND:VEVENT\r\nBEGIN:VEVENT\nATTACH:file:///etc/passwd\x07\u2028'
MARKS = {"_id": "x-1", "version": 3, "modifiedAt": "2026-11-03T08:00:00.000Z"}


def an_event(**members: Any) -> Event:
    given = {"uid": "a@kompass", "summary": "Termin", "start": NOW, "end": NOW + timedelta(hours=1)}
    return Event(**{**given, "sequence": 2, "changed": NOW, **members})


def read(text: bytes) -> list[Any]:
    calendar = Calendar.from_ical(text)
    assert isinstance(calendar, Calendar)
    return list(calendar.walk("VEVENT"))


def test_times_need_no_zone_to_be_understood() -> None:
    text = written("Kalender", [an_event()])
    assert b"DTSTART:20261103T080000Z\r\n" in text
    assert b"DTEND:20261103T090000Z\r\n" in text
    assert b"TZID" not in text
    (one,) = read(text)
    assert (str(one["UID"]), one["SEQUENCE"], one["DTSTAMP"].dt) == ("a@kompass", 2, NOW)
    assert b"\n" not in text.replace(b"\r\n", b"")
    assert max(len(line) for line in text.split(b"\r\n")) <= 75
    assert text == written("Kalender", [an_event()])


def test_days_are_whole_days_and_their_end_is_the_day_after() -> None:
    body = {
        **MARKS,
        "title": "Eifel",
        "startDate": "2026-11-02",
        "endDate": "2026-11-04",
        "status": "planned",
    }
    event = events.tour(body)
    assert event is not None
    text = written("x", [event])
    assert b"DTSTART;VALUE=DATE:20261102\r\n" in text
    assert b"DTEND;VALUE=DATE:20261105\r\n" in text
    assert b"SEQUENCE:2\r\n" in text


@given(st.one_of(st.just(HOSTILE), st.text(max_size=300)))
def test_whatever_a_text_says_it_stays_one_property(text: str) -> None:
    found = written(text or "x", [an_event(summary=text, place=text, about=text)])
    (one,) = read(found)
    assert found.count(b"BEGIN:VEVENT\r\n") == 1
    assert b"\nATTACH" not in found
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    said = "".join(char for char in lines if char == "\n" or char.isprintable())
    assert str(one["SUMMARY"]) == said.replace("\\N", "\n")  # the library takes that for a line end


def test_what_was_cancelled_says_so_and_what_is_done_is_gone() -> None:
    due = {**MARKS, "title": "Rückruf", "dueDate": "2026-11-05"}
    cancelled = events.task({**due, "status": "cancelled"})
    assert cancelled is not None
    assert b"STATUS:CANCELLED" in written("x", [cancelled])
    assert events.task({**due, "status": "completed"}) is None
    assert events.task({**MARKS, "title": "Ohne Tag", "status": "open"}) is None
    project = {
        **MARKS,
        "name": "Laden",
        "milestones": [
            {"id": "m1", "name": "Aufmaß", "dueDate": "2026-12-01", "status": "pending"},
            {"id": "m2", "name": "Fertig", "dueDate": "2026-12-02", "status": "completed"},
            {"id": "m3", "name": "Ohne Tag", "status": "pending"},
        ],
    }
    assert [one.uid for one in events.milestones(project)] == ["x-1@kompass/m1"]
    assert not list(events.milestones({**project, "status": "cancelled"}))


def test_a_meeting_names_customer_and_place_only_if_they_may_be_read() -> None:
    body = {**MARKS, "scheduledAt": "2026-11-03T08:00:00.000Z", "duration": 60, "meetingType": "closing"}
    address = {"street": "Hauptstraße", "streetNumber": "1", "zipCode": "53894", "city": "Rode"}
    full = events.meeting(body, {"companyName": "Hof Süß"}, {"deliveryAddress": address})
    bare = events.meeting(body, None, None)
    assert full is not None
    assert bare is not None
    assert (full.summary, full.place) == ("Abschluss: Hof Süß", "Hauptstraße 1, 53894 Rode")
    assert (bare.summary, bare.place) == ("Abschluss", "")


def test_only_a_window_of_time_is_shown() -> None:
    today = date(2026, 11, 3)
    for days, shown in ((-92, False), (-89, True), (399, True), (402, False)):
        start = NOW + timedelta(days=days)
        assert events.is_shown(an_event(start=start, end=start + timedelta(hours=1)), today) is shown


def test_what_no_calendar_can_hold_takes_no_other_event_along() -> None:
    """Models take no such values, but whoever writes past the gate can store them."""
    endless = {**MARKS, "scheduledAt": "2026-11-03T08:00:00Z", "duration": 10**18}
    assert events.meeting(endless, None, None) is None
    assert events.tour({**MARKS, "startDate": "2026-11-03", "endDate": "9999-12-31"}) is None
    due = events.task({**MARKS, "dueDate": "2026-11-03", "modifiedAt": "0001-01-01T00:00:00+14:00"})
    assert due is not None
    assert written("x", [due])
