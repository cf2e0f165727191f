"""What an erasure looks for outside of the documents' own transaction, and in which form it survives a crash.

It has the values that are to go, so it is kept no longer than the quarantine takes to be cleaned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import orjson

from kompass.business.lookups import references
from kompass.domain.personal import ABOUT, FILES, LABELS, REMOVED, Rules, pseudonym, treated
from kompass.domain.traces import Replacer, Traces

_DEEPEST = 100


def shallow(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A body without what is nested deeper than anybody needs, so that nothing in it can be looked at; and
    the members that had it.
    """
    deep = [name for name, value in body.items() if _is_deep(value)]
    return {**body, **dict.fromkeys(deep, REMOVED)}, deep


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        children = [
            list(one.values()) if isinstance(one, dict) else one
            for one in level
            if isinstance(one, dict | list)
        ]
        if not children:
            return False
        level = list(chain.from_iterable(children))
    return True


@dataclass(frozen=True)
class Sweep:
    """Of one erasure."""

    erasure: int
    subject: str
    subjects: Mapping[str, tuple[str, int]]
    """Documents about himself -> their type, and the number of the pseudonym."""
    near: frozenset[str]
    """Documents that name one of them."""
    traces: Traces
    """With the pseudonyms that are given."""

    @cached_property
    def _wide(self) -> Replacer:
        return Replacer(self.traces, near=False)

    @cached_property
    def _close(self) -> Replacer:
        return Replacer(self.traces, near=True)

    def replacer(self, docid: str) -> Replacer:
        """For what is said about a document."""
        return self._close if docid in self.near or docid in self.subjects else self._wide

    def text(self, value: str) -> str:
        """A text without him."""
        return self._close.text(value)

    def names(self, value: str) -> bool:
        """Whether an id, or the name of a file, has him in it."""
        return self._close.text(value) != value

    @property
    def login(self) -> str | None:
        """What a user logs in with."""
        return login_of(self.subject)

    def rules(self, body: Mapping[str, Any]) -> tuple[Rules, str, int]:
        """What the table says of a document of others that names one of them, and the pseudonym there."""
        named = {target for _, target in references(body)} & self.subjects.keys()
        for subject, (kind, number) in self.subjects.items():
            rules = ABOUT.get(kind, {}).get(str(body.get("type")))
            if subject in named and rules is not None:
                return rules, pseudonym(kind, number), number
        return {}, "", 0

    def sent(self, docid: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """What somebody has sent of a document of others, without him, and whether its attachments go."""
        rules, label, number = self.rules(body)
        is_near = docid in self.near or not self.subjects.keys().isdisjoint(
            target for _, target in references(body)
        )
        after = treated({**body, "_id": docid}, rules, label, number)
        after.pop("_id")
        replacer = self._close if is_near else self._wide
        return replacer.value(after), FILES in rules

    def to_json(self) -> bytes:
        return orjson.dumps(
            {
                "erasure": self.erasure,
                "subject": self.subject,
                "subjects": self.subjects,
                "near": sorted(self.near),
                "everywhere": dict(self.traces.everywhere),
                "nearby": dict(self.traces.nearby),
            }
        )

    @classmethod
    def from_json(cls, text: bytes) -> Sweep:
        value = orjson.loads(text)
        return cls(
            value["erasure"],
            value["subject"],
            {docid: (kind, number) for docid, (kind, number) in value["subjects"].items()},
            frozenset(value["near"]),
            Traces(value["everywhere"], value["nearby"]),
        )


def login_of(subject: str) -> str | None:
    """What a user logs in with; None for whoever is none."""
    return subject.removeprefix("user-") if subject.startswith("user-") else None


def numbered(traces: Traces, subjects: Mapping[str, tuple[str, int]]) -> Traces:
    """Traces whose pseudonyms have numbers."""
    by_kind = dict(reversed(list(subjects.values())))

    def said(text: str) -> str:
        for kind, label in LABELS.items():
            if text == label and kind in by_kind:
                return pseudonym(kind, by_kind[kind])
        return text

    return Traces(
        {value: said(text) for value, text in traces.everywhere.items()},
        {value: said(text) for value, text in traces.nearby.items()},
    )
