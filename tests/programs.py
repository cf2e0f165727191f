"""Tests that run programs of random steps: how many, how Hypothesis makes them, what is logged meanwhile."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


class Length(NamedTuple):
    """How much a test tries."""

    steps: int
    """In all."""
    each: int
    """Of one program."""
    is_long: bool
    """Whether somebody has asked for more than usual: then nothing limits the time."""

    @classmethod
    def asked_for(cls, variable: str, *, usual: int, each: int) -> Length:
        """As the environment says."""
        steps = int(os.environ.get(variable, usual))
        return cls(steps, each, steps > usual)


def programs(
    steps: st.SearchStrategy[Any], length: Length, *, new: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a test each `program`: the same ones every time in a usual run, new ones in a longer one or with
    `new`.
    """
    given_programs = given(program=st.lists(steps, min_size=length.each, max_size=length.each))
    configured = settings(
        derandomize=not (new or length.is_long),
        max_examples=max(1, length.steps // length.each),
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    timeout = pytest.mark.timeout(0 if length.is_long else 600)

    def decorated(test: Callable[..., None]) -> Callable[..., None]:
        marked: Callable[..., None] = timeout(configured(given_programs(test)))
        return marked

    return decorated


@contextmanager
def quiet() -> Iterator[None]:
    """Logs warnings and worse only: a failure shall not come with a line for each role that ever changed."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(**before)
