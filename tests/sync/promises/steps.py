"""The steps of programs, as Hypothesis makes them."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import strategies as st

from tests.sync.promises.company import PEOPLE, ROLES
from tests.sync.promises.device import Break
from tests.sync.promises.probes import PROBES

Step = tuple[Any, ...]

_number = st.integers(0, 40)
_device = st.integers(0, 2 * len(PEOPLE) - 1)
_person = st.integers(0, len(PEOPLE) - 1)
_page = st.integers(1, 3)
_break = st.sampled_from([one.value for one in Break])
_batches = st.sampled_from([1, 2, 1000])

NEW_TYPES = (
    "customer",
    "contact",
    "activity",
    "comment",
    "location",
    "opportunity",
    "user_task",
    "project_task",
    "expense",
    "offer",
)

OFFICE_STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("own"), _number, _person),
    st.tuples(st.just("team"), _number, st.lists(_person, max_size=2), _person),
    st.tuples(st.just("roles"), _person, st.integers(0, len(ROLES) - 1), st.integers(0, 5)),
    st.tuples(st.just("office"), _number),
    st.tuples(st.just("drop"), _number),
    st.tuples(st.just("private"), _number, st.booleans()),
    st.tuples(st.just("move"), _number, _number),
    st.tuples(st.just("assign"), _number, _person),
)
"""What happens elsewhere while a device replicates."""

STEPS: st.SearchStrategy[Step] = st.one_of(
    st.just(("nothing",)),
    st.tuples(st.just("edit"), _device, _number, st.integers(0, 3)),
    st.tuples(st.just("edit"), _device, _number, st.integers(0, 3)),
    st.tuples(st.just("clash"), _device, _device, _number, st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("clash"), _device, _device, _number, st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("create"), _device, st.integers(0, len(NEW_TYPES) - 1), _number, st.booleans()),
    st.tuples(st.just("remove"), _device, _number),
    st.tuples(st.just("recreate"), _device, _number),
    st.tuples(st.just("pull"), _device, _page, _batches, _break),
    st.tuples(st.just("pull"), _device, st.just(100), st.just(1000), st.just(Break.NEVER.value)),
    st.tuples(st.just("push"), _device, _page, _batches, _break),
    st.tuples(st.just("push"), _device, st.just(100), st.just(1000), st.just(Break.NEVER.value)),
    st.tuples(
        st.just("forget"), _device, st.sampled_from(["pull", "push"]), st.sampled_from(["here", "there"])
    ),
    st.tuples(st.just("replace"), _device),
    st.tuples(st.just("race"), _device, st.sampled_from(["pull", "push"]), _page, OFFICE_STEPS),
    st.tuples(st.just("race"), _device, st.sampled_from(["pull", "push"]), st.just(100), OFFICE_STEPS),
    st.tuples(st.just("settle")),
    st.tuples(st.just("own"), _number, _person),
    st.tuples(st.just("team"), _number, st.lists(_person, max_size=2), _person),
    st.tuples(st.just("roles"), _person, st.integers(0, len(ROLES) - 1), st.integers(0, 5)),
    st.tuples(st.just("office"), _number),
    st.tuples(st.just("drop"), _number),
    st.tuples(st.just("purge"), _number),
    st.tuples(st.just("revive"), _number),
    st.tuples(st.just("status"), _number, st.booleans()),
    st.tuples(st.just("private"), _number, st.booleans()),
    st.tuples(st.just("move"), _number, _number),
    st.tuples(st.just("assign"), _number, _person),
    st.tuples(st.just("online"), _person, _number, st.booleans()),
    st.tuples(st.just("release"), _person, _number, st.booleans()),
    st.tuples(st.just("touch")),
    st.tuples(st.just("housekeep")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("probe"), _person, st.integers(0, len(PROBES) - 1), _number, _number),
    st.tuples(st.just("probe"), _person, st.integers(0, len(PROBES) - 1), _number, _number),
)


def used(program: list[Step]) -> list[Step]:
    """A program without what does nothing."""
    return cast("list[Step]", [step for step in program if step != ("nothing",)])
