"""Every step of the status graphs that people take has a name, and no name leads elsewhere."""

from __future__ import annotations

import pytest

from kompass.domain.machines import MACHINES
from kompass.resources.actions import STEPS, names, patch, taken
from kompass.resources.catalogue import RESOURCES


@pytest.mark.parametrize("doctype", MACHINES)
def test_the_names_cover_the_graph(doctype: str) -> None:
    taken = {edge.to for edge in MACHINES[doctype].edges if not edge.by_server}
    steps = STEPS.get(doctype, {})
    assert set(steps.values()) == taken
    assert len(set(steps.values())) == len(steps), "a status is reached by one name"


def test_every_type_with_steps_is_a_resource() -> None:
    assert STEPS.keys() <= {one.type for one in RESOURCES.values()}


def test_what_is_sent_does_not_say_where_an_action_leads() -> None:
    at = "2026-03-02T08:00:00.000Z"
    assert patch("offer", "send", {"status": "accepted", "notes": "x"}, at) == {
        "status": "sent",
        "notes": "x",
    }
    assert patch("meeting", "check-in", {}, at) == {"checkedInAt": at}
    assert "check-in" in names("meeting")
    assert names("customer") == ()


def test_nobody_checks_in_twice() -> None:
    assert taken("meeting", "check-in", {}) is None
    refusal = taken("meeting", "check-in", {"checkedInAt": "2026-03-02T08:00:00.000Z"})
    assert refusal is not None
    assert refusal.fields == ("checkedInAt",)
