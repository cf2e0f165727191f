"""Small texts, in files and in PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kompass.audit.signing import LIFE, SigningKeys
from kompass.cluster.connections import Connections
from kompass.cluster.texts import PostgresTexts
from kompass.revocations.log import Change, RevocationLog
from kompass.texts import TextFiles, Texts
from tests.cluster.harness import cluster


@pytest.fixture(params=["files", pytest.param("postgres", marks=[pytest.mark.slow])])
def texts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Texts]:
    if request.param == "files":
        yield TextFiles(tmp_path)
        return
    with cluster() as made:
        yield PostgresTexts(made.member().connections)


def test_a_text_is_replaced_and_added_to(texts: Texts) -> None:
    text = texts["log"]
    assert text.read() is None
    text.add(b"one\n")
    text.add(b"two\nthree\n")
    assert text.read() == b"one\ntwo\nthree\n"
    text.replace(b"\x00other")
    assert texts["log"].read() == b"\x00other"
    assert texts["another"].read() is None


def test_what_a_crash_left_of_a_line_goes(tmp_path: Path) -> None:
    text = TextFiles(tmp_path)["log"]
    text.add(b"whole\n")
    with (tmp_path / "log").open("ab") as file:
        file.write(b"half of a li")
    text.add(b"next\n")
    assert text.read() == b"whole\nnext\n"
    (tmp_path / "log").write_bytes(b"never whole")
    text.add(b"first\n")
    assert text.read() == b"first\n"


@pytest.mark.slow
def test_two_processes_write_one_log_of_revocations() -> None:
    with cluster() as made:
        logs = [RevocationLog(PostgresTexts(made.member().connections)["log"]) for _ in range(2)]
        for log in logs:
            log.load()

        def write(which: int) -> None:
            for number in range(20):
                name = f"{which}-{number}"
                logs[which].add([Change("db", "e", number, name, {"active": False})])

        threads = [threading.Thread(target=write, args=(which,)) for which in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        read = RevocationLog(PostgresTexts(made.member().connections)["log"])
        read.load()
        assert len(read.latest("db")) == 40, "every line follows the one before"


def test_the_next_key_is_that_of_whoever_needs_it_first(texts: Texts) -> None:
    first, second = SigningKeys(texts["keys"]), SigningKeys(texts["keys"])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert first.sign(str.encode, now)[0] == second.sign(str.encode, now)[0]
    later = now + LIFE + timedelta(seconds=1)
    assert second.sign(str.encode, later)[0] == first.sign(str.encode, later)[0]
    assert len(first.public) == len(second.public) == 2


def test_a_postgres_that_is_away_is_an_error_of_reading() -> None:
    texts = PostgresTexts(Connections("postgresql://nobody@127.0.0.1:1/x"))
    with pytest.raises(OSError, match="can't be reached"):
        texts["log"].read()
