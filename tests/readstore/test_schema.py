"""The schema of a store that is there already: migrations, and tables that follow the models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest
from alembic.script import ScriptDirectory

from kompass.feed.sink import SinkUnavailableError
from kompass.readstore import schema, tables
from kompass.readstore.columns import Column, Kind, columns
from kompass.readstore.embedded import Address
from kompass.readstore.names import LIVE
from kompass.readstore.place import Server
from kompass.readstore.sink import PostgresSink
from tests.readstore import harness
from tests.readstore.star import customer
from tests.readstore.world import World

pytestmark = pytest.mark.slow


def shape(address: Address) -> list[tuple[Any, ...]]:
    with psycopg.connect(address.dsn) as connection:
        return connection.execute(
            "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema IN ('kompass', 'kompass_data') ORDER BY 1, 2, 3"
        ).fetchall()


def test_migrations_are_one_line_from_nothing() -> None:
    from pathlib import Path

    found = ScriptDirectory(str(Path(schema.__file__).with_name("migrations")))
    assert len(found.get_heads()) == 1
    assert [one.down_revision for one in found.walk_revisions()][-1] is None


async def test_opening_again_changes_nothing(world: World) -> None:
    before = shape(world.address)
    oids = world.inside("SELECT oid FROM pg_class WHERE relnamespace = 'kompass'::regnamespace ORDER BY 1")
    other = PostgresSink(Server(world.address.dsn))
    await other.open()
    await other.close()
    assert shape(world.address) == before
    assert oids == world.inside(
        "SELECT oid FROM pg_class WHERE relnamespace = 'kompass'::regnamespace ORDER BY 1"
    )


async def test_a_store_of_older_models_gets_their_columns_filled(world: World) -> None:
    """A column that was not there, one of another type, and a whole table."""
    before = shape(world.address)
    await world.put(customer(), customer("customer-2", rating="C") | {"version": "drei"})
    for statement in (
        "ALTER TABLE kompass_data.customer DROP COLUMN rating CASCADE",
        "ALTER TABLE kompass_data.customer DROP COLUMN version CASCADE",
        "ALTER TABLE kompass_data.customer ADD COLUMN version text",
        "ALTER TABLE kompass_data.customer ADD COLUMN former text",
        "DROP TABLE kompass_data.lead CASCADE",
        "DROP SCHEMA kompass CASCADE",
    ):
        with psycopg.connect(world.address.dsn) as connection:
            connection.execute("SET ROLE kompass_owner")
            connection.execute(statement)
    other = PostgresSink(Server(world.address.dsn))
    await other.open()
    await other.close()
    assert world.ask("gf1", "SELECT id, rating, version FROM customer ORDER BY id DESC") == [
        ("customer-2", "C", None),
        ("customer-00000000-0000-4000-8000-000000000001", "B", 1),
    ]
    after = [row for row in shape(world.address) if row[2] != "former"]
    assert after == before, "what the models have no more stays in the table, and isn't shown"


async def test_a_new_field_of_a_model_is_a_column_at_the_next_opening(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.put(customer(neu="ganz neu"))
    wanted = {**columns(), "customer": (*columns()["customer"], Column("neu", Kind.TEXT, ("neu",)))}

    def more() -> Mapping[str, tuple[Column, ...]]:
        return wanted

    monkeypatch.setattr(tables, "columns", more)
    monkeypatch.setattr("kompass.readstore.views.columns", more)
    connection = Server(world.address.dsn).connect()
    schema.prepare(connection, LIVE, "BY")
    connection.close()
    assert world.ask("gf1", "SELECT neu FROM customer") == [("ganz neu",)]


async def test_another_land_has_other_holidays(world: World) -> None:
    query = "SELECT is_holiday FROM kompass_data.dim_time WHERE date_key = 20260106"
    assert world.inside(query) == [(True,)]
    connection = Server(world.address.dsn).connect()
    schema.prepare(connection, LIVE, "BE")
    connection.close()
    assert world.inside(query) == [(False,)]
    assert world.inside("SELECT count(*) FROM kompass_data.dim_time") == [(4383,)]


@pytest.fixture
def powerless() -> Iterator[Address]:
    """A login that may make nothing."""
    superuser = harness.server()
    with psycopg.connect(superuser.dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE powerless LOGIN PASSWORD 'x'")
        connection.execute("CREATE DATABASE powerless")
        yield Address(superuser.host, superuser.port, "powerless", "x", "powerless")
        connection.execute("DROP DATABASE powerless WITH (FORCE)")
        connection.execute("DROP ROLE powerless")


async def test_a_login_that_may_not_prepare_it_is_told_what_it_needs(powerless: Address) -> None:
    sink = PostgresSink(Server(powerless.dsn))
    with pytest.raises(SinkUnavailableError, match="give it CREATEROLE, and CREATE on the database"):
        await sink.open()
    await sink.close()
