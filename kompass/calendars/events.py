"""What of somebody's documents stands in his calendar. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from kompass.domain.derivations import moment
from kompass.domain.labels import name_of

Body = Mapping[str, Any]
"""A document as it is stored."""

PAST, FUTURE = timedelta(days=90), timedelta(days=400)
"""What lies outside isn't shown."""
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_YEARS = range(1900, 2200)
_LONGEST = 24 * 60
"""Minutes of a meeting."""

_MEETINGS = {
    "first_visit": "Erstbesuch",
    "follow_up": "Folgetermin",
    "presentation": "Präsentation",
    "negotiation": "Verhandlung",
    "closing": "Abschluss",
    "project_review": "Projektbesprechung",
    "other": "Termin",
}


@dataclass(frozen=True, slots=True)
class Event:
    uid: str
    """Stays the same for as long as the document is there."""
    summary: str
    start: date | datetime
    """A day, or a time in UTC."""
    end: date | datetime
    """The day after the last one, or a time."""
    sequence: int
    """Grows with each change."""
    changed: datetime
    cancelled: bool = False
    busy: bool = True
    place: str = ""
    about: str = ""


def meeting(body: Body, customer: Body | None, location: Body | None) -> Event | None:
    """`customer` and `location`: as far as they may be read; None else."""
    start, length = _time(body.get("scheduledAt")), body.get("duration")
    if start is None or not isinstance(length, int) or not 0 <= length <= _LONGEST:
        return None
    title = body.get("title")
    kind = _MEETINGS.get(str(body.get("meetingType")), "Termin")
    called = name_of(customer) if customer is not None else ""
    summary = title if isinstance(title, str) and title else kind
    return Event(
        uid=_uid(body),
        summary=f"{summary}: {called}" if called else summary,
        start=start,
        end=start + timedelta(minutes=length),
        cancelled=body.get("outcome") == "cancelled",
        place=_address(location),
        about=kind,
        **_version(body),
    )


def tour(body: Body) -> Event | None:
    start, end = _day(body.get("startDate")), _day(body.get("endDate"))
    if start is None or end is None or end < start:
        return None
    region = body.get("region")
    place = region if isinstance(region, str) else ""
    return _whole_days(body, f"Tour: {name_of(body)}", start, end, place=place)


def task(body: Body) -> Event | None:
    """A task of any kind, on the day when it is due; None for one that is done."""
    due = _day(body.get("dueDate"))
    if due is None or body.get("status") in {"completed", "done"}:
        return None
    about = body.get("description")
    return _whole_days(
        body, f"Fällig: {name_of(body)}", due, due, about=about if isinstance(about, str) else ""
    )


def milestones(project: Body) -> Iterator[Event]:
    """Those of a project that aren't reached yet."""
    if project.get("status") in {"completed", "cancelled"}:
        return
    found = project.get("milestones")
    for one in found if isinstance(found, list) else ():
        if not isinstance(one, Mapping) or one.get("status") == "completed":
            continue
        due, key = _day(one.get("dueDate")), one.get("id")
        if due is None or not isinstance(key, str):
            continue
        summary = f"Meilenstein: {one.get('name')} ({name_of(project)})"
        event = _whole_days(project, summary, due, due)
        yield replace(event, uid=f"{event.uid}/{key}", cancelled=one.get("status") == "cancelled")


def _whole_days(
    body: Body, summary: str, first: date, last: date, *, place: str = "", about: str = ""
) -> Event:
    """From one day to another, which keep nobody from other appointments."""
    return Event(
        uid=_uid(body),
        summary=summary,
        start=first,
        end=last + timedelta(days=1),
        cancelled=body.get("status") == "cancelled",
        busy=False,
        place=place,
        about=about,
        **_version(body),
    )


def is_shown(event: Event, today: date) -> bool:
    """Whether it lies within what a calendar shows."""
    first = event.start.date() if isinstance(event.start, datetime) else event.start
    last = event.end.date() if isinstance(event.end, datetime) else event.end
    return last >= today - PAST and first <= today + FUTURE


def _uid(body: Body) -> str:
    return f"{body['_id']}@kompass"


def _version(body: Body) -> dict[str, Any]:
    version, changed = body.get("version"), _time(body.get("modifiedAt"))
    return {
        "sequence": version - 1 if isinstance(version, int) and version > 0 else 0,
        "changed": _EPOCH if changed is None else changed,
    }


def _time(value: object) -> datetime | None:
    """In UTC; None, as below, for what is none, or lies where no calendar begins or ends."""
    found = moment(value)
    if found is None or found.year not in _YEARS:
        return None
    return found.astimezone(UTC)


def _day(value: object) -> date | None:
    if not isinstance(value, str):
        return None
    try:
        found = date.fromisoformat(value)
    except ValueError:
        return None
    return found if found.year in _YEARS else None


def _address(location: Body | None) -> str:
    if location is None:
        return ""
    address = location.get("deliveryAddress")
    if not isinstance(address, Mapping):
        return ""

    def said(*names: str) -> str:
        return " ".join(one for name in names if isinstance(one := address.get(name), str) and one)

    parts = (said("street", "streetNumber"), said("zipCode", "city"))
    return ", ".join(one for one in parts if one)
