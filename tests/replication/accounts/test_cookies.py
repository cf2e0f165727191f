from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.accounts.cookies import find_cookie, make_cookie, parse_cookie

NAMES = st.text(st.characters(exclude_characters=":", codec="utf-8"), min_size=1, max_size=40)


@given(
    NAMES, st.integers(0, 2**40), st.text(st.characters(codec="utf-8"), max_size=40), st.binary(max_size=40)
)
def test_a_cookie_is_read_back_and_believed(name: str, now: int, salt: str, secret: bytes) -> None:
    cookie = parse_cookie(make_cookie(name, salt, secret, now))
    assert (cookie.name, cookie.time) == (name, now)
    assert cookie.is_genuine(secret, salt)


def test_another_salt_or_secret_ends_a_session() -> None:
    cookie = parse_cookie(make_cookie("anna", "salt", b"secret", 1000))
    assert not cookie.is_genuine(b"secret", "new salt")
    assert not cookie.is_genuine(b"another", "salt")


@given(st.integers(0, 10_000))
def test_no_changed_character_is_believed(place: int) -> None:
    value = make_cookie("anna", "salt", b"secret", 1000)
    place %= len(value) - 1
    changed = value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]
    try:
        cookie = parse_cookie(changed)
    except ValueError:
        return
    assert not cookie.is_genuine(b"secret", "salt")


def test_the_format_is_couchdbs() -> None:
    """Name, hexadecimal time and 32 bytes of HMAC-SHA256, as CouchDB 3.5.0 answered for user `accp`."""
    cookie = parse_cookie("YWNjcDo2QjAwRDBCMjrMVcOFQqeAVyLoUrRekHgUu3aKB9C3JKrszCX1P6aivQ")
    assert cookie.name == "accp"
    assert cookie.time == 0x6B00D0B2
    assert len(cookie.mac) == 32


@given(st.text(max_size=80))
def test_anything_else_is_a_value_error(text: str) -> None:
    try:
        cookie = parse_cookie(text)
    except ValueError:
        return
    assert not cookie.is_genuine(b"secret", "salt")


@pytest.mark.parametrize("raw", [b"anna", b"anna:1", b"\xff:1:mac"])
def test_what_lacks_a_part_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match="NAME:HEXTIME:MAC"):
        parse_cookie(urlsafe_b64encode(raw).decode())


def test_a_time_that_is_none_counts_as_long_ago() -> None:
    assert parse_cookie(urlsafe_b64encode(b"anna:-1:mac").decode()).time == 0
    assert parse_cookie(urlsafe_b64encode(b"anna:" + b"F" * 13 + b":mac").decode()).time == 0


def test_a_long_cookie_is_refused_unread() -> None:
    with pytest.raises(ValueError, match="too long"):
        parse_cookie("A" * 5000)


def test_the_cookie_is_found_among_others() -> None:
    assert find_cookie("a=b; AuthSession=x-y_z; c=d") == "x-y_z"
    assert find_cookie('AuthSession="xyz"') == "xyz"
    assert find_cookie("AuthSession=") is None
    assert find_cookie("XAuthSession=abc") is None
    assert find_cookie("a=b") is None


def test_a_session_is_part_of_what_is_signed() -> None:
    value = make_cookie("anna", "salt", b"secret", 1000, "a-b.c_9")
    cookie = parse_cookie(value)
    assert (cookie.name, cookie.time, cookie.session) == ("anna", 1000, "a-b.c_9")
    assert cookie.is_genuine(b"secret", "salt")
    other = parse_cookie(make_cookie("anna", "salt", b"secret", 1000, "other"))
    assert not cookie._replace(signed=other.signed).is_genuine(b"secret", "salt")
    assert parse_cookie(make_cookie("anna", "salt", b"secret", 1000)).session == ""
