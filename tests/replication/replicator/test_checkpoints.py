"""Checkpoints without peers: where a replication begins, and what it leaves behind."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from replication.replicator.checkpoints import (
    MAX_HISTORY,
    Session,
    Start,
    Statistics,
    find_start,
    replication_id,
)
from replication.replicator.options import parse_options
from replication.replicator.peer import Feed


def checkpoint(start: Start, session: str, recorded: int) -> dict[str, Any]:
    return Session(session, 1_700_000_000.0, start, Statistics()).document(recorded)


def test_the_same_replication_has_the_same_id_everywhere() -> None:
    """The value is fixed: another one would make every replication begin anew."""
    assert replication_id("http://a/x/", "http://b/y/", Feed()) == "040eff59acec863227552fa0837f9cdd"
    assert replication_id("http://a/x/", "http://b/y/", Feed(doc_ids=("1", "2"))) == replication_id(
        "http://a/x/", "http://b/y/", parse_options({"doc_ids": ["2", "1", "2"]}).feed
    )
    one, other = (Feed(selector=value) for value in ({"a": 1, "b": {"c": 2}}, {"b": {"c": 2}, "a": 1}))
    assert replication_id("s", "t", one) == replication_id("s", "t", other)


def test_whatever_changes_what_is_replicated_changes_the_id() -> None:
    feeds = [
        Feed(),
        Feed(all_leaves=False),
        Feed(doc_ids=("a",)),
        Feed(doc_ids=("a", "b")),
        Feed(selector={"a": 1}),
        Feed(filter="d/f"),
        Feed(filter="d/f", query_params={"x": "1"}),
        Feed(filter="_design"),
    ]
    ids = {replication_id("s", "t", feed) for feed in feeds}
    ids |= {
        replication_id("s", "t", Feed(filter="d/f"), code) for code in ("function () {}", "function (d) {}")
    }
    ids |= {replication_id("t", "s", Feed()), replication_id("s", "u", Feed())}
    assert len(ids) == len(feeds) + 4


def test_the_history_has_fifty_sessions() -> None:
    document = None
    for number in range(MAX_HISTORY + 10):
        document = checkpoint(find_start(document, document), f"s{number}", number)
    assert document is not None
    assert len(document["history"]) == MAX_HISTORY
    sessions = [entry["session_id"] for entry in document["history"]]
    assert sessions == [f"s{number}" for number in range(MAX_HISTORY + 9, 9, -1)]


def test_one_session_is_one_entry_however_often_it_records() -> None:
    session = Session("s", 0.0, Start(0, []), Statistics())
    for recorded in (1, 2, 3):
        document = session.document(recorded)
    assert [entry["recorded_seq"] for entry in document["history"]] == [3]


def test_what_one_end_remembers_does_not_swell_the_other() -> None:
    document = checkpoint(Start(0, []), "s", 7)
    swollen = {**document, "history": [{**document["history"][0], "more": "x" * 100_000}] * 50}
    start = find_start(swollen, document)
    assert (start.since, start.history) == (7, [])


def test_an_end_that_forgot_makes_it_begin_at_the_beginning() -> None:
    document = checkpoint(Start(0, []), "s", 7)
    assert find_start(document, document).since == 7
    assert find_start(None, document).since == 0
    assert find_start(document, None).since == 0
    assert find_start(document, checkpoint(Start(0, []), "other", 7)).since == 0


steps = st.lists(
    st.tuples(st.sampled_from(["both", "source", "forget", "restore"]), st.integers(1, 9)), max_size=40
)


@given(steps)
def test_it_never_begins_beyond_what_both_ends_have(steps: list[tuple[str, int]]) -> None:
    """Runs that record at both ends or break in between; ends that lose their checkpoint or get an old one
    back. `stored` is what the target really has."""
    source: dict[str, Any] | None = None
    target: dict[str, Any] | None = None
    stored = old_stored = 0
    old: dict[str, Any] | None = None
    for number, (step, amount) in enumerate(steps):
        start = find_start(source, target)
        assert start.since <= stored
        if step in ("both", "source"):
            stored = max(stored, start.since + amount)
            source = checkpoint(start, f"s{number}", start.since + amount)
            if step == "both":
                target = source
                if amount == 1:
                    old, old_stored = target, stored
        elif step == "forget":
            target, stored = None, 0
        elif old is not None:
            target, stored = old, old_stored
    assert find_start(source, target).since <= stored
