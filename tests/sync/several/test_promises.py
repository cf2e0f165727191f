"""The promises of `tests.sync.test_promises`, kept by several servers of which now and then one is killed.

    KOMPASS_TEST_STEPS=200000 .venv/bin/python -m pytest -q tests/sync/several/test_promises.py

tries as many steps as you have time for. With KOMPASS_TEST_OVER=cluster the servers are those of a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import note

from tests.cluster import over
from tests.programs import Length, programs, quiet
from tests.sync.promises.steps import STEPS, Step, used
from tests.sync.several.cluster import ClusterCompany
from tests.sync.several.company import SeveralCompany
from tests.sync.test_promises import KNOWN, Trial

pytestmark = pytest.mark.slow
LENGTH = Length.asked_for("KOMPASS_TEST_STEPS", usual=300, each=50)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    kind = ClusterCompany if over.IS_CLUSTER else SeveralCompany
    trial = Trial(tmp_path_factory.mktemp("promises"), kind)
    with quiet():
        yield trial
    trial.close()


@programs(STEPS, LENGTH)
def test_nobody_sees_too_much_or_loses_anything(trial: Trial, program: list[Step]) -> None:
    note(f"program: {used(program)}")
    trial.run(program)


@pytest.mark.parametrize("program", KNOWN.values(), ids=KNOWN.keys())
def test_known_program(trial: Trial, program: list[Step]) -> None:
    trial.run([*program, ("restart",), *program])
