"""Rules that more than one document takes part in, judged as the transaction has them all.

The stage is made of: what documents name (`references`), what there is one of (`uniqueness`), what cancels
another one (`storno`), what keeps one from being deleted (`guards`), and the rules below.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

from kompass.access.principals import Role
from kompass.domain import guards, keys, references, storno, uniqueness
from kompass.domain.amounts import number
from kompass.domain.changes import Body, Change, Facts
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings
from kompass.domain.times import moment

LONGEST_CHAIN = 100
"""Documents that refer to one another in a row, at most."""

_CHAINS = {"comment": "parentId", "offer": "supersededBy", "contract": "supersededBy"}
"""Types with documents that refer to others of the same type, and the field."""

_PEOPLE = {
    "customer": (("owner", Role.ADM),),
    "opportunity": (("owner", None),),
    "lead": (("owner", None),),
    "project": (("projectManagerId", None),),
    "project_task": (("assignedTo", None),),
    "user_task": (("assignedTo", None),),
    "tour": (("ownerId", None),),
}
"""Fields with the name of somebody who works here, and the role that he must have."""


def check(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Why the change doesn't fit what other documents say."""
    for rule in _RULES:
        refusal = rule(change, facts, settings)
        if refusal is not None:
            return refusal
    return None


def _circle(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Nothing refers to itself, by however many others."""
    field = _CHAINS.get(change.type)
    if change.doc is None or field is None or not change.changes(field):
        return None
    named = change.doc.get(field)
    for _ in range(LONGEST_CHAIN):
        if named == change.id:
            return Refusal(
                "reference.circle",
                f"{field} leads back to this document.",
                f"{field} führt zu diesem Dokument zurück.",
                (field,),
            )
        target = facts.document(named) if isinstance(named, str) else None
        if target is None or target.get("type") != change.type:
            return None
        named = target.get(field)
    return Refusal(
        "reference.chain",
        f"{field} leads through more than {LONGEST_CHAIN} documents.",
        f"{field} führt über mehr als {LONGEST_CHAIN} Dokumente.",
        (field,),
    )


def _people(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Whoever is made responsible works here."""
    if change.doc is None:
        return None
    for field, role in _PEOPLE.get(change.type, ()):
        name = change.doc.get(field)
        if name is None or not change.changes(field):
            continue
        if name == change.principal.name and (role is None or role in change.principal.roles):
            continue
        if not any(_works(facts.document(docid), role) for docid in facts.sharing(keys.USER_NAME, str(name))):
            who = f"with the role {role}" if role is not None else "who works here"
            wer = f"mit der Rolle {role}" if role is not None else "aus dem Haus"
            return Refusal(
                "reference.person",
                f"{field} is the user name of an active person {who}.",
                f"{field} ist der Benutzername einer aktiven Person {wer}.",
                (field,),
            )
    return None


def _works(user: Body | None, role: Role | None) -> bool:
    if user is None or user.get("type") != "user" or user.get("active") is not True:
        return False
    roles = user.get("roles")
    return role is None or (isinstance(roles, list) and role in roles)


def _contract_of_offer(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """A contract says what was offered."""
    doc = change.doc
    if doc is None or change.type != "contract":
        return None
    if not any(change.changes(field) for field in ("offerId", "contractValueEur", "contractDate")):
        return None
    offer = facts.document(str(doc.get("offerId")))
    if offer is None:
        return None
    value, total = doc.get("contractValueEur"), offer.get("totalEur")
    if value is not None and total is not None and abs(number(value) - number(total)) > Decimal("0.01"):
        return Refusal(
            "contract.value",
            "contractValueEur is the gross total of the offer.",
            "contractValueEur ist die Bruttosumme des Angebots.",
            ("contractValueEur",),
        )
    signed, offered = moment(doc.get("contractDate")), moment(offer.get("offerDate"))
    if signed is not None and offered is not None and signed.date() < offered.date():
        return Refusal(
            "contract.date",
            "contractDate is not before the date of the offer.",
            "contractDate liegt nicht vor dem Datum des Angebots.",
            ("contractDate",),
        )
    return None


def _milestone(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Milestones have ids of their own, and a task names one of its project."""
    doc = change.doc
    if doc is None:
        return None
    if change.type == "project" and change.changes("milestones"):
        ids = _milestones(doc)
        if len(ids) != len(set(ids)):
            return Refusal(
                "project.milestones",
                "Two milestones have the same id.",
                "Zwei Meilensteine haben dieselbe Kennung (id).",
                ("milestones",),
            )
    named = doc.get("milestone") if change.type == "project_task" else None
    if named is None or not change.changes("milestone"):
        return None
    project = facts.document(str(doc.get("projectId")))
    if project is None or named in _milestones(project):
        return None
    return Refusal(
        "reference.milestone",
        "milestone is the id of a milestone of the project.",
        "milestone ist die Kennung (id) eines Meilensteins des Projekts.",
        ("milestone",),
    )


def _milestones(project: Body) -> list[str]:
    found = project.get("milestones")
    if not isinstance(found, list):
        return []
    return [str(one["id"]) for one in found if isinstance(one, dict) and "id" in one]


def _contact_locations(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """A contact is the primary one of locations that are assigned to him."""
    doc = change.doc
    if doc is None or change.type != "contact":
        return None
    primary, assigned = doc.get("isPrimaryContactForLocations"), doc.get("assignedLocationIds")
    if not isinstance(primary, list) or set(map(str, primary)) <= set(
        map(str, assigned if isinstance(assigned, list) else [])
    ):
        return None
    return Refusal(
        "contact.locations",
        "isPrimaryContactForLocations names locations of assignedLocationIds.",
        "isPrimaryContactForLocations nennt Standorte aus assignedLocationIds.",
        ("isPrimaryContactForLocations",),
    )


def _meeting_in_tour(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """A meeting is on a day of its tour."""
    doc = change.doc
    if (
        doc is None
        or change.type != "meeting"
        or not (change.changes("tourId") or change.changes("scheduledAt"))
    ):
        return None
    tour = facts.document(str(doc.get("tourId")))
    if tour is None or _during(tour, doc):
        return None
    return Refusal(
        "meeting.tour",
        "scheduledAt is on a day of the tour.",
        "scheduledAt liegt an einem Tag der Tour.",
        ("scheduledAt", "tourId"),
    )


def _during(tour: Body, meeting: Body) -> bool:
    """Whether the meeting is on a day of the tour, as far as both say."""
    at = moment(meeting.get("scheduledAt"))
    if at is None:
        return True
    first, last = _day(tour.get("startDate")), _day(tour.get("endDate"))
    # The day here, in winter or in summer, whatever zone the time is written in.
    days = {(at + timedelta(hours=hours)).date() for hours in (1, 2)}
    return any((first is None or first <= day) and (last is None or day <= last) for day in days)


_LEFT_OUT = frozenset({"cancelled", "no_show"})
"""Outcomes of meetings that didn't take place."""
_MOST_NAMED = 5


def _tour_keeps_meetings(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """A tour isn't moved away from its meetings. Those that are moved in the same push come after it."""
    doc, before = change.doc, change.before
    if doc is None or before is None or change.type != "tour":
        return None
    if not (change.changes("startDate") or change.changes("endDate")):
        return None
    outside = []
    for meeting in facts.referring("meeting", "tourId", change.id):
        docid = str(meeting["_id"])
        then = facts.coming(docid) or meeting
        if then.get("tourId") != change.id or then.get("outcome") in _LEFT_OUT or _during(doc, then):
            continue
        if _during(before, meeting):  # what has been outside is nothing that this change does
            outside.append(docid)
    if not outside:
        return None
    more = f" (+{len(outside) - _MOST_NAMED})" if len(outside) > _MOST_NAMED else ""
    named = ", ".join(outside[:_MOST_NAMED]) + more
    return Refusal(
        "tour.dates",
        f"These meetings would be outside the tour's dates: {named}. Move or cancel them first, or in the"
        " same push.",
        f"Diese Termine lägen nicht mehr an einem Tag der Tour: {named}. Verlegen oder sagen Sie sie vorher"
        " ab, oder zusammen damit.",
        ("startDate", "endDate"),
    )


def _day(value: object) -> date | None:
    found = moment(value)
    return None if found is None else found.date()


def _outcome(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Who held a meeting corrects its outcome for a day; afterwards management does."""
    before = change.before
    if change.doc is None or before is None or change.type != "meeting":
        return None
    if before.get("outcome") is None or not change.changes("outcome") or Role.GF in change.principal.roles:
        return None
    ended = moment(before.get("scheduledAt"))
    if ended is not None:
        ended += timedelta(minutes=float(number(before.get("duration"))))
    if ended is not None and change.now <= ended + settings.outcome_correction:
        return None
    hours = int(settings.outcome_correction.total_seconds() // 3600)
    return Refusal(
        "meeting.outcome",
        f"The outcome is corrected within {hours} hours after the meeting, later by GF.",
        f"Das Ergebnis wird bis {hours} Stunden nach dem Termin korrigiert, später von der Geschäftsführung.",
        ("outcome",),
    )


def _tour_over(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """A tour is completed when each of its meetings was attended or didn't take place."""
    doc = change.doc
    if (
        doc is None
        or change.type != "tour"
        or doc.get("status") != "completed"
        or not change.changes("status")
    ):
        return None
    for meeting in facts.referring("meeting", "tourId", change.id):
        if meeting.get("attended") is not True and meeting.get("outcome") not in ("cancelled", "no_show"):
            return Refusal(
                "tour.meetings",
                "A tour is completed when each of its meetings is attended, or its outcome is cancelled or "
                "no_show.",
                "Eine Tour ist abgeschlossen, wenn jeder Termin wahrgenommen (attended) oder ausgefallen ist "
                "(Ergebnis „cancelled“ oder „no_show“).",
                ("status",),
            )
    return None


_RULES: tuple[Callable[[Change, Facts, BusinessSettings], Refusal | None], ...] = (
    _circle,
    references.check,
    _people,
    storno.check,
    uniqueness.check,
    guards.check,
    _contract_of_offer,
    _milestone,
    _contact_locations,
    _meeting_in_tour,
    _tour_keeps_meetings,
    _outcome,
    _tour_over,
)
