"""The log keeps what it was told, in order, and notices what somebody has done to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kompass.revocations.log import FILE, Change, RevocationLog, RevocationLogError
from kompass.revocations.states import kinds
from kompass.texts import TextFile


def change(seq: int, name: str = "a", **state: object) -> Change:
    return Change("_users", "e1", seq, name, state or None)


def opened(directory: Path) -> RevocationLog:
    log = RevocationLog(TextFile(directory / FILE))
    log.load()
    return log


def test_what_was_added_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.add([change(1, roles=["ADM"]), change(2, "b", roles=[])])
    log.add([change(3)])
    assert opened(tmp_path).last("_users", "a") == change(3)
    assert opened(tmp_path).latest("_users") == [change(3), change(2, "b", roles=[])]
    assert opened(tmp_path).last("_users", "c") is None
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_line_that_a_crash_cut_off_does_not_count_and_is_written_over(tmp_path: Path) -> None:
    opened(tmp_path).add([change(1, roles=[])])
    whole = (tmp_path / FILE).read_bytes()
    for cut in (b"{", b'{"number":2,', b"x" * 100_000):
        (tmp_path / FILE).write_bytes(whole + cut)
        log = opened(tmp_path)
        assert log.last("_users", "a") == change(1, roles=[])
        log.add([change(2)])
        assert opened(tmp_path).last("_users", "a") == change(2)
    (tmp_path / FILE).write_bytes(b"{torn")
    opened(tmp_path).add([change(1)])
    assert opened(tmp_path).last("_users", "a") == change(1)


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_changed_removed_or_moved_line_is_noticed(tmp_path: Path, line: int) -> None:
    opened(tmp_path).add([change(n, roles=["ADM"]) for n in range(1, 5)])
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    for tampered in (
        [*lines[:line], lines[line].replace(b"ADM", b"GF"), *lines[line + 1 :]],
        [*lines[:line], *lines[line + 1 :]],
        [*lines[:line], lines[line + 1], lines[line], *lines[line + 2 :]],
        [*lines[:line], b"nonsense\n", *lines[line + 1 :]],
    ):
        (tmp_path / FILE).write_bytes(b"".join(tampered))
        with pytest.raises(RevocationLogError, match="doesn't follow the line before"):
            opened(tmp_path)


def test_what_could_not_be_written_is_written_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = opened(tmp_path)
    log.add([change(1, roles=[])])
    before = (tmp_path / FILE).read_bytes()

    def failing(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing)
        log.add([change(2)])
    assert (tmp_path / FILE).read_bytes() == before, "all of it or nothing"
    log.add([change(3, "b")])
    assert opened(tmp_path).last("_users", "a") == change(2)


LOGIN, DEVICE, PERSON, MATRIX = (one for found in kinds("kompass").values() for one in found)


def test_a_state_takes_and_never_gives() -> None:
    members = {"name": "anna", "roles": ["ADM", "GF"], "derived_key": "1", "salt": "s"}
    state = LOGIN.read(members)
    assert LOGIN.narrowed(members, state) == members
    narrower = {**state, "roles": ["GF", "PLAN"], "active": False}
    assert LOGIN.narrowed(members, narrower) == {**members, "roles": ["GF"], "active": False}
    changed = {**state, "password": {"derived_key": "2", "salt": "t"}}
    assert LOGIN.narrowed(members, changed) == {**members, "derived_key": "2", "salt": "t"}
    out = {"name": "anna", "roles": [], "active": False}
    assert PERSON.narrowed(out, {"roles": ["GF"], "active": True}) == out

    device = {"user": "anna", "revoked": True, "ended": 3}
    assert DEVICE.narrowed(device, {"revoked": False, "ended": 1}) == device
    assert DEVICE.narrowed({"ended": 1}, {"lost": True, "ended": 2}) == {"lost": True, "ended": 2}
    assert DEVICE.made({"user": "anna", "ended": 2}) is None
    made = DEVICE.made({"user": "anna", "revoked": True})
    assert made is not None
    assert made["user"] == "anna"
    assert made["revoked"] is True
    assert "name" not in DEVICE.read({"user": "anna", "name": "Annas Tablet"})
