"""Logins of people for tools that speak SQL: who has one sees in the views what he may read as documents.

A login is a role of PostgreSQL that belongs to a person of KOMPASS. For a tool that many use with the rights
of a role, make a person for it who has that role, and a login for him.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from kompass.readstore.errors import ReadStoreError
from kompass.readstore.names import COMMON, LIVE, PEOPLE, literal, quoted

if TYPE_CHECKING:
    import psycopg

PREFIX = "kompass_as_"
MAX_CONNECTIONS = 10

SESSION = {
    "search_path": LIVE.views,
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "10min",
    "default_transaction_read_only": "on",
}
"""What a session begins with. Whoever logs in can change it: it protects from mistakes only."""


class Login(NamedTuple):
    name: str
    password: str


def login_name(person: str) -> str:
    """The name of a person's login: his own behind a prefix, or a hash of it if it isn't plain."""
    if re.fullmatch(r"[a-z0-9_]{1,40}", person):
        return PREFIX + person
    return f"{PREFIX}x_{hashlib.sha256(person.encode()).hexdigest()[:32]}"


def create(connection: psycopg.Connection[Any], person: str) -> Login:
    """Makes somebody's login, or gives it another password; sessions that are open go on.

    Raises `ReadStoreError` if the read store knows no such person.
    """
    name, password = login_name(person), secrets.token_urlsafe(24)
    with connection.transaction():
        known = connection.execute(
            f"SELECT active FROM {LIVE.data}.people WHERE name = %s", (person,)
        ).fetchone()
        if not (known and known[0]):
            raise ReadStoreError(
                f"the read store knows no active person {person}: is the name right, and has it caught up?"
            )
        there = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
        verb = "ALTER" if there else "CREATE"
        connection.execute(
            f"{verb} ROLE {quoted(name)} LOGIN INHERIT CONNECTION LIMIT {MAX_CONNECTIONS}"
            f" PASSWORD {literal(password)}"
        )
        # Inherits what the group may, and needn't become it.
        options = " WITH INHERIT TRUE, SET FALSE" if connection.info.server_version >= 160000 else ""
        connection.execute(f"GRANT {PEOPLE} TO {quoted(name)}{options}")
        # Who ends somebody's sessions must have his rights.
        connection.execute(f"GRANT {quoted(name)} TO {quoted(connection.info.user)}")
        for setting, value in SESSION.items():
            connection.execute(f"ALTER ROLE {quoted(name)} SET {setting} = {literal(value)}")
        connection.execute(
            f"INSERT INTO {COMMON}.logins (login, person) VALUES (%s, %s)"
            " ON CONFLICT (login) DO UPDATE SET person = excluded.person",
            (name, person),
        )
    return Login(name, password)


def remove(connection: psycopg.Connection[Any], person: str) -> bool:
    """Takes somebody's login away and ends its sessions. False if he had none."""
    name = login_name(person)
    with connection.transaction():
        found = connection.execute(
            f"DELETE FROM {COMMON}.logins WHERE login = %s RETURNING login", (name,)
        ).fetchone()
        if found is None:
            return False
        connection.execute(f"ALTER ROLE {quoted(name)} NOLOGIN")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (name,)
        )
        connection.execute(f"DROP ROLE {quoted(name)}")
    return True


def listed(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Every login with its person."""
    with connection.transaction():
        rows = connection.execute(f"SELECT login, person FROM {COMMON}.logins ORDER BY 2").fetchall()
    return [(row[0], row[1]) for row in rows]
