"""Where in an index filtered documents lie: nothing that a filter lets through lies anywhere else."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompass.domain.kinds import Kind
from kompass.resources.fields import Field
from kompass.resources.filters import FilterError, parse
from kompass.resources.spans import bounds
from replication.protocol.collation import sort_key

days = st.dates(date(1, 1, 1), date(9999, 12, 31))
offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
near = st.dates(date(2026, 1, 1), date(2026, 1, 5))
moments = st.builds(
    lambda day, time, offset: datetime.combine(day, time, offset).isoformat(),
    st.one_of(near, days, st.sampled_from([date.min, date.max])),
    st.times(),
    offsets,
)
numbers = st.one_of(
    st.integers(-(2**60), 2**60), st.sampled_from([2**53, 2**53 + 1, 10**29]), st.floats(-1e29, 1e29)
)
texts = st.one_of(st.text("aAä\u0301 b", max_size=3), st.text(max_size=5))
KINDS: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: texts,
    Kind.NUMBER: numbers,
    Kind.INTEGER: st.integers(-(2**60), 2**60),
    Kind.DAY: st.one_of(days, near).map(date.isoformat),
    Kind.MOMENT: moments,
}
anything = st.one_of(*KINDS.values(), st.none(), st.booleans(), st.just(["a"]), st.just("20260102"))


@pytest.mark.slow
@given(
    st.sampled_from(list(KINDS)).flatmap(
        lambda kind: st.tuples(st.just(kind), KINDS[kind], st.one_of(KINDS[kind], anything))
    ),
    st.sampled_from(["eq", "gt", "gte", "lt", "lte"]),
)
def test_what_a_filter_lets_through_lies_between_its_bounds(
    case: tuple[Kind, Any, Any], operator: str
) -> None:
    kind, asked, stored = case
    field = Field(("x",), kind, sortable=True)
    try:
        (one,) = parse({"x": field}, [(f"x.{operator}", str(asked))])
    except FilterError:
        return
    found = bounds("t", one)
    if found is not None and one.matches({"x": stored}):
        assert found[0] <= sort_key(["t", stored]) < found[1]


@pytest.mark.parametrize(
    ("kind", "operator", "value", "outside"),
    [
        (Kind.MOMENT, "gte", "2026-03-01", ["2026-02-01T00:00:00Z", None, 5]),
        (Kind.MOMENT, "lt", "2026-03-01", ["2026-04-01T00:00:00Z", None]),
        (Kind.DAY, "eq", "2026-03-01", ["2026-02-28", "2026-03-02"]),
        (Kind.NUMBER, "lte", "5", [5.1, None, "5"]),
        (Kind.TEXT, "eq", "A", ["B", "a", None]),
    ],
)
def test_what_lies_far_off_is_not_looked_at(
    kind: Kind, operator: str, value: str, outside: list[Any]
) -> None:
    (one,) = parse({"x": Field(("x",), kind, sortable=True)}, [(f"x.{operator}", value)])
    found = bounds("t", one)
    assert found is not None
    assert [stored for stored in outside if found[0] <= sort_key(["t", stored]) < found[1]] == []
