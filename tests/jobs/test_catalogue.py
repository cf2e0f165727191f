"""The table of triggers names what there is."""

from __future__ import annotations

from typing import get_args

import pytest

from kompass.access.audiences import AUDIENCES
from kompass.access.principals import Role
from kompass.domain.registry import MODELS
from kompass.jobs.catalogue import BY_NAME, GENERAL, TRIGGERS
from kompass.jobs.triggers import At, Becomes, Changes, Notify, To, Trigger


def fields_of(doctype: str) -> dict[str, object]:
    return {field.alias or name: field.annotation for name, field in MODELS[doctype].model_fields.items()}


def values_of(annotation: object) -> set[str]:
    found = {one for one in get_args(annotation) if isinstance(one, str)}
    return found.union(*(values_of(one) for one in get_args(annotation)), set())


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda one: one.name)
def test_a_trigger_names_what_its_type_has(trigger: Trigger) -> None:
    assert trigger.name.startswith(f"{trigger.doctype}.")
    fields = fields_of(trigger.doctype)
    if isinstance(trigger.when, At):
        assert trigger.when.field in fields
        assert len(set(trigger.when.days)) == len(trigger.when.days)
        assert 0 <= trigger.when.hour < 24
    elif isinstance(trigger.when, Becomes):
        allowed = values_of(fields[trigger.when.field])
        assert trigger.when.values <= allowed or not allowed  # any text
    elif isinstance(trigger.when, Changes):
        assert trigger.when.field in fields
    if trigger.while_ is not None:
        assert trigger.while_.values <= values_of(fields[trigger.while_.field])
    for action in trigger.actions:
        assert_to(action.to, trigger.doctype)
        if isinstance(action, Notify):
            assert action.kind in values_of(fields_of("notification")["notificationType"])


def assert_to(to: To, doctype: str) -> None:
    assert to
    for one in to:
        if one.startswith("role:"):
            assert one[5:] in set(Role)
            continue
        first, _, then = one.partition(".")
        assert first in fields_of(doctype), one
        if then:
            assert then in fields_of(first.removesuffix("Id")), one


def test_names_are_unique_and_types_exist() -> None:
    assert len(BY_NAME) == len(TRIGGERS) + len(GENERAL)
    assert {one.doctype for one in BY_NAME.values()} <= set(AUDIENCES)


def test_whoever_is_notified_with_the_change_itself_is_not_notified_again() -> None:
    for one in TRIGGERS:
        if one.doctype in ("user_task", "project_task") and isinstance(one.when, Changes):
            assert not [each for each in one.actions if isinstance(each, Notify)], one.name
