"""Choosing the index for a query, and the range of it to scan.

The rules are CouchDB's. An index is usable if every match of the selector is sure to be in it
(all its columns are required fields, or sorted by, or `_id` or `_rev`) and if it yields the
order asked for: the sort is a prefix of its columns, not counting leading columns that have one
value in all matches. An index with a partial filter is considered only when `use_index` names it.
Of the usable ones wins the one whose columns take up most of the selector's ranges, then the one
with the fewest columns, then the first by name. Without any, `_all_docs` is scanned, unless the
query is sorted or forbids the fallback. Nothing is ever sorted in memory.

The range only leaves out what cannot match; every document in it must still be asked whether it
does. Unlike CouchDB's, bounds on `_id` serve `_all_docs` only, where ids are ordered by their
bytes: in other indexes they collate, and a range there would lose documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from replication.protocol.collation import above, array_prefix, sort_key
from replication.protocol.mango import errors
from replication.protocol.mango.index import DESIGN_PREFIX, Index, IndexDefinition, PrimaryIndex
from replication.protocol.mango.query import ExecutionStats, FindRequest
from replication.protocol.mango.ranges import (
    UNBOUNDED,
    Bound,
    Range,
    constant_fields,
    field_ranges,
    named_fields,
    required_fields,
)
from replication.protocol.partitions import id_range, key_prefix

SCAN_WARNING_RATIO: Final = 10
"""Documents looked at per result from which on the answer warns."""

_EVERYWHERE: Final = frozenset(("_id", "_rev"))

_NOT_STORED: Final = frozenset(("_conflicts",))
"""Members that a query's documents may have, but not the documents that indexes are made from."""

_WITHOUT_MATCHES: Final = ("$and", "$or")
"""As the whole selector, an empty list of these matches nothing; inside of one it matches all."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to scan. Each document found must still be asked `selector.matches`."""

    index: Index
    request: FindRequest
    empty: bool
    """Nothing can match; there is nothing to scan."""
    low: bytes
    high: bytes
    """Keys to look at: low <= key < high. Of an `IndexDefinition` these are sort keys of arrays, in
    one of partitions behind the partition's prefix; of the `PrimaryIndex` document ids in UTF-8, and 0xff
    above all of them."""
    descending: bool
    ranges: tuple[Range, ...]
    """The ranges of the index's first columns, as far as the selector bounds them."""
    covering: bool
    """Whether the index's columns are all the answer and the selector need."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A usable index with how well it fits: `distance` counts ranges its first columns don't serve."""

    index: Index
    ranges: tuple[Range, ...]
    distance: int


@dataclass(frozen=True, slots=True)
class Decision:
    """How the choice came about. `plan` is None if there was no usable index."""

    plan: Plan | None
    partial: Sequence[Index] = ()
    """Not considered for their partial filters."""
    out_of_scope: Sequence[Index] = ()
    """Of partitions for a global query, or the other way round."""
    unusable: Sequence[tuple[Index, str]] = ()
    """With the reason."""
    excluded: Sequence[Index] = ()
    """Usable, but `use_index` named another."""
    unfavored: Sequence[Index] = ()
    """`_all_docs`, usable beside a better one."""
    ranked: Sequence[Candidate] = field(default=())
    """The usable ones of the chosen kind, the best first."""


def plan(request: FindRequest, indexes: Sequence[IndexDefinition], *, partitioned: bool = False) -> Plan:
    """The plan for a query on a database with `indexes`.

    Raises the 400s `no_usable_index` for a sort that no index serves, and `invalid_index` when
    falling back is forbidden. `partitioned` is whether the database is.
    """
    decision = decide(request, indexes)
    if decision.plan is None:
        if not partitioned:
            raise errors.no_index_for_sort()
        raise (
            errors.no_partitioned_index_for_sort() if request.partition else errors.no_global_index_for_sort()
        )
    return decision.plan


def decide(request: FindRequest, indexes: Sequence[IndexDefinition]) -> Decision:
    """The plan with its reasons. Raises `invalid_index` when falling back is forbidden."""
    named = [index for index in indexes if _is_named(index, request.use_index)]
    considered = [index for index in indexes if index.partial_filter is None or index in named]
    wanted_scope = bool(request.partition)
    in_scope = [index for index in considered if index.partitioned is wanted_scope]
    candidates: list[Index] = [PrimaryIndex(), *in_scope]
    reasons = [(index, _why_not(index, request)) for index in candidates]
    usable = [index for index, reason in reasons if reason is None]
    chosen = [index for index in usable if _is_named(index, request.use_index)]
    if not chosen:
        if not (request.allow_fallback or (not request.use_index and len(usable) > 1)):
            raise errors.index_not_suitable(request.use_index)
        chosen = usable
    of_kind = [index for index in chosen if not isinstance(index, PrimaryIndex)] or chosen
    ranked = _rank(of_kind, request)
    return Decision(
        plan=_plan(ranked[0], request) if ranked else None,
        partial=[index for index in indexes if index.partial_filter is not None],
        out_of_scope=[index for index in considered if index.partitioned is not wanted_scope],
        unusable=[(index, reason) for index, reason in reasons if reason is not None],
        excluded=[index for index in usable if index not in chosen],
        unfavored=[index for index in chosen if index not in of_kind],
        ranked=ranked,
    )


def warnings(plan: Plan, stats: ExecutionStats) -> str | None:
    """What the answer should warn about, one sentence per line."""
    lines = []
    use_index = plan.request.use_index
    if use_index and not _is_named(plan.index, use_index):
        ddoc = f"{DESIGN_PREFIX}{use_index[0]}"
        if len(use_index) == 1:
            lines.append(f"{ddoc} was not used because it does not contain a valid index for this query.")
        else:
            lines.append(
                f"{ddoc}, {use_index[1]} was not used because it is not a valid index for this query."
            )
    if isinstance(plan.index, PrimaryIndex):
        lines.append("No matching index found, create an index to optimize query time.")
    examined = stats.docs_examined + stats.quorum_docs_examined
    if examined > SCAN_WARNING_RATIO * max(stats.results_returned, 1):
        lines.append(
            "The number of documents examined is high in proportion to the number of results returned."
            " Consider adding a more specific index to improve this."
        )
    return "\n".join(lines) or None


def covers(index: Index, request: FindRequest, needed: set[str]) -> bool:
    """Whether an answer of `needed` fields could be built from the index alone."""
    return isinstance(index, IndexDefinition) and bool(request.fields) and needed <= {"_id", *index.columns}


def _is_named(index: Index, use_index: tuple[str, ...]) -> bool:
    return (
        isinstance(index, IndexDefinition)
        and bool(use_index)
        and index.ddoc == DESIGN_PREFIX + use_index[0]
        and use_index[1:] in ((), (index.name,))
    )


def _why_not(index: Index, request: FindRequest) -> str | None:
    """Why the index can't serve the query; None if it can."""
    node = request.selector.node
    sort = tuple(item.name for item in request.sort)
    if isinstance(index, PrimaryIndex):
        if sort and "_id" not in field_ranges(node):
            return "field_mismatch"
        return None if sort in ((), ("_id",)) else "sort_order_mismatch"
    if not _NOT_STORED.isdisjoint(index.columns):
        return "field_mismatch"
    if not set(index.columns) <= required_fields(node).union(sort, _EVERYWHERE):
        return "field_mismatch"
    return None if _yields_order(index.columns, sort, constant_fields(node)) else "sort_order_mismatch"


def _yields_order(columns: tuple[str, ...], sort: tuple[str, ...], constant: set[str]) -> bool:
    if not sort:
        return True
    for position, column in enumerate(columns):
        if column == sort[0]:
            return columns[position : position + len(sort)] == sort
        if column not in constant:
            return False
    return False


def _rank(indexes: Sequence[Index], request: FindRequest) -> list[Candidate]:
    ranges = field_ranges(request.selector.node)
    candidates = []
    for index in indexes:
        prefix = []
        for column in index.columns:
            if column not in ranges:
                break
            prefix.append(ranges[column])
        distance = len(ranges) - len(prefix)
        if isinstance(index, PrimaryIndex) and not prefix:
            prefix = [Range(sort_key)]
        candidates.append(Candidate(index, tuple(prefix), distance))
    return sorted(candidates, key=_fitness)


def _fitness(candidate: Candidate) -> tuple[int, int, str, str]:
    index = candidate.index
    place = (index.ddoc, index.name) if isinstance(index, IndexDefinition) else ("", "")
    return (candidate.distance, len(index.columns), *place)


def _plan(candidate: Candidate, request: FindRequest) -> Plan:
    node = request.selector.node
    empty = any(bounds.empty for bounds in field_ranges(node).values()) or any(
        node == {operator: []} for operator in _WITHOUT_MATCHES
    )
    index = candidate.index
    if isinstance(index, PrimaryIndex):
        low, high = _span_of_ids(candidate.ranges[0])
        empty = empty or low >= high
        if request.partition:
            first, behind = id_range(request.partition)
            low, high = max(low, _utf8(first)), min(high, _utf8(behind))
    else:
        low, high = _span(index.columns, candidate.ranges)
        if index.partitioned:
            prefix = key_prefix(request.partition)
            low, high = prefix + low, prefix + high
    needed = named_fields(node).union(request.fields)
    return Plan(
        index=index,
        request=request,
        empty=empty,
        low=low,
        high=high,
        descending=request.descending,
        ranges=candidate.ranges,
        covering=covers(index, request, needed),
    )


def _span(columns: Sequence[str], ranges: Sequence[Range]) -> tuple[bytes, bytes]:
    usable = []
    for column, bounds in zip(columns, ranges, strict=False):
        if column == "_id" and bounds.low.value != bounds.high.value:
            break
        usable.append(bounds)
    return _edge([bounds.low for bounds in usable], low=True), _edge(
        [bounds.high for bounds in usable], low=False
    )


def _edge(bounds: Sequence[Bound], *, low: bool) -> bytes:
    """The key from which on (`low`) or before which the keys within the bounds lie.

    Keys of one column may go beyond the next column's bound only where this one is at its own, so
    bounds can be lined up until one is open or missing.
    """
    values = []
    for bound in bounds:
        if bound.value is UNBOUNDED:
            break
        values.append(bound.value)
        if not bound.closed:
            prefix = array_prefix(values)
            return above(prefix) if low else prefix
    prefix = array_prefix(values)
    return prefix if low else above(prefix)


def _span_of_ids(bounds: Range) -> tuple[bytes, bytes]:
    low, high = bounds.low, bounds.high
    if isinstance(low.value, str):
        start = _utf8(low.value) + (b"" if low.closed else b"\x00")
    else:
        start = b""
    if isinstance(high.value, str):
        end = _utf8(high.value) + (b"\x00" if high.closed else b"")
    else:
        # What isn't a string sorts before all ids, where they are compared raw.
        end = b"\xff" if high.value is UNBOUNDED else b""
    return start, end


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
