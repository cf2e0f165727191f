"""Whether a change is nothing but what the erasure of a person does to a document: his name and numbers make
room for a pseudonym, some fields go, and everything else stays.

By this an erasure that was done on another server is told from somebody who changes what is final. It can't
be told from it that there was a person; but no amount, date, number, reference or state changes by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kompass.domain.changes import Body
from kompass.domain.personal import ABOUT, FILES, LABELS, OWN, PSEUDONYM, REMOVED, Rule, Says
from kompass.domain.sealing import is_intact
from kompass.domain.traces import is_kept

_INSTEAD = re.compile(
    "|".join([*(re.escape(label.format(n="")) + "[0-9]+" for label in LABELS.values()), re.escape(REMOVED)])
)
_NUMBERS = frozenset({"vatNumber", "phoneNumber", "streetNumber"})
"""The only fields called a number that are a person's."""
_ENTRY = ("number", "erasedAt", "fields", "sealBefore", "sealAfter")


def is_redaction(before: Body, doc: Body) -> bool:
    """Whether an erasure makes `doc` of `before`, which are of one type. What is sealed has to bear it out:
    every erasure is listed in `erasures`, with a seal that follows from the one before.
    """
    entries = _added(before, doc)
    changed = {
        name
        for name in {*before, *doc}
        if before.get(name) != doc.get(name) and name not in ("erasures", "_rev")
    }
    if entries is None or not changed:
        return False
    if isinstance(before.get("immutableHash"), str):
        named = {name for entry in entries for name in entry["fields"] if isinstance(name, str)}
        if not entries or not changed <= named or not is_intact(doc):
            return False
    elif entries:
        return False
    rules = dict(_rules(str(before.get("type"))))
    return FILES not in changed and all(
        _is_less(name, before.get(name), doc.get(name), rules) for name in changed
    )


def unnumbered(value: Any) -> Any:
    """A JSON value in which pseudonyms have no numbers: two servers that erase one person count each for
    itself."""
    if isinstance(value, str):
        return _INSTEAD.sub(lambda match: re.sub("[0-9]+$", "", match[0]), value)
    if isinstance(value, Mapping):
        return {name: unnumbered(one) for name, one in value.items()}
    if isinstance(value, list):
        return [unnumbered(one) for one in value]
    return value


def _added(before: Body, doc: Body) -> list[Mapping[str, Any]] | None:
    """What `erasures` has more; None if that is no list of erasures, or not one that goes on."""
    had, has = before.get("erasures") or [], doc.get("erasures") or []
    if not isinstance(had, list) or not isinstance(has, list) or has[: len(had)] != had:
        return None
    added = has[len(had) :]
    if not all(
        isinstance(one, Mapping) and set(one) == set(_ENTRY) and type(one["fields"]) is list for one in added
    ):
        return None
    return added


def _rules(doctype: str) -> Iterator[tuple[str, Rule]]:
    for kinds in ABOUT.values():
        yield from kinds.get(doctype, {}).items()
    yield from OWN.get(doctype, {}).items()


def _is_less(path: str, before: Any, after: Any, rules: Mapping[str, Rule]) -> bool:
    if before == after:
        return True
    name = path.rpartition(".")[2]
    rule = rules.get(path)
    if after is None:
        return rule is not None
    if path == "changeLog":
        return _is_less_logged(before, after, rules)
    if is_kept(name) or (name.endswith("Number") and name not in _NUMBERS):
        return False
    if isinstance(before, str) and isinstance(after, str):
        if isinstance(rule, Says):
            return True
        return _is_redacted(before, after) or (rule is PSEUDONYM and _INSTEAD.fullmatch(after) is not None)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return after.keys() <= before.keys() and all(
            _is_less(f"{path}.{each}", before[each], after.get(each), rules) for each in before
        )
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(
            _is_less(path, *pair, rules) for pair in zip(before, after, strict=True)
        )
    return False


def _is_less_logged(before: Any, after: Any, rules: Mapping[str, Rule]) -> bool:
    """Entries of a change log: their values are treated like the field they are about."""
    if not isinstance(before, list) or not isinstance(after, list) or len(before) != len(after):
        return False
    for one, other in zip(before, after, strict=True):
        if not isinstance(one, Mapping) or not isinstance(other, Mapping) or one.keys() != other.keys():
            return False
        for name in one:
            path = str(one.get("field")) if name in ("oldValue", "newValue") else f"changeLog.{name}"
            if not _is_less(path, one[name], other[name], rules):
                return False
    return True


def _is_redacted(before: str, after: str) -> bool:
    """Whether pieces of a text, none of them empty, were replaced by what an erasure puts there."""
    pieces = _INSTEAD.split(after)
    if len(pieces) == 1 or not before.startswith(pieces[0]):
        return False
    place = len(pieces[0])
    for piece in pieces[1:-1]:
        found = before.find(piece, place + 1)
        if found < 0:
            return False
        place = found + len(piece)
    return before.endswith(pieces[-1]) and len(before) - len(pieces[-1]) > place
