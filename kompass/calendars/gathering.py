"""Somebody's events, as he sees the documents now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any

from kompass.calendars import events
from kompass.calendars.events import Event
from kompass.calendars.store import Kind
from kompass.resources.gathering import STABLE, TooMany, gather
from kompass.sync.personal import PersonalDatabase
from replication.protocol import jsontext

MOST = 2000
"""Documents of a type within what a calendar shows."""


async def gathered(view: PersonalDatabase, person: str, kinds: Collection[Kind], today: date) -> list[Event]:
    """What is his of what he may read: tours that he leads with their meetings, meetings that he has made,
    tasks that are assigned to him, milestones of projects that he manages or works on. Raises `TooMany`.
    """
    found: list[Event | None] = []
    first, last = (today - events.PAST).isoformat(), (today + events.FUTURE).isoformat()
    if Kind.MEETINGS in kinds or Kind.TOURS in kinds:
        of_his = [("ownerId", person), ("endDate.gte", first), ("startDate.lte", last)]
        tours = await gather(view, "tours", "startDate", of_his, most=MOST)
        if Kind.TOURS in kinds:
            found += [events.tour(one) for one in tours]
        if Kind.MEETINGS in kinds:
            found += await _meetings(view, person, tours, first, last)
    if Kind.TASKS in kinds:
        for name in ("user-tasks", "project-tasks"):
            of_his = [("assignedTo", person), ("dueDate.gte", first), ("dueDate.lte", last)]
            tasks = await gather(view, name, "dueDate", of_his, most=MOST)
            found += [events.task(one) for one in tasks]
    if Kind.MILESTONES in kinds:
        for one in await _projects(view, person):
            found += events.milestones(one)
    return [one for one in found if one is not None and events.is_shown(one, today)]


async def _meetings(
    view: PersonalDatabase, person: str, tours: Iterable[Mapping[str, Any]], first: str, last: str
) -> list[Event | None]:
    """`tours`: his, of the days from `first` to `last`."""
    span = [("scheduledAt.gte", first), ("scheduledAt.lte", last)]
    own = {str(one["_id"]) for one in tours}
    made = await gather(view, "meetings", "scheduledAt", [("createdBy", person), *span], most=MOST)
    by_id = {one["_id"]: one for one in made if one.get("tourId") in own or one.get("tourId") is None}
    for tour in sorted(own):
        for one in await gather(view, "meetings", "scheduledAt", [("tourId", tour), *span], most=MOST):
            by_id[one["_id"]] = one
    if len(by_id) > MOST:
        raise TooMany(f"There are more than {MOST} meetings.")
    beside = {one.get(name) for one in by_id.values() for name in ("customerId", "locationId")}
    others = await _documents(view, [one for one in beside if isinstance(one, str) and one[:1] != "_"])
    return [
        events.meeting(one, others.get(str(one.get("customerId"))), others.get(str(one.get("locationId"))))
        for one in by_id.values()
    ]


async def _projects(view: PersonalDatabase, person: str) -> list[dict[str, Any]]:
    managed = await gather(view, "projects", STABLE, [("projectManagerId", person)], most=MOST)
    in_team = await gather(view, "projects", STABLE, [("teamMemberIds", person)], most=MOST)
    return list({one["_id"]: one for one in (*managed, *in_team)}.values())


async def _documents(view: PersonalDatabase, docids: list[str]) -> dict[str, dict[str, Any]]:
    """Those of the documents that he sees."""
    found = await view.winners(docids)
    return {
        docid: jsontext.decode(document.text) for docid, document in found.items() if not document.deleted
    }
