"""The promises of `tests/sync/test_promises.py` once more, with real PouchDBs in a process for each person.

Slower, so fewer and shorter programs; `KOMPASS_TEST_POUCHDB_STEPS` says how many steps in all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import note

from tests.needs import require
from tests.programs import Length, programs
from tests.sync.promises.company import PEOPLE, Host, Template
from tests.sync.promises.device import Device
from tests.sync.promises.pouchdb import PouchDevice, Tap, tablets_for_all
from tests.sync.promises.program import Run
from tests.sync.promises.steps import STEPS, Step, used

pytestmark = [pytest.mark.node, pytest.mark.slow]

LENGTH = Length.asked_for("KOMPASS_TEST_POUCHDB_STEPS", usual=300, each=30)


class Trial:
    def __init__(self, directory: Path) -> None:
        self.runner = asyncio.Runner()
        self.host = Host()
        self.tap = Tap()
        self._directory = directory
        self._template = Template(directory / "template")
        self._numbers = count()
        self.runner.run(self._found())
        self.tablets = tablets_for_all(Path(require("node")), self.host.url)

    async def _found(self) -> None:
        await self.host.__aenter__()
        await self._template.make(self.host)
        self.host.socket.tap = self.tap

    def run(self, program: list[Step]) -> None:
        self.runner.run(self._run(program))

    async def _run(self, program: list[Step]) -> None:
        number = next(self._numbers)
        company = await self._template.open(self.host, self._directory / f"company-{number}")
        self.tap.company = company
        self.tap.heard.clear()

        def new_device(user: str, device: int) -> Device:
            return PouchDevice(company, self.tablets[user], self.tap, user, f"{user}-{number}-{device}")

        company.new_device = new_device
        company.devices = [new_device(name, device) for name in PEOPLE for device in (1, 2)]
        run = Run(company)
        try:
            for device in company.devices[::2]:
                await device.pull()
            for step in program:
                await run.step(step)
            await run.settle()
            await run.check()
        finally:
            await company.stop()

    def close(self) -> None:
        for tablets in self.tablets.values():
            tablets.close()
        self.runner.run(self.host.__aexit__())
        self.runner.close()


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    trial = Trial(tmp_path_factory.mktemp("promises"))
    yield trial
    trial.close()


@programs(STEPS, LENGTH, new=True)
def test_nobody_sees_too_much_or_loses_anything(trial: Trial, program: list[Step]) -> None:
    note(f"program: {used(program)}")
    trial.run(program)
