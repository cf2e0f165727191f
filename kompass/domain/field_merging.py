"""The fields of two versions, one after the other: taken from the side that changed them, or by a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kompass.domain import listing
from kompass.domain.merge_results import Decided, FieldConflict
from kompass.domain.merge_rules import AMOUNTS, GROUPS, TOGETHER, Rule, declared, default
from kompass.domain.paths import ABSENT, Steps, pattern_of
from kompass.domain.stamps import Stamp
from kompass.domain.versions import HOUSEKEEPING, Body, canonical, equal

When = Callable[[str], Stamp]
"""When a side gave a top-level field its value."""

MOST_LEVELS = 6
"""How deep objects are merged; what lies deeper is one value."""


class FieldMerging:
    """The fields of one merge. What it comes to is in `open` and `decided`."""

    def __init__(self, doctype: str, status: object, mine_at: When, theirs_at: When) -> None:
        self.doctype = doctype
        self.status = status
        self._mine_at = mine_at
        self._theirs_at = theirs_at
        self.escalates = False
        self.open: list[FieldConflict] = []
        self.decided: list[Decided] = []

    def members(self, at: Steps, base: Body, mine: Body, theirs: Body) -> dict[str, Any]:
        """An object, member by member, in the order of `theirs` and then of `mine`."""
        together = self._groups(base, mine, theirs) if at else frozenset()
        result: dict[str, Any] = {}
        for name in [*theirs, *(name for name in mine if name not in theirs)]:
            if not at and name in HOUSEKEEPING:
                continue
            sides = (base.get(name, ABSENT), mine.get(name, ABSENT), theirs.get(name, ABSENT))
            value = self.value((*at, name), *sides, one_thing=name in together)
            if value is not ABSENT:
                result[name] = value
        return result

    def value(self, at: Steps, base: Any, mine: Any, theirs: Any, *, one_thing: bool = False) -> Any:
        """One value; `one_thing`: it counts as changed by both whoever changed it."""
        if equal(mine, theirs):
            return theirs
        if not one_thing:
            if equal(base, mine):
                return theirs
            if equal(base, theirs):
                return mine
        return self._clash(at, base, mine, theirs)

    def _groups(self, base: Body, mine: Body, theirs: Body) -> frozenset[str]:
        """Members that both sides changed as one thing, each in its own way."""
        found: set[str] = set()
        for group in GROUPS:
            ours = [name for name in group if not _same_in(base, mine, name)]
            others = [name for name in group if not _same_in(base, theirs, name)]
            if ours and others:
                found.update(group)
        return frozenset(found)

    def _clash(self, at: Steps, base: Any, mine: Any, theirs: Any) -> Any:
        pattern = pattern_of(at)
        rule = declared(self.doctype, pattern)
        if rule is None:
            if isinstance(mine, Mapping) and isinstance(theirs, Mapping) and len(at) < MOST_LEVELS:
                return self.members(at, base if isinstance(base, Mapping) else {}, mine, theirs)
            if isinstance(mine, bool) and isinstance(theirs, bool):
                rule = Rule.YES
            else:
                rule = default(self.doctype, self.status)
        return getattr(self, f"_{rule}")(at, base, mine, theirs)

    # -- a rule each ---------------------------------------------------------------------------

    def _ask(self, at: Steps, base: Any, mine: Any, theirs: Any, kind: str = "ask") -> Any:
        self.open.append(self.question(at, base, mine, theirs, kind))
        return theirs

    def _status(self, at: Steps, base: Any, mine: Any, theirs: Any) -> Any:
        return self._ask(at, base, mine, theirs, "status")

    def _stored(self, at: Steps, base: Any, mine: Any, theirs: Any) -> Any:
        if self.escalates and at[0] in AMOUNTS.get(self.doctype, ()):
            return self._ask(at, base, mine, theirs, "amount")
        self.decided.append(Decided(at, Rule.STORED, "theirs", mine))
        return theirs

    def _derived(self, at: Steps, base: Any, mine: Any, theirs: Any) -> Any:
        return theirs

    def _latest(self, at: Steps, base: Any, mine: Any, theirs: Any, rule: Rule = Rule.LATEST) -> Any:
        newer = self._newer(at, mine, theirs)
        kept, lost = (mine, theirs) if newer == "mine" else (theirs, mine)
        self.decided.append(Decided(at, rule, newer, lost))
        return kept

    def _recent(self, at: Steps, base: Any, mine: Any, theirs: Any) -> Any:
        if self._apart(at) <= TOGETHER:
            return self._ask(at, base, mine, theirs, "recent")
        return self._latest(at, base, mine, theirs, Rule.RECENT)

    def _yes(self, at: Steps, base: Any, mine: Any, theirs: Any) -> Any:
        if not {type(mine), type(theirs)} <= {bool, type(None), type(ABSENT)}:
            return self._ask(at, base, mine, theirs)
        kept = mine if mine is True else theirs
        self.decided.append(Decided(at, Rule.YES, "mine" if mine is True else "theirs", ABSENT))
        return kept

    def _union(self, at: Steps, base: Any, mine: Any, theirs: Any) -> Any:
        was, ours, stored = (listing.items(one) for one in (base, mine, theirs))
        if was is None or ours is None or stored is None:
            return self._ask(at, base, mine, theirs)
        self.decided.append(Decided(at, Rule.UNION, "both", ABSENT))
        return listing.united(was, ours, stored, canonical)

    def _append(self, at: Steps, base: Any, mine: Any, theirs: Any) -> Any:
        texts = ["" if one is ABSENT or one is None else one for one in (base, mine, theirs)]
        if not all(isinstance(one, str) for one in texts):
            return self._ask(at, base, mine, theirs)
        newer = self._newer(at, mine, theirs)
        older, later = (texts[2], texts[1]) if newer == "mine" else (texts[1], texts[2])
        self.decided.append(Decided(at, Rule.APPEND, "both", ABSENT))
        return listing.appended(texts[0], older, later)

    def _items(self, at: Steps, base: Any, mine: Any, theirs: Any) -> Any:
        lists = [listing.items(one) for one in (base, mine, theirs)]
        if None in lists or not all(isinstance(item, Mapping) for one in lists for item in one or ()):
            return self._ask(at, base, mine, theirs)
        of_base, of_mine, of_theirs = (one or [] for one in lists)
        key = listing.common_key((of_base, of_mine, of_theirs))
        if key is None or len(at) >= MOST_LEVELS:
            self.decided.append(Decided(at, Rule.UNION, "both", ABSENT))
            return listing.united(of_base, of_mine, of_theirs, canonical)
        return self._items_by(key, at, of_base, of_mine, of_theirs)

    def _items_by(
        self, key: str, at: Steps, base: Sequence[Body], mine: Sequence[Body], theirs: Sequence[Body]
    ) -> list[Any]:
        """Objects that a member tells apart. Two new ones that were given the same position are both kept."""
        sides: list[dict[Any, Any]] = [
            {listing.mark(item[key]): item for item in side} for side in (base, mine, theirs)
        ]
        result: list[Any] = []
        displaced: list[Any] = []
        for one in listing.order(list(sides[0]), list(sides[1]), list(sides[2]), canonical):
            old, left, right = (side.get(one, ABSENT) for side in sides)
            step = (*at, (key, next(item[key] for item in (right, left, old) if item is not ABSENT)))
            gone = left is ABSENT or right is ABSENT
            if gone and not equal(old, left) and not equal(old, right):
                # One side took away what the other one changed.
                value = self._ask(step, old, left, right, "removed")
            elif gone or equal(left, right):
                value = self.value(step, old, left, right)
            elif old is ABSENT and key == "position":
                first, second = sorted((left, right), key=canonical)
                value = dict(first)
                displaced.append(dict(second))
            else:
                value = self.members(step, {} if old is ABSENT else old, left, right)
            if value is not ABSENT:
                result.append(value)
        if key == "position":
            result = listing.numbered(result, displaced)
        if displaced or len(result) != len(theirs):
            self.decided.append(Decided(at, Rule.ITEMS, "both", ABSENT))
        return result

    # -- whose change is the later one, and what is recommended ----------------------------------

    def _newer(self, at: Steps, mine: Any, theirs: Any) -> str:
        ours, others = self._mine_at(str(at[0])), self._theirs_at(str(at[0]))
        if ours == others:
            return "mine" if canonical(mine) > canonical(theirs) else "theirs"
        return "mine" if ours > others else "theirs"

    def _apart(self, at: Steps) -> int:
        return abs(self._mine_at(str(at[0])) - self._theirs_at(str(at[0])))

    def question(self, at: Steps, base: Any, mine: Any, theirs: Any, kind: str) -> FieldConflict:
        newer = self._newer(at, mine, theirs)
        recommendation, confidence = newer, _confidence(self._apart(at))
        if kind in ("status", "amount", "removed"):
            recommendation, confidence = "theirs", 0.5
        elif listing.is_empty(mine) != listing.is_empty(theirs):
            recommendation, confidence = ("theirs" if listing.is_empty(mine) else "mine"), 0.8
        return FieldConflict(at, base, mine, theirs, kind, recommendation, confidence, newer)


def _same_in(one: Body, other: Body, name: str) -> bool:
    return equal(one.get(name, ABSENT), other.get(name, ABSENT))


def _confidence(apart: int) -> float:
    """How sure it is that the later change is the better one: the longer ago the other one, the surer."""
    for span, confidence in ((TOGETHER, 0.5), (3_600_000, 0.6), (86_400_000, 0.7)):
        if apart <= span:
            return confidence
    return 0.8
