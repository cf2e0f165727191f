"""SIGKILL at random moments of backups and restores: no backup of before is harmed, nothing half starts.

KOMPASS_TEST_CRASH_ROUNDS sets how often each is killed (3 by itself).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from kompass.backup.repository import Repository
from kompass.backup.target import DirectoryTarget
from kompass.backup.verifying import verify
from replication.store.sqlite.lock import UNFINISHED, DirectoryUnfinishedError
from replication.store.sqlite.store import SqliteStore
from tests.backup.company import KEY, Company, tables
from tests.needs import ROOT

pytestmark = [pytest.mark.crash, pytest.mark.slow]

ROUNDS = int(os.environ.get("KOMPASS_TEST_CRASH_ROUNDS", "3"))
SECRET = KEY.encode()


def started(company: Company, command: str, *options: object) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "kompass", command, *map(str, company.where), *map(str, options)]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed(process: subprocess.Popen[bytes], begun: Path, random: Random, span: float) -> bool:
    """Kills it some time after it has begun to write; whether it was finished before."""
    deadline = time.monotonic() + 30
    while not begun.exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(random.uniform(0, span))
    process.kill()
    return process.wait() == 0


def test_killed_backups_harm_none_of_before(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.fill()
    company.backup()
    before = tables(company.data)
    random = Random(os.environ.get("KOMPASS_TEST_SEED", "1"))
    for round_ in range(ROUNDS):
        (company.data / f"big{round_}.sqlite").write_bytes((company.data / "kompass.sqlite").read_bytes())
        shutil.rmtree(tmp_path / "repository" / "drafts", ignore_errors=True)
        process = started(company, "backup", "--data", company.data, "--keep-last", 2)
        killed(process, tmp_path / "repository" / "drafts", random, 0.08)
        repository = Repository.open(DirectoryTarget(tmp_path / "repository"), SECRET)
        assert not verify(repository).findings
        assert repository.numbers()
    assert company.restore(tmp_path / "first", "--backup", 1).exit_code == 0 or repository.numbers()[0] > 1
    company.backup("--keep-last", 2)
    repository = Repository.open(DirectoryTarget(tmp_path / "repository"), SECRET)
    assert not verify(repository).findings
    assert len(repository.numbers()) == 2
    assert list((company.data / "backup-work").glob("*.copy*")) == []
    after = tables(company.data)
    assert all(after[place] == rows for place, rows in before.items())


def test_killed_restores_are_refused_until_one_is_finished(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.fill()
    company.backup()
    expected = tables(company.data)["kompass.sqlite", "docs"]
    random = Random(os.environ.get("KOMPASS_TEST_SEED", "1"))
    for round_ in range(ROUNDS):
        place = tmp_path / f"new{round_}"
        killed(started(company, "restore", "--data", place), place / UNFINISHED, random, 0.06)
        if (place / UNFINISHED).exists():
            with pytest.raises(DirectoryUnfinishedError):
                SqliteStore(place)
            assert company.restore(place).exit_code == 0
        if (place / "server.json").exists():
            assert tables(place)["kompass.sqlite", "docs"] == expected
