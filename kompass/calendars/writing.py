"""Events as iCalendar (RFC 5545). The same events make the same bytes.

Times are in UTC, so nobody has to understand a zone: calendars show them as it is where they are. Of a
`VTIMEZONE` with all changes since 1980, as the library makes one, programs take the first alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from icalendar import Calendar, vText
from icalendar import Event as Component

from kompass.calendars.events import Event

HERE = "Europe/Berlin"
REFRESH = timedelta(hours=1)
MOST_ABOUT = 2000
"""Characters of a description."""


def written(name: str, events: Iterable[Event]) -> bytes:
    """The calendar of that name."""
    calendar = Calendar()
    calendar.add("prodid", "-//KOMPASS//Kalender//DE")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", vText(_sound(name).replace("\n", " ")))
    calendar.add("x-wr-timezone", HERE)
    calendar.add("refresh-interval", REFRESH, parameters={"value": "DURATION"})
    calendar.add("x-published-ttl", "PT1H")
    for event in sorted(events, key=lambda one: one.uid):
        calendar.add_component(_component(event))
    return bytes(calendar.to_ical())


def _component(event: Event) -> Component:
    component = Component()
    component.add("uid", event.uid)
    component.add("dtstamp", event.changed.replace(microsecond=0))
    component.add("last-modified", event.changed.replace(microsecond=0))
    component.add("sequence", event.sequence)
    component.add("summary", _sound(event.summary))
    component.add("dtstart", event.start)
    component.add("dtend", event.end)
    component.add("status", "CANCELLED" if event.cancelled else "CONFIRMED")
    component.add("transp", "OPAQUE" if event.busy and not event.cancelled else "TRANSPARENT")
    if event.place:
        component.add("location", _sound(event.place))
    if event.about:
        component.add("description", _sound(event.about[:MOST_ABOUT]))
    return component


def _sound(text: str) -> str:
    """Without signs that no line may have; line ends are escaped by whoever writes."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(char for char in lines if char == "\n" or (char.isprintable() and char != "\u2028"))
