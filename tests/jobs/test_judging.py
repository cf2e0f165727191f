"""Which jobs follow from which change."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompass.jobs.judging import ZONE, Job, Judge, Subscription
from kompass.jobs.triggers import Alters, At, Becomes, Changes, Comes, Goes, Is, Mail, Notify, Trigger

NOW = datetime(2026, 3, 10, 12, tzinfo=ZONE).timestamp()
SENT = Trigger("offer.sent", "offer", Becomes("status", frozenset({"sent"})), (Notify(("owner",), "SYSTEM"),))
OWNER = Trigger("offer.owner", "offer", Changes("owner"), (Notify(("owner",), "SYSTEM"), Mail(("owner",))))
DUE = Trigger(
    "offer.due", "offer", At("sentAt", (3, 7)), (Notify(("owner",), "REMINDER"),),
    while_=Is("status", frozenset({"sent"})),
)  # fmt: skip
GENERAL = [
    Trigger("offer.created", "offer", Comes()),
    Trigger("offer.updated", "offer", Alters()),
    Trigger("offer.deleted", "offer", Goes()),
]
EVERYTHING = Subscription("n8n", frozenset({"offer.created", "offer.updated", "offer.deleted"}), "innen1")


def judged(
    old: dict[str, Any] | None,
    new: dict[str, Any] | None,
    *triggers: Trigger,
    rev: str = "2-a",
    subscriptions: tuple[Subscription, ...] = (),
    **more: Any,
) -> tuple[list[Job], dict[str, list[Job]]]:
    judge = Judge(subscriptions, triggers=triggers, general=GENERAL)
    states = [None if one is None else judge.state("offer", one) for one in (old, new)]
    found = judge.judge("offer", "offer-1", rev, states[0], states[1], new, NOW, **more)
    return list(found.now), {name: list(jobs) for name, jobs in found.plans.items()}


@pytest.mark.parametrize(
    ("old", "new", "fires"),
    [
        (None, {"status": "sent"}, True),
        ({"status": "draft"}, {"status": "sent"}, True),
        ({"status": "sent"}, {"status": "sent"}, False),
        ({"status": "sent"}, {"status": "accepted"}, False),
        ({"status": "sent"}, None, False),
        ({"status": None}, {"status": ["sent"]}, False),
        ({"status": 7}, {"status": "sent"}, True),
    ],
)
def test_becoming(old: Any, new: Any, fires: bool) -> None:
    jobs, _ = judged(old, new, SENT)
    assert [job.trigger for job in jobs] == (["offer.sent"] if fires else [])


def test_each_action_is_a_job_of_its_own_with_the_same_id_for_the_same_revision() -> None:
    jobs, _ = judged({"owner": "adm1"}, {"owner": "adm2"}, OWNER)
    assert [(job.action, job.queue) for job in jobs] == [("notify", "documents"), ("mail1", "mails")]
    again, _ = judged({"owner": "adm3"}, {"owner": "adm2"}, OWNER)
    assert [job.id for job in again] == [job.id for job in jobs]
    later, _ = judged({"owner": "adm1"}, {"owner": "adm2"}, OWNER, rev="4-b")
    assert not {job.id for job in later} & {job.id for job in jobs}


def test_what_is_only_looked_at_is_no_event_but_has_its_days() -> None:
    jobs, plans = judged(None, {"status": "sent", "sentAt": "2026-03-09T23:30:00Z"}, SENT, DUE, events=False)
    assert jobs == []
    days = [datetime.fromtimestamp(job.due, ZONE) for job in plans["offer.due"]]
    # Half past eleven in UTC is the next day in Germany; summer time begins on the 29th.
    assert days == [datetime(2026, 3, 13, 8, tzinfo=ZONE), datetime(2026, 3, 17, 8, tzinfo=ZONE)]


def test_days_that_are_long_over_are_left_alone() -> None:
    _, plans = judged(None, {"status": "sent", "sentAt": "2026-03-05"}, DUE)
    assert [datetime.fromtimestamp(job.due, ZONE).day for job in plans["offer.due"]] == [12]


def test_what_holds_no_more_needs_none_of_its_days() -> None:
    for new in ({"status": "accepted", "sentAt": "2026-03-09"}, {"status": "sent"}, None):
        _, plans = judged({"status": "sent"}, new, DUE)
        assert plans == {"offer.due": []}


def test_webhooks_hear_what_they_asked_for() -> None:
    jobs, _ = judged(None, {}, SENT, subscriptions=(EVERYTHING,))
    assert [(job.trigger, job.action, job.queue) for job in jobs] == [
        ("offer.created", "webhook:n8n", "webhooks")
    ]
    jobs, _ = judged({}, {"status": "sent"}, SENT, subscriptions=(EVERYTHING,))
    assert {(job.trigger, job.action) for job in jobs} == {
        ("offer.sent", "notify"),
        ("offer.updated", "webhook:n8n"),
    }
    jobs, _ = judged({}, None, SENT, subscriptions=(EVERYTHING,))
    assert [job.trigger for job in jobs] == ["offer.deleted"]
    jobs, _ = judged({}, {}, SENT, subscriptions=(EVERYTHING,), known=False)
    assert jobs == []


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=400)
    | st.sampled_from(
        ["2026-03-09", "0000-00-00", "9999-12-31T23:59:59Z", "2026-03-09T25:00:00Z", "٢٠٢٦-٠٣-٠٩"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
DOCUMENT = st.none() | st.fixed_dictionaries({"status": ANYTHING, "owner": ANYTHING, "sentAt": ANYTHING})


@given(DOCUMENT, DOCUMENT)
def test_documents_say_anything_and_nothing_breaks(old: Any, new: Any) -> None:
    import orjson

    jobs, plans = judged(old, new, SENT, OWNER, DUE, subscriptions=(EVERYTHING,))
    for one in (*jobs, *plans["offer.due"]):
        assert one.due > NOW - 86_400
    for doc in (old, new):
        if doc is not None:
            orjson.dumps(Judge(triggers=(SENT, OWNER)).state("offer", doc))
