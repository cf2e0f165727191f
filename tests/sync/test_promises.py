"""The promises P2 and P3, and that no work is lost, whatever happens: see `tests.sync.promises`.

    KOMPASS_TEST_STEPS=200000 .venv/bin/python -m pytest -q tests/sync/test_promises.py

tries as many steps as you have time for. What fails is printed as a program; it runs again by

    KOMPASS_TEST_PROGRAM="[('purge', 3), ...]" .venv/bin/python -m pytest tests/sync/test_promises.py -k this
"""

from __future__ import annotations

import ast
import asyncio
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import note

from tests.programs import Length, programs, quiet
from tests.sync.promises.company import Company, Host, Template
from tests.sync.promises.program import Run
from tests.sync.promises.steps import STEPS, Step, used

LENGTH = Length.asked_for("KOMPASS_TEST_STEPS", usual=1000, each=50)
PROGRESS = 5000
"""Steps after which a longer run says how far it is."""


class Trial:
    """Runs programs, each in a company of its own."""

    def __init__(self, directory: Path, kind: type[Company] = Company) -> None:
        self.runner = asyncio.Runner()
        self.host = Host()
        self.seen: Counter[str] = Counter()
        self.steps = self.programs = self.requests = 0
        self._began = time.monotonic()
        self._directory = directory
        self._template = Template(directory / "template", kind)
        self._numbers = count()
        self.runner.run(self._found())

    async def _found(self) -> None:
        await self.host.__aenter__()
        await self._template.make(self.host)

    def run(self, program: list[Step]) -> None:
        self.runner.run(self._run(program))

    async def _run(self, program: list[Step]) -> None:
        directory = self._directory / f"company-{next(self._numbers)}"
        company = await self._template.open(self.host, directory)
        run = Run(company)
        try:
            for step in program:
                await run.step(step)
            await run.settle()
            await run.check()
            run.count()
        finally:
            await company.stop()
            await asyncio.to_thread(shutil.rmtree, directory)
            self.seen += run.seen
            self.steps += len(program)
            self.programs += 1
            self.requests += company.requests

            if LENGTH.is_long and self.steps // PROGRESS > (self.steps - len(program)) // PROGRESS:
                self.report()

    def report(self) -> None:
        print(
            f"\n{self.programs} programs, {self.steps} steps, {self.requests} requests,"
            f" {time.monotonic() - self._began:.0f} s",
            end="",
            flush=True,
            file=sys.__stderr__,
        )

    def close(self) -> None:
        self.runner.run(self.host.__aexit__())
        self.runner.close()


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    trial = Trial(tmp_path_factory.mktemp("promises"))
    with quiet():
        yield trial
    trial.close()
    if LENGTH.is_long:
        trial.report()
        print(f"; {dict(trial.seen.most_common())}", file=sys.__stderr__)


@pytest.mark.slow
@programs(STEPS, LENGTH)
def test_nobody_sees_too_much_or_loses_anything(trial: Trial, program: list[Step]) -> None:
    note(f"program: {used(program)}")
    trial.run(program)


KNOWN: dict[str, list[Step]] = {
    "somebody is disabled in the middle of a push": [
        ("create", 9, 0, 15, False),
        ("race", 9, "push", 100, ("roles", 4, 1, 0)),
    ],
    "a grant is read in pages": [("roles", 0, 5, 2), ("pull", 0, 1, 2, "never")],
    "reading a grant breaks off": [
        ("roles", 0, 5, 2),
        ("pull", 0, 3, 1, "one side"),
        ("pull", 0, 2, 2, "never"),
    ],
    "a comment goes and comes with its parent": [
        ("private", 0, False),
        ("settle",),
        ("private", 0, True),
        ("settle",),
        ("private", 0, False),
    ],
    "roles end while documents are fetched": [
        ("roles", 0, 5, 2),
        ("race", 0, "pull", 100, ("roles", 0, 0, 2)),
    ],
    "nobody's roles are left": [("roles", 3, 1, 1), ("create", 6, 9, 0, True)],
    "somebody makes a task for another": [("create", 3, 6, 37, False)],
    "two changes, one of them in the office": [
        ("race", 12, "push", 100, ("office", 18)),
        ("clash", 12, 10, 3, 0, 0),
        ("push", 12, 100, 1000, "written"),
        ("push", 10, 100, 1000, "halfway"),
    ],
}
"""What random programs meet too seldom."""


@pytest.mark.parametrize("program", KNOWN.values(), ids=KNOWN.keys())
def test_known_program(trial: Trial, program: list[Step]) -> None:
    trial.run(program)


if "KOMPASS_TEST_PROGRAM" in os.environ:

    def test_this_program(trial: Trial) -> None:
        trial.run(ast.literal_eval(os.environ["KOMPASS_TEST_PROGRAM"]))
