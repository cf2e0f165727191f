from __future__ import annotations

import pytest

from tests.needs import NEEDS, require, required_names


def pytest_configure(config: pytest.Config) -> None:
    required_names()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in NEEDS:
        if item.get_closest_marker(name):
            require(name)
