"""What the server has to write into a document: its number, times, derived values, and the marks of what is
final.

Everything is looked at as it is now, so a document that has what it should have lacks nothing.
"""

from __future__ import annotations

from typing import Any

from kompass.access.principals import Principal
from kompass.business.numbers import Numbers
from kompass.domain import corrections, derivations, freezing, sealing
from kompass.domain.changes import Body, Change, Facts
from kompass.domain.derivations import REMOVED
from kompass.domain.effects import SYSTEM
from kompass.domain.refusals import Refusal
from kompass.domain.series import CHANGE_LOG
from kompass.domain.upcasting import upcast

USES = frozenset(
    (use.type, use.field) for rows in freezing.FREEZES.values() for row in rows for use in row.uses
)
"""(type, field): a document of that type makes final what it names there."""


def lacking(
    body: Body, before: Body | None, facts: Facts, numbers: Numbers, principal: Principal | None
) -> dict[str, Any]:
    """Field -> the value it has to have, or `REMOVED`.

    `before` is the version that a person's change replaced, as far as it is stored; `principal` is who made
    it. What an older app has written gets today's form: nothing is worked out from an older one, in which the
    same number may mean something else.
    """
    found = {} if body.get("finalized") is True else _newer_form(body)
    if found:
        body = {name: value for name, value in {**body, **found}.items() if value is not REMOVED}
    number = numbers.settle(body)
    if number is not None:
        found[numbers.field(body)] = number
    found |= derivations.stamps(body, numbers.at)
    is_sealed = body.get("finalized") is True
    if not is_sealed:
        found |= derivations.computed(body, facts)
    elif before is not None and body.get(corrections.REASON) is not None:
        found |= _logged(body, before, facts, numbers, principal)
    if not is_sealed and body.get("type") in freezing.FREEZES:
        whole = {**body, **found}
        whole = {name: value for name, value in whole.items() if value is not REMOVED}
        if freezing.is_final(whole, facts):
            found |= sealing.seal(whole, numbers.now)
    return found


def _newer_form(body: Body) -> dict[str, Any]:
    current = upcast(body)
    if isinstance(current, Refusal) or current is body:
        return {}
    changed = {name: value for name, value in current.items() if name not in body or body[name] != value}
    return changed | {name: REMOVED for name in body if name not in current}


def _logged(
    body: Body, before: Body, facts: Facts, numbers: Numbers, principal: Principal | None
) -> dict[str, Any]:
    """The correction of a final document goes into its change log, under a number."""
    author = principal or Principal(str(body.get("modifiedBy") or SYSTEM), frozenset())
    fields = freezing.frozen_changes(Change(body, before, author, numbers.now), facts)
    if not fields:
        return {}
    number = numbers.next(numbers.table.named(CHANGE_LOG), str(body["_id"]))
    after = corrections.corrected(before, body, fields, author, numbers.now, number)
    return {"changeLog": after["changeLog"], corrections.REASON: REMOVED}
