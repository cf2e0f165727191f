from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.needs import NEEDS, require, required_names

SLOW = ("slow", "crash", *NEEDS)


def pytest_configure(config: pytest.Config) -> None:
    required_names()
    # How long an example takes says more about what else the machine does: the timeout of a test is enough.
    settings.register_profile("kompass", deadline=None)
    settings.load_profile("kompass")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first: what is small fills the gaps when two run beside each other."""
    ranks: dict[Path, int] = {}
    for item in items:
        long = item.get_closest_marker("timeout") is not None
        slow = any(item.get_closest_marker(name) for name in SLOW)
        ranks[item.path] = max(ranks.get(item.path, 0), 2 if long else int(slow))
    items.sort(key=lambda item: -ranks[item.path])


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in NEEDS:
        if item.get_closest_marker(name):
            require(name)
