"""The order in which the documents of a batch are judged: parents come first.

PouchDB pushes by the latest change on the device, so a contact may come before its customer. Accepted
offers of one opportunity come one after the other, for the first of them supersedes the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_LEVELS = 12
"""How long a chain of documents that refer to one another is followed. What is deeper is judged last."""


def levels(docs: Sequence[tuple[str, Mapping[str, Any]]]) -> list[list[int]]:
    """Places of documents, given as (id, body), in groups: each refers to documents of earlier groups alone.

    Two revisions of one document are never in one group, and come in the order given; nor are two accepted
    offers of one opportunity. Documents that refer to one another in a circle end up in the last group.
    """
    if len(docs) == 1:
        return [[0]]
    latest = {docid: place for place, (docid, _) in enumerate(docs)}
    waits: dict[int, set[int]] = {}
    seen: dict[str, int] = {}
    rivals: dict[str, int] = {}
    for place, (docid, body) in enumerate(docs):
        before = {
            latest[value]
            for name, value in body.items()
            if name[-2:] == "Id" and type(value) is str and value in latest and value != docid
        }
        if docid in seen:
            before.add(seen[docid])  # which waits for the one before it
        seen[docid] = place
        sale = _won_by(body)
        if sale is not None:
            if sale in rivals:
                before.add(rivals[sale])
            rivals[sale] = place
        if before:
            waits[place] = before
    if not waits:
        return [list(range(len(docs)))]
    groups: list[list[int]] = []
    left = list(range(len(docs)))
    while left and len(groups) < MOST_LEVELS:
        ready = [place for place in left if not waits.get(place)]
        if not ready:
            break
        groups.append(ready)
        done = set(ready)
        left = [place for place in left if place not in done]
        for place in left:
            if place in waits:
                waits[place] -= done
    return groups + _one_by_one_id(left, docs)


def _one_by_one_id(left: Sequence[int], docs: Sequence[tuple[str, Mapping[str, Any]]]) -> list[list[int]]:
    """What is left over, with the revisions of one document, and what excludes one another, in groups of
    their own.
    """
    groups: list[list[int]] = []
    count: dict[str, int] = {}
    for place in left:
        docid, body = docs[place]
        names = [name for name in (docid, _won_by(body)) if name is not None]
        at = max(count.get(name, 0) for name in names)
        count.update(dict.fromkeys(names, at + 1))
        if at == len(groups):
            groups.append([])
        groups[at].append(place)
    return groups


def _won_by(body: Mapping[str, Any]) -> str | None:
    """The opportunity that an offer wins by being accepted: what follows from the first has to be there when
    the next is judged.
    """
    if body.get("type") != "offer" or body.get("status") != "accepted":
        return None
    sale = body.get("opportunityId")
    return sale if type(sale) is str else None
