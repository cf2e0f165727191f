"""Makes what the read store needs in a database: roles, the schemas of a generation, tables, views.

    kompass_common      who logs in as whom; outlives every generation
    kompass_data        a generation's tables
    kompass             the views of them that people see

A generation in the making has the same in `…_next`. Switching renames: views, policies and functions know
tables by number, not by name, so what reads the old one goes on reading it to its end.

Roles: see `names.py`. All of it is made by the sink's login, which must be able to make roles (`CREATEROLE`)
and schemas (`CREATE` on the database); it needn't be, and shouldn't be, a superuser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kompass.readstore import calendar, tables, views
from kompass.readstore.errors import ReadStoreError
from kompass.readstore.names import COMMON, OWNER, PEOPLE, WRITER, Generation, literal, quoted

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy

OLDEST = 150000
"""PostgreSQL 15."""

_ADVISORY = 0x6B6F6D70
"""One process changes schemas at a time."""


def prepare(connection: psycopg.Connection[Any], generation: Generation, state: str) -> None:
    """Makes or migrates everything of a generation, in one transaction. `state`: the Land of the holidays.

    Raises `ReadStoreError` for a server that is too old, or a login that may not do it.
    """
    import psycopg

    if connection.info.server_version < OLDEST:
        raise ReadStoreError(
            f"the read store needs PostgreSQL 15 or newer; this is {connection.info.server_version // 10000}"
        )
    try:
        with _as_alembic_needs_it(connection) as wrapped:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY,))
            _roles(connection)
            _common(connection)
            with acting_as_owner(connection):
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {generation.data}")
                connection.execute(f"GRANT USAGE ON SCHEMA {generation.data} TO {WRITER}")
                _migrate(wrapped, generation)
                added = tables.follow(connection, generation)
                _views(connection, generation)
                _holidays(connection, generation, state)
            tables.fill(connection, generation, added)
    except psycopg.errors.InsufficientPrivilege as error:
        raise ReadStoreError(
            f"the login {connection.info.user} can't prepare the read store ({error.diag.message_primary}):"
            " give it CREATEROLE, and CREATE on the database"
        ) from error


@contextmanager
def acting_as_owner(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Inside a transaction: what is made belongs to the owner."""
    connection.execute(f"SET LOCAL ROLE {OWNER}")
    yield
    connection.execute("RESET ROLE")


def drop(connection: psycopg.Connection[Any], generation: Generation) -> None:
    """Removes a generation; nothing if there is none."""
    with connection.transaction(), acting_as_owner(connection):
        for schema in (generation.views, generation.data):
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def rename(connection: psycopg.Connection[Any], old: Generation, new: Generation) -> None:
    """Inside a transaction, as the owner."""
    for before, after in ((old.data, new.data), (old.views, new.views)):
        connection.execute(f"ALTER SCHEMA {before} RENAME TO {after}")


def _roles(connection: psycopg.Connection[Any]) -> None:
    there = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^kompass_'")}
    for role in (OWNER, WRITER, PEOPLE):
        if role not in there:
            connection.execute(f"CREATE ROLE {role} NOLOGIN")
    me, database = quoted(connection.info.user), quoted(connection.info.dbname)
    for role in (OWNER, WRITER, PEOPLE):
        member = connection.execute(
            "SELECT pg_has_role(session_user, %s, 'SET')"
            if connection.info.server_version >= 160000
            else "SELECT pg_has_role(session_user, %s, 'MEMBER')",
            (role,),
        ).fetchone()
        if not (member and member[0]) or (role == WRITER and not _is_member(connection, role)):
            connection.execute(f"GRANT {role} TO {me}")
    connection.execute(f"GRANT CREATE, CONNECT ON DATABASE {database} TO {OWNER}")
    connection.execute(f"GRANT CONNECT ON DATABASE {database} TO {PEOPLE}")
    # Nobody makes tables of his own, temporary ones included, and who is nobody here doesn't connect.
    connection.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    connection.execute(f"GRANT TEMPORARY ON DATABASE {database} TO {WRITER}, {OWNER}")


def _is_member(connection: psycopg.Connection[Any], role: str) -> bool:
    found = connection.execute(
        "SELECT 1 FROM pg_auth_members WHERE member = to_regrole(session_user::text)::oid"
        " AND roleid = to_regrole(%s)::oid",
        (role,),
    ).fetchone()
    return found is not None


def _common(connection: psycopg.Connection[Any]) -> None:
    with acting_as_owner(connection):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {COMMON}")
        connection.execute(f"GRANT USAGE ON SCHEMA {COMMON} TO {WRITER}")
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {COMMON}.logins (login name PRIMARY KEY, person text NOT NULL)"
        )
        connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {COMMON}.logins TO {WRITER}")
        connection.execute(views.FUNCTIONS)


@contextmanager
def _as_alembic_needs_it(connection: psycopg.Connection[Any]) -> Iterator[sqlalchemy.Connection]:
    """A transaction of the connection, begun and ended by SQLAlchemy."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: connection,
        poolclass=StaticPool,
        use_native_hstore=False,
    )
    with engine.connect() as wrapped, wrapped.begin():
        yield wrapped


def _migrate(wrapped: sqlalchemy.Connection, generation: Generation) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = wrapped
    config.attributes["schema"] = generation.data
    command.upgrade(config, "head")


def _views(connection: psycopg.Connection[Any], generation: Generation) -> None:
    """Makes the views anew if they are to be other than they are."""
    wanted = views.statements(generation)
    fingerprint = hashlib.sha256("\n".join(views.statements(Generation("d", "v"))).encode()).hexdigest()
    stored = connection.execute(f"SELECT views FROM {generation.data}.state").fetchone()
    if stored and stored[0] == fingerprint and _schema_exists(connection, generation.views):
        return
    connection.execute(f"DROP SCHEMA IF EXISTS {generation.views} CASCADE")
    for statement in wanted:
        connection.execute(statement)
    connection.execute(f"UPDATE {generation.data}.state SET views = {literal(fingerprint)}")


def _schema_exists(connection: psycopg.Connection[Any], name: str) -> bool:
    found = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", (name,)).fetchone()
    return bool(found and found[0])


def _holidays(connection: psycopg.Connection[Any], generation: Generation, state: str) -> None:
    """The days, written anew if the Land is another one."""
    stored = connection.execute(f"SELECT holidays FROM {generation.data}.state").fetchone()
    if stored and stored[0] == state:
        return
    table = f"{generation.data}.dim_time"
    connection.execute(f"DELETE FROM {table}")
    names = ", ".join(calendar.Day._fields)
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy,
    ):
        for day in calendar.days(state):
            copy.write_row(day)
    connection.execute(f"UPDATE {generation.data}.state SET holidays = {literal(state)}")
