"""The answer of `_explain`: the index chosen, the others with why not, and the range to scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from replication.protocol.mango.bookmark import write_bookmark
from replication.protocol.mango.index import Index, IndexDefinition, PrimaryIndex
from replication.protocol.mango.planner import Candidate, Decision, Plan, covers, decide
from replication.protocol.mango.query import FindRequest
from replication.protocol.mango.ranges import UNBOUNDED, Bound, field_ranges, named_fields

_MAX = "<MAX>"


def explain(
    dbname: str, request: FindRequest, indexes: Sequence[IndexDefinition], *, partitioned: bool = False
) -> dict[str, Any]:
    """The JSON object of `_explain`. Raises `invalid_index` when falling back is forbidden."""
    decision = decide(request, indexes)
    plan = decision.plan
    answer: dict[str, Any] = {
        "dbname": dbname,
        "index": plan.index.as_json() if plan else None,
        "partitioned": partitioned,
        "selector": request.selector.node,
        "opts": _options(request),
        "limit": request.limit,
        "skip": request.skip,
        "fields": list(request.fields),
        "index_candidates": _candidates(request, decision),
        "selector_hints": [_hints(request)],
    }
    if plan is not None:
        answer["mrargs"] = _view_arguments(plan)
        answer["covering"] = plan.covering
    return answer


def _options(request: FindRequest) -> dict[str, Any]:
    return {
        "use_index": list(request.use_index),
        "bookmark": write_bookmark(request.bookmark),
        "limit": request.limit,
        "skip": request.skip,
        "sort": dict(request.sort),
        "fields": list(request.fields),
        "partition": request.partition,
        "r": request.r,
        "conflicts": request.conflicts,
        "stale": "ok" if request.stale else False,
        "update": request.update,
        "stable": request.stable,
        "execution_stats": request.execution_stats,
        "allow_fallback": request.allow_fallback,
    }


def _hints(request: FindRequest) -> dict[str, Any]:
    indexable = set(field_ranges(request.selector.node))
    named = named_fields(request.selector.node)
    return {
        "type": "json",
        "indexable_fields": sorted(indexable),
        "unindexable_fields": sorted(named - indexable),
    }


def _view_arguments(plan: Plan) -> dict[str, Any]:
    start, end = _start_key(plan), _end_key(plan)
    if plan.descending:
        start, end = end, start
    request = plan.request
    return {
        "include_docs": request.r == 1 and not plan.covering,
        "view_type": "map",
        "reduce": False,
        "partition": request.partition or None,
        "start_key": start,
        "end_key": end,
        "direction": "rev" if plan.descending else "fwd",
        "stable": request.stable or request.stale,
        "update": request.refreshes,
        "conflicts": True if request.conflicts else "undefined",
    }


def _start_key(plan: Plan) -> Any:
    if plan.empty:
        return None
    lows = [bounds.low for bounds in plan.ranges]
    if isinstance(plan.index, PrimaryIndex):
        if lows[0].value is not UNBOUNDED:
            return lows[0].value
        return "" if "_id" in field_ranges(plan.request.selector.node) else None
    return _values(lows)


def _end_key(plan: Plan) -> Any:
    if plan.empty:
        return None
    highs = [bounds.high for bounds in plan.ranges]
    if isinstance(plan.index, PrimaryIndex):
        return _MAX if highs[0].value is UNBOUNDED else highs[0].value
    return [*_values(highs), _MAX]


def _values(bounds: Sequence[Bound]) -> list[Any]:
    values = []
    for bound in bounds:
        if bound.value is UNBOUNDED:
            break
        values.append(bound.value)
    return values


def _candidates(request: FindRequest, decision: Decision) -> list[dict[str, Any]]:
    """All indexes but the chosen one. `ranking` puts groups in the order in which they fell out."""
    ranked = decision.ranked
    unfavored = max(1, len(ranked))
    excluded = unfavored + bool(decision.unfavored)
    unusable = excluded + bool(decision.excluded)
    out_of_scope = unusable + bool(decision.unusable)
    partial = out_of_scope + bool(decision.out_of_scope)
    winner = decision.plan.index if decision.plan else None
    width = len(winner.columns) if winner else 0
    rows: list[tuple[Index, bool, str, int]] = [
        *((index, False, "is_partial", partial) for index in decision.partial),
        *((index, False, "scope_mismatch", out_of_scope) for index in decision.out_of_scope),
        *((index, False, reason, unusable) for index, reason in decision.unusable),
        *((index, True, "excluded_by_user", excluded) for index in decision.excluded),
        *((index, True, "unfavored_type", unfavored) for index in decision.unfavored),
        *((item.index, True, _why_lost(item, width), place) for place, item in enumerate(ranked)),
    ]
    needed = set(request.fields)
    shown: list[Index] = [] if winner is None else [winner]
    answer = []
    for index, usable, reason, ranking in rows:
        if index in shown:
            continue
        shown.append(index)
        covering = covers(index, request, needed) if isinstance(index, IndexDefinition) else None
        analysis = {"usable": usable, "reasons": [{"name": reason}], "ranking": ranking, "covering": covering}
        answer.append((index, {"index": index.as_json(), "analysis": analysis}))
    answer.sort(key=lambda row: _place(row[0]), reverse=True)
    return [entry for _, entry in answer]


def _why_lost(candidate: Candidate, winner_width: int) -> str:
    if candidate.distance > 0:
        return "less_overlap"
    if len(candidate.index.columns) > winner_width:
        return "too_many_fields"
    return "alphabetically_comes_after"


def _place(index: Index) -> tuple[str, str]:
    return (index.ddoc, index.name) if isinstance(index, IndexDefinition) else ("", "")
