"""Whether a change keeps to the status graph of its type.

Rights have been judged before, by the access rules: they say who changes a document at all, and in which
states. Here it is about the step: is there such an edge, is it this person's, has the document what it asks
for.

A device may send the last of many versions only. So what lies between may be passed over where every edge on
the way says so, belongs to the same person, and has what it asks for in the version that came.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kompass.access.principals import Role
from kompass.domain.amounts import number
from kompass.domain.approvals import approve, signatures
from kompass.domain.changes import Body, Change, Facts
from kompass.domain.machines import MACHINES
from kompass.domain.machines.graph import PEOPLE, Edge, Machine, Need
from kompass.domain.ownership import owner
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings
from kompass.domain.storno import is_storno

_HOUSEKEEPING = frozenset({"modifiedBy", "modifiedAt", "version", "schemaVersion"})


def check(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Why the status graph, or an approval, forbids the change."""
    return signatures(change, facts, settings) or _check(change, facts, settings)


def _check(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    machine = MACHINES.get(change.type)
    if machine is None:
        return None
    if change.doc is None:
        assert change.before is not None
        return _deletion(machine, change.before)
    state = machine.state(change.doc)
    if state not in machine.states:
        return _unknown(machine)
    if change.before is None:
        if state in machine.initial or is_storno(change.doc):
            return None  # a Storno is compared with what it cancels, by rules of its own
        return _travel(machine, machine.initial, state, change, facts, settings)
    before = machine.state(change.before)
    if state == before:
        return _stay(machine, state, change, settings)
    edge = machine.edge(before, state)
    refusal = _refused(machine, edge, change, facts, settings) if edge is not None else None
    if edge is not None and (refusal is None or not edge.passing):
        return refusal
    return _travel(machine, (before,), state, change, facts, settings)


def _travel(
    machine: Machine,
    starts: Sequence[str],
    state: str,
    change: Change,
    facts: Facts,
    settings: BusinessSettings,
) -> Refusal | None:
    """Several edges at once, or an edge that a new document has gone already."""
    first: Refusal | None = None
    for start in starts:
        for way in machine.routes(start, state):
            refusal = None
            for edge in way:
                refusal = _refused(machine, edge, change, facts, settings)
                if refusal is not None:
                    break
            if refusal is None:
                return None
            first = first or refusal
    if first is not None:
        return first
    return _beginning(machine) if change.before is None else no_edge(machine, starts[0], state)


def _refused(
    machine: Machine, edge: Edge, change: Change, facts: Facts, settings: BusinessSettings
) -> Refusal | None:
    """Why this person can't take the edge with this document."""
    assert change.doc is not None
    who, roles = change.principal.name, change.principal.roles
    is_own = owner(change.current if change.before is None else change.before, facts) == who
    if roles.isdisjoint(edge.roles) and not (edge.owner and is_own):
        return _not_his(machine, edge)
    if edge.others and is_own and Role.GF not in roles:
        return Refusal(
            "status.own",
            f"{machine.english} is not approved or rejected by whose it is: somebody else does that, or GF.",
            f"{machine.german}: Die eigenen gibt niemand selbst frei; das macht jemand anderes oder die "
            "Geschäftsführung.",
            (machine.field,),
        )
    missing = _missing(edge.needs, change.doc, settings)
    if missing is not None:
        return _lacks(machine, edge.to, missing)
    return approve(edge.approval, change, facts, settings) if edge.approval is not None else None


def _stay(machine: Machine, state: str, change: Change, settings: BusinessSettings) -> Refusal | None:
    """What holds while the state stays as it is."""
    assert change.doc is not None
    if state in machine.closed:
        touched = tuple(field for field in change.changed() if field not in _HOUSEKEEPING)
        if not touched:
            return None
        return Refusal(
            "status.closed",
            f"{machine.english} that is {state} doesn't change any more.",
            f"{machine.german} mit dem Status „{state}“ wird nicht mehr geändert.",
            touched,
        )
    if any(change.changes(need.field) or change.changes("_attachments") for need in machine.kept(state)):
        missing = _missing(machine.kept(state), change.doc, settings)
        if missing is not None:
            return _lacks(machine, state, missing)
    return None


def _missing(needs: Iterable[Need], doc: Body, settings: BusinessSettings) -> Need | None:
    """The first that the document hasn't."""
    for need in needs:
        if need.when is not None and not need.when.holds(doc, settings):
            continue
        if not _has(need, doc):
            return need
    return None


def _has(need: Need, doc: Body) -> bool:
    if need.attachment is not None:
        attached = doc.get("_attachments")
        if isinstance(attached, dict) and any(name.lower().endswith(need.attachment) for name in attached):
            return True
    value = doc.get(need.field)
    if need.positive:
        return number(value) > 0
    if isinstance(value, str):
        return len(value.strip()) >= need.length
    return value is not None and value is not False


def _deletion(machine: Machine, before: Body) -> Refusal | None:
    state = machine.state(before)
    if state in machine.deletable:
        return None
    allowed = [one for one in machine.states if one in machine.deletable]
    english = f"only while it is {_or(allowed)}" if allowed else "never"
    german = f"nur mit dem Status {_oder(allowed)}" if allowed else "nie"
    return Refusal(
        "status.delete",
        f"{machine.english} is deleted {english}; it is {state}.",
        f"{machine.german} wird {german} gelöscht; der Status ist „{state}“.",
        (machine.field,),
    )


def no_edge(machine: Machine, before: str, state: str) -> Refusal:
    """There is no way from here to there; names where one can go."""
    ends = list(dict.fromkeys(edge.to for edge in machine.leaving(before)))
    if not ends:
        return Refusal(
            "status.edge",
            f"{machine.english} that is {before} stays so; it can't become {state}.",
            f"{machine.german} mit dem Status „{before}“ behält ihn; „{state}“ geht nicht.",
            (machine.field,),
        )
    return Refusal(
        "status.edge",
        f"{machine.english} that is {before} can become {_or(ends)}, not {state}.",
        f"{machine.german} mit dem Status „{before}“ kann {_oder(ends)} werden, nicht „{state}“.",
        (machine.field,),
    )


def _beginning(machine: Machine) -> Refusal:
    return Refusal(
        "status.initial",
        f"{machine.english} begins as {_or(machine.initial)}.",
        f"{machine.german} beginnt mit dem Status {_oder(machine.initial)}.",
        (machine.field,),
    )


def _unknown(machine: Machine) -> Refusal:
    return Refusal(
        "status.unknown",
        f"The {machine.field} is one of {', '.join(machine.states)}.",
        f"Erlaubt für {machine.field} ist: {', '.join(machine.states)}.",
        (machine.field,),
    )


def takers(edge: Edge) -> list[str]:
    """Who takes the edge, for a text: roles, `owner`."""
    if edge.roles == PEOPLE:
        return ["everybody"]
    return [*(["owner"] if edge.owner else []), *(role for role in Role if role in edge.roles)]


def _not_his(machine: Machine, edge: Edge) -> Refusal:
    who = takers(edge)
    english = " or ".join("whose it is" if one == "owner" else one for one in who) or "the server alone"
    german = " oder ".join("wem es gehört" if one == "owner" else one for one in who) or "nur der Server"
    return Refusal(
        "status.role",
        f"{machine.english} that is {edge.start} is made {edge.to} by {english}.",
        f"{machine.german}: Von „{edge.start}“ zu „{edge.to}“ führt: {german}.",
        (machine.field,),
    )


def _lacks(machine: Machine, state: str, need: Need) -> Refusal:
    english, german = f"needs {need.field}", f"{need.field} fehlt"
    if need.positive:
        english, german = f"needs {need.field} above 0", f"{need.field} muss größer als 0 sein"
    elif need.length > 1:
        english += f" with at least {need.length} characters"
        german = f"{need.field} braucht mindestens {need.length} Zeichen"
    if need.attachment is not None:
        english += f" or an attached {need.attachment or 'file'}"
        german += f" (oder eine angehängte Datei{' ' + need.attachment if need.attachment else ''})"
    if need.when is not None:
        english += f", {need.when.english}"
        german += f", {need.when.german}"
    return Refusal(
        "status.needs",
        f"{machine.english} that is {state} {english}.",
        f"{machine.german} mit dem Status „{state}“: {german}.",
        (need.field,),
    )


def _or(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _oder(names: Sequence[str]) -> str:
    quoted = [f"„{name}“" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} oder {quoted[-1]}"
