"""Three versions of a document make one: what goes together is put together, and what doesn't is asked.

`merge` is pure and total: the same versions and times give the same result on any server. A field that only
one side changed is taken from that side; one that both changed to the same value is taken from both; for the
rest there is a rule (`merge_rules`). What a rule decides against somebody is told in `decided`, so nothing is
lost without a trace; what only a person can decide is `open`, and the stored value stays meanwhile.
"""

from __future__ import annotations

from kompass.domain.field_merging import FieldMerging, When
from kompass.domain.merge_results import FieldConflict, Merged
from kompass.domain.merge_rules import AMOUNTS, ESCALATION
from kompass.domain.paths import ABSENT
from kompass.domain.versions import HOUSEKEEPING, Body, differs, equal, signed


def merge(
    doctype: str,
    base: Body,
    mine: Body,
    theirs: Body,
    mine_at: When,
    theirs_at: When,
    escalation: float = ESCALATION,
) -> Merged:
    """What two versions make together that come from one. `theirs` is the stored one.

    `merge(t, base, x, base)` is `x` and `merge(t, base, base, x)` is `x`. Changes no argument.
    """
    if equal(base, theirs) or (not differs(base, theirs) and not equal(base, mine)):
        return Merged(dict(mine))
    if not differs(base, mine):
        return Merged(dict(theirs))
    work = FieldMerging(doctype, theirs.get("status"), mine_at, theirs_at)
    work.escalates = max(involved(doctype, side) for side in (base, mine, theirs)) >= escalation
    result = work.members((), base, mine, theirs)
    result |= {name: theirs[name] for name in HOUSEKEEPING if name in theirs}
    result = signed(result, mine, theirs) if differs(result, theirs) else dict(theirs)
    return Merged(result, work.open, work.decided, work.escalates and bool(work.open))


def undecided(doctype: str, mine: Body, theirs: Body, escalation: float = ESCALATION) -> Merged:
    """The same where the version is gone that both come from: a person decides about every difference."""
    found = [
        FieldConflict((name,), ABSENT, mine.get(name, ABSENT), theirs.get(name, ABSENT), "no_base",
                      "theirs", 0.5, "theirs")
        for name in differs(mine, theirs)
    ]  # fmt: skip
    great = max(involved(doctype, mine), involved(doctype, theirs)) >= escalation
    return Merged(dict(theirs), found, [], great and bool(found))


def together(
    doctype: str,
    base: Body,
    mine: Body,
    theirs: Body,
    mine_at: When,
    theirs_at: When,
    escalation: float = ESCALATION,
) -> Merged:
    """The same where what the rules make of both is not allowed: a person decides about all that `mine`
    changed.
    """  # fmt: skip
    work = FieldMerging(doctype, theirs.get("status"), mine_at, theirs_at)
    found = []
    for name in differs(base, mine):
        sides = (base.get(name, ABSENT), mine.get(name, ABSENT), theirs.get(name, ABSENT))
        if not equal(sides[1], sides[2]):
            found.append(work.question((name,), *sides, "together"))
    great = max(involved(doctype, side) for side in (base, mine, theirs)) >= escalation
    return Merged(dict(theirs), found, [], great and bool(found))


def involved(doctype: str, body: Body) -> float:
    """Euros that a document is about, as far as it says so."""
    amounts = [body.get(name) for name in AMOUNTS.get(doctype, ())]
    return max((float(one) for one in amounts if isinstance(one, int | float) and one is not True), default=0)
