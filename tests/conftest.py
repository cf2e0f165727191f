from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.cluster import over
from tests.examples import examples
from tests.needs import NEEDS, require, required_names

SLOW = ("slow", "crash", *NEEDS)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cases", type=int, default=0, metavar="N", help="of a test with a table run at most N cases of it"
    )


def pytest_configure(config: pytest.Config) -> None:
    # Servers that tests start have no process beside them unless a test asks for it.
    os.environ.setdefault("KOMPASS_FEED", "off")
    # Tests ask more in a minute than people do.
    os.environ.setdefault("KOMPASS_RATE_LIMIT", "0")
    required_names()
    over.check_environment()
    # How long an example takes says more about what else the machine does: the timeout of a test is enough.
    settings.register_profile("kompass", deadline=None, max_examples=examples(100))
    settings.load_profile("kompass")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Sixteen thousand tests and all they import stay until the end: the collector looks at none of it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves cases out, and puts the longest files first: what is small fills the gaps when two run beside
    each other.
    """
    most = config.getoption("cases")
    if most:
        kept = some_cases(items, most)
        chosen = set(map(id, kept))
        config.hook.pytest_deselected(items=[item for item in items if id(item) not in chosen])
        items[:] = kept
    ranks: dict[Path, int] = {}
    for item in items:
        long = item.get_closest_marker("timeout") is not None
        slow = any(item.get_closest_marker(name) for name in SLOW)
        ranks[item.path] = max(ranks.get(item.path, 0), 2 if long else int(slow))
    items.sort(key=lambda item: -ranks[item.path])


def some_cases(items: list[pytest.Item], most: int) -> list[pytest.Item]:
    """At most so many cases of each test: the first, the last, and others spread between them."""
    tables: dict[str, list[pytest.Item]] = {}
    for item in items:
        tables.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept: list[pytest.Item] = []
    for cases in tables.values():
        count = min(most, len(cases))
        steps = max(count - 1, 1)
        kept += [cases[number * (len(cases) - 1) // steps] for number in range(count)]
    return kept


def pytest_runtest_setup(item: pytest.Item) -> None:
    alone = item.get_closest_marker("alone")
    if alone is not None and over.IS_CLUSTER:
        pytest.skip(f"not over a cluster: {alone.args[0]}")
    for name in NEEDS:
        if item.get_closest_marker(name):
            require(name)


def pytest_runtest_logfinish() -> None:
    over.forget_clusters()
