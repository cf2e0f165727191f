"""What holds whatever people send: the product with its rules, real requests, edits that are right and wrong.

    KOMPASS_TEST_STEPS=50000 .venv/bin/python -m pytest -q tests/business/test_invariants.py

tries as many steps as you have time for. After each step everything that has changed is looked at:

- what is stored is a sound document of its type, and one version of it lives;
- its status came along edges of its graph;
- what was final is there, with its number, as it was sealed but for what its change log says;
- what was refused is in quarantine, and nothing failed.

After each program: no number is missing or given twice, what follows from documents is what would be worked
out anew, and the chain of writes has every revision.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path as File

import pytest
from hypothesis import note

from tests.business.invariants.company import Company
from tests.business.invariants.run import Run
from tests.business.invariants.steps import FOUNDED, KINDS, STEPS, Step
from tests.programs import Length, programs, quiet

LENGTH = Length.asked_for("KOMPASS_TEST_STEPS", usual=1000, each=50)


class Trial:
    """Runs programs, each in a company of its own."""

    def __init__(self, directory: File) -> None:
        self.runner = asyncio.Runner()
        self.seen: Counter[str] = Counter()
        self._directory = directory
        self._numbers = count()
        self.runner.run(self._found())

    async def _found(self) -> None:
        company = Company(self._directory / "template")
        await company.start()
        try:
            await company.found()
        finally:
            await company.close()

    def run(self, program: list[Step]) -> None:
        self.runner.run(self._run(program))

    async def _run(self, program: list[Step]) -> None:
        directory = self._directory / f"company-{next(self._numbers)}"
        await asyncio.to_thread(shutil.copytree, self._directory / "template", directory)
        company = Company(directory)
        await company.start()
        try:
            run = Run(company)
            for kind in FOUNDED:
                await run.step(("create", 5, KINDS.index(kind), 0))
            for step in program:
                await run.step(step)
            company.look_at_all()
        finally:
            await company.close()
            await asyncio.to_thread(shutil.rmtree, directory)
            self.seen += company.seen

    def close(self) -> None:
        self.runner.close()


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with quiet():
        trial = Trial(tmp_path_factory.mktemp("invariants"))
        yield trial
        trial.close()
    if os.environ.get("KOMPASS_TEST_STEPS"):
        print(dict(sorted(trial.seen.items())), file=sys.__stderr__)


@pytest.mark.slow
@programs(STEPS, LENGTH)
def test_the_rules_hold_whatever_is_sent(trial: Trial, program: list[Step]) -> None:
    note(f"program: {program}")
    trial.run(program)
