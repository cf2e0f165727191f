from __future__ import annotations

from replication.accounts.lockout import Lockout
from replication.accounts.remembered import RememberedPasswords


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_name_is_locked_for_one_address_only() -> None:
    lockout = Lockout(threshold=2)
    lockout.failed(("1.1.1.1", "anna"))
    assert not lockout.is_locked(("1.1.1.1", "anna"))
    lockout.failed(("1.1.1.1", "anna"))
    assert lockout.is_locked(("1.1.1.1", "anna"))
    assert not lockout.is_locked(("2.2.2.2", "anna"))
    assert not lockout.is_locked(("1.1.1.1", "berta"))


def test_the_lock_opens_some_time_after_the_first_failure() -> None:
    clock = Clock()
    lockout = Lockout(threshold=2, seconds=300, clock=clock)
    lockout.failed(("a", "anna"))
    clock.now = 299
    lockout.failed(("a", "anna"))
    assert lockout.is_locked(("a", "anna"))
    clock.now = 300
    assert not lockout.is_locked(("a", "anna"))
    lockout.failed(("a", "anna"))
    assert not lockout.is_locked(("a", "anna"))


def test_the_right_password_clears_the_count() -> None:
    lockout = Lockout(threshold=2)
    lockout.failed(("a", "anna"))
    lockout.succeeded(("a", "anna"))
    lockout.failed(("a", "anna"))
    assert not lockout.is_locked(("a", "anna"))


def test_a_threshold_of_none_locks_nobody() -> None:
    lockout = Lockout(threshold=0)
    for _ in range(100):
        lockout.failed(("a", "anna"))
    assert not lockout.is_locked(("a", "anna"))
    assert len(lockout) == 0


def test_the_memory_of_failures_is_bounded() -> None:
    lockout = Lockout(capacity=10)
    for number in range(1000):
        lockout.failed(("a", f"name{number}"))
    assert len(lockout) == 10


def test_a_password_is_remembered_for_some_time() -> None:
    clock = Clock()
    memory = RememberedPasswords(seconds=60, clock=clock)
    right, wrong = memory.digest("right"), memory.digest("wrong")
    assert memory.matches("anna", "hash", right) is None
    memory.remember("anna", "hash", right)
    assert memory.matches("anna", "hash", right) is True
    assert memory.matches("anna", "hash", wrong) is False
    assert memory.matches("anna", "new hash", right) is None
    clock.now = 60
    assert memory.matches("anna", "hash", right) is None


def test_the_memory_of_passwords_keeps_what_is_used() -> None:
    memory = RememberedPasswords(capacity=2)
    digest = memory.digest("x")
    memory.remember("a", "", digest)
    memory.remember("b", "", digest)
    assert memory.matches("a", "", digest)
    memory.remember("c", "", digest)
    assert len(memory) == 2
    assert memory.matches("a", "", digest) is True
    assert memory.matches("b", "", digest) is None


def test_one_address_that_tries_many_names_is_locked() -> None:
    lockout = Lockout(threshold=5, address_threshold=8)
    for place in range(8):
        assert not lockout.is_locked(("1.2.3.4", "next"))
        lockout.failed(("1.2.3.4", f"name{place}"))
    assert lockout.is_locked(("1.2.3.4", "next"))
    assert lockout.is_address_locked("1.2.3.4")
    assert not lockout.is_locked(("5.6.7.8", "next"))


def test_one_name_that_many_addresses_try_is_locked() -> None:
    lockout = Lockout(threshold=5, name_threshold=8)
    for place in range(8):
        assert not lockout.is_locked(("9.9.9.9", "anna"))
        lockout.failed((f"1.2.3.{place}", "anna"))
    assert lockout.is_locked(("9.9.9.9", "anna"))
    assert not lockout.is_locked(("9.9.9.9", "bert"))


def test_a_right_password_doesn_t_hide_what_else_failed_from_the_address() -> None:
    lockout = Lockout(threshold=5, address_threshold=8)
    for place in range(20):
        lockout.failed(("1.2.3.4", f"name{place}"))
        lockout.failed(("1.2.3.4", "own"))
        lockout.succeeded(("1.2.3.4", "own"))
    assert lockout.is_address_locked("1.2.3.4")


def test_right_passwords_alone_lock_nobody() -> None:
    lockout = Lockout(threshold=5, address_threshold=8, name_threshold=8)
    for _ in range(50):
        lockout.failed(("1.2.3.4", "anna"))
        lockout.succeeded(("1.2.3.4", "anna"))
    assert not lockout.is_locked(("1.2.3.4", "anna"))


def test_forged_tokens_count_for_their_address() -> None:
    lockout = Lockout(threshold=5, address_threshold=3)
    for _ in range(3):
        assert not lockout.is_address_locked("1.2.3.4")
        lockout.address_failed("1.2.3.4")
    assert lockout.is_locked(("1.2.3.4", "anna"))
    assert lockout.is_address_locked("1.2.3.4")


def test_without_a_threshold_nothing_is_counted() -> None:
    lockout = Lockout(threshold=0, address_threshold=1, name_threshold=1)
    lockout.failed(("1.2.3.4", "anna"))
    lockout.address_failed("1.2.3.4")
    assert len(lockout) == 0


def test_what_others_are_told_counts_there_as_well() -> None:
    here, there = (Lockout(threshold=3, address_threshold=5) for _ in range(2))
    here.tell = there.count
    for _ in range(3):
        here.failed(("ip", "anna"))
        here.proved_wrong(("ip", "anna"))
    assert there.is_locked(("ip", "anna"))
    here.failed(("ip", "anna"))
    here.succeeded(("ip", "anna"))
    assert not there.is_locked(("ip", "anna"))
    told: list[object] = []
    here.tell = lambda *what: told.append(what)
    here.failed(("ip", "bert"))
    here.succeeded(("ip", "bert"))
    assert told == [], "nothing had failed before"
    here.tell = there.count
    for _ in range(2):
        here.address_failed("ip")
    assert there.is_address_locked("ip")
