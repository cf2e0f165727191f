"""The leaves a document had after each of its changes, the winner first.

A document that many have changed at the same time has many closed branches, and each further one is a leaf
more. So a row says all leaves, or what has become of those of the row before it; rows of the latter kind are
together never longer than all leaves. Both writing and reading cost as much as there are leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

FEW = 8
"""Leaves up to which a row says all of them."""

_CHANGE = "~"
"""What a row begins with that says a change: the winner, and leaves that came (`+`) or went (`-`)."""

Execute = Callable[..., Any]


def keep(execute: Execute, doc: int, place: int, leaves: Sequence[str]) -> None:
    """The leaves of a document from the change `place` on, which is its latest."""
    text = " ".join(leaves)
    if len(leaves) > FEW:
        text = _shortened(execute, doc, place, leaves, text)
    execute("INSERT OR REPLACE INTO access_leaves VALUES (?, ?, ?)", (doc, place, text))


def after(execute: Execute, doc: int, number: int) -> list[str]:
    """The leaves after change `number`; none if there was no such document."""
    return _read(execute, doc, number)[0]


def _shortened(execute: Execute, doc: int, place: int, leaves: Sequence[str], text: str) -> str:
    before, length = _read(execute, doc, place - 1)
    if not before:
        return text
    here, there = set(leaves), set(before)
    came = [f"+{leaf}" for leaf in leaves if leaf not in there]
    went = [f"-{leaf}" for leaf in before if leaf not in here]
    change = " ".join([_CHANGE + leaves[0], *came, *went])
    return change if length + len(change) < len(text) else text


def _read(execute: Execute, doc: int, number: int) -> tuple[list[str], int]:
    """The leaves, and how long the changes are that were read for them."""
    changes: list[str] = []
    length = 0
    leaves: dict[str, None] = {}
    for (text,) in execute(
        "SELECT revs FROM access_leaves WHERE doc = ? AND since <= ? ORDER BY since DESC", (doc, number)
    ):
        if not text.startswith(_CHANGE):
            leaves = dict.fromkeys(text.split())
            break
        changes.append(text)
        length += len(text)
    winner = None
    for change in reversed(changes):
        winner, *marked = change.removeprefix(_CHANGE).split()
        for one in marked:
            if one[0] == "+":
                leaves[one[1:]] = None
            else:
                leaves.pop(one[1:], None)
    if winner is None:
        return list(leaves), length
    return [winner, *(leaf for leaf in leaves if leaf != winner)], length
