"""Whether the history that a device tells of a revision can be true.

A new document brings its whole history from generation 1, an edit comes down from a revision that is known
here. What doesn't fit can't be placed: between it and what is stored anything may have happened.
"""

from __future__ import annotations

from collections.abc import Callable

from kompass.domain.refusals import Refusal
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Path, Rev

MOST_REVISIONS = 1000
"""Of one history. PouchDB keeps as many."""

UNCONNECTED = Refusal(
    "ancestry.unconnected",
    "The document exists already, and this version does not follow from any that is known.",
    "Das Dokument gibt es schon, und diese Fassung geht aus keiner bekannten hervor.",
)
BEGINNING_MISSING = Refusal(
    "ancestry.beginning",
    "A new document must bring its whole history, from its first version on.",
    "Ein neues Dokument muss seine ganze Vorgeschichte von der ersten Fassung an mitbringen.",
)
_CONTRADICTION = Refusal(
    "ancestry.contradiction",
    "The revision of the document and its history contradict each other.",
    "Die Fassung des Dokuments und seine Vorgeschichte widersprechen sich.",
)
_TOO_LONG = Refusal(
    "ancestry.length",
    f"A history has at most {MOST_REVISIONS} revisions.",
    f"Eine Vorgeschichte hat höchstens {MOST_REVISIONS} Fassungen.",
)


def contradiction(doc: DocumentWrite) -> Refusal | None:
    """What is wrong with a pushed history by itself."""
    path = doc.path
    assert path is not None
    if doc.parent is not None and doc.parent != path.leaf:
        return _CONTRADICTION
    if len(path.ids) > MOST_REVISIONS:
        return _TOO_LONG
    return None


def is_whole(path: Path) -> bool:
    """Whether the history reaches back to generation 1."""
    return path.start == len(path.ids)


def joins(path: Path, knows: Callable[[Rev], bool]) -> int | None:
    """At which place of its path a new revision meets a known one; None if nowhere."""
    for at in range(1, len(path.ids)):
        if knows((path.start - at, path.ids[at])):
            return at
    return None


def continued(path: Path, joined: int, history: Callable[[Rev], Path]) -> Path:
    """The path, of which what comes before the known revision at `joined` is as it is known."""
    above = history((path.start - joined, path.ids[joined]))
    return Path(path.start, [*path.ids[:joined], *above.ids])


def place(path: Path, rev: Rev) -> int | None:
    """Where `rev` is among the ancestors of a path's leaf, None if it is none of them."""
    at = path.start - rev[0]
    return at if 0 < at < len(path.ids) and path.ids[at] == rev[1] else None
