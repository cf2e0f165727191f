"""Attacks with real logins: nobody gets a row, a value or a hint that he may not have as a document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, ObjectNotInPrerequisiteState

from kompass.domain.examples import TYPES, full
from kompass.feed.sink import Batch, Checkpoint, PersonAccess
from kompass.readstore import logins
from kompass.readstore.columns import columns
from kompass.readstore.errors import ReadStoreError
from kompass.readstore.views import HIDDEN
from tests.readstore.world import ROLES, World

pytestmark = pytest.mark.slow

SECRET = "Geheimhof Zirbelnuss"
MINE = "customer-00000000-0000-4000-8000-000000000001"
FOREIGN = "customer-00000000-0000-4000-8000-000000000002"


async def two_customers(world: World) -> None:
    common = {
        "type": "customer", "createdBy": "gf1", "createdAt": "2026-01-01T08:00:00.000Z",
        "modifiedBy": "gf1", "modifiedAt": "2026-01-01T08:00:00.000Z", "version": 1,
        "billingAddress": {"street": "Weg", "zipCode": "80331", "city": "Fichtelstadt",
                           "country": "Deutschland"},
    }  # fmt: skip
    await world.put(
        {**common, "_id": MINE, "companyName": "Hofladen Apfel", "owner": "adm1", "rating": "B"},
        {**common, "_id": FOREIGN, "companyName": SECRET, "owner": "adm2", "rating": "A"},
        {
            "_id": "customer-finance-2",
            "type": "customer_finance",
            "customerId": FOREIGN,
            "creditLimit": 77123,
        },
    )


async def test_everybody_sees_exactly_the_documents_he_may_read(world: World) -> None:
    await two_customers(world)
    docs = []
    for number, doctype in enumerate(TYPES):
        doc = full(doctype) | {"_id": f"{doctype}-{number}"}
        for field, value in (("customerId", MINE), ("owner", "adm1"), ("ownerId", "adm1")):
            if field in doc:
                doc[field] = value
        docs.append(doc)
    await world.put(*docs)
    for person in ROLES:
        allowed = world.readable(person)
        with world.login(person) as connection:
            seen = {row[0] for row in connection.execute("SELECT id FROM documents")}
            assert seen == allowed, person
            by_type: set[str] = set()
            for doctype in columns():
                if doctype not in HIDDEN:
                    by_type |= {row[0] for row in connection.execute(f'SELECT id FROM "{doctype}"')}
        assert by_type == allowed, person


async def test_what_changes_hands_changes_who_sees_it_with_the_same_batch(world: World) -> None:
    await two_customers(world)
    with world.login("adm1") as connection:
        count = "SELECT array_agg(id ORDER BY id) FROM customer"
        assert connection.execute(count).fetchone() == ([MINE],)
        await world.put(world.documents[MINE] | {"owner": "adm2"})
        assert connection.execute(count).fetchone() == (None,)


async def test_who_is_locked_out_sees_nothing_through_an_open_session(world: World) -> None:
    await two_customers(world)
    with world.login("gf1") as connection:
        assert len(connection.execute("SELECT id FROM customer").fetchall()) == 2
        gone = PersonAccess("gf1", False, frozenset(), frozenset())
        await world.sink.apply(Batch((), Checkpoint("world", "9", 9), [gone]))
        assert connection.execute("SELECT id FROM customer").fetchall() == []
        assert connection.execute("SELECT * FROM report_pipeline").fetchall() == []


REFUSED = {
    "base table": "SELECT * FROM kompass_data.customer",
    "base table, one column": "SELECT count(id) FROM kompass_data.documents",
    "readers": "SELECT * FROM kompass_data.readers",
    "holdings": "SELECT * FROM kompass_data.holdings",
    "people": "SELECT * FROM kompass_data.people",
    "history": "SELECT * FROM kompass_data.dim_customers",
    "figures over everything": "SELECT * FROM kompass_data.mv_revenue_by_quarter",
    "logins": "SELECT * FROM kompass_common.logins",
    "becoming the owner": "SET ROLE kompass_owner",
    "becoming the writer": "SET ROLE kompass_writer",
    "becoming the sink": "SET ROLE kompass_sink",
    "becoming somebody": "SET ROLE kompass_as_adm2",
    "becoming somebody for the session": "SET SESSION AUTHORIZATION kompass_as_adm2",
    "row security off": "SET row_security = off; SELECT * FROM kompass_data.customer",
    "row security off for a view": "SET row_security = off; SELECT * FROM customer",
    "a login": "INSERT INTO kompass_common.logins VALUES ('kompass_as_adm1', 'gf1')",
    "write through a view": f"UPDATE customer SET owner = 'adm1' WHERE id = '{FOREIGN}'",
    "delete through a view": "DELETE FROM customer",
    "copy a table": "COPY kompass_data.customer TO STDOUT",
    "copy to a file": "COPY (SELECT 1) TO '/tmp/kompass-attack'",
    "run a program": "COPY (SELECT 1) TO PROGRAM 'id'",
    "read a file": "SELECT pg_read_file('PG_VERSION')",
    "list files": "SELECT pg_ls_dir('.')",
    "other people's statistics": "SELECT * FROM pg_statistic",
    "passwords": "SELECT * FROM pg_authid",
    "a view of his own": "CREATE VIEW kompass.mine AS SELECT 1",
    "a view of his own, public": "CREATE VIEW public.mine AS SELECT 1",
    "a function of his own": "CREATE FUNCTION public.leak(text) RETURNS boolean COST 0.0001"
    " LANGUAGE sql AS 'SELECT true'",
    "a temporary function": "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE sql"
    " AS 'SELECT true'",
    "a temporary table": "CREATE TEMP TABLE logins AS SELECT 1",
    "an operator of his own": "CREATE OPERATOR public.=== (FUNCTION = texteq, LEFTARG = text,"
    " RIGHTARG = text)",
    "a large object": "SELECT lo_create(0)",
    "a large object with contents": "SELECT lo_from_bytea(0, 'x')",
    "changing the view": "CREATE OR REPLACE VIEW customer AS SELECT * FROM kompass_data.customer",
    "taking rights": "GRANT kompass_owner TO kompass_as_adm1",
    "a new role": "CREATE ROLE helper",
    "another's password": "ALTER ROLE kompass_as_adm2 PASSWORD 'x'",
    "another function of who asks": "CREATE OR REPLACE FUNCTION kompass_common.me() RETURNS text LANGUAGE sql"
    " AS $$SELECT 'gf1'$$",
    "policies off": "ALTER TABLE kompass_data.customer DISABLE ROW LEVEL SECURITY",
    "locking": "BEGIN; LOCK TABLE kompass_data.customer",
    "sampling": "ANALYZE kompass_data.customer",
    "listening to everything": "SELECT pg_create_logical_replication_slot('x', 'test_decoding')",
}


async def test_what_is_refused(world: World) -> None:
    await two_customers(world)
    with psycopg.connect(world.address.dsn) as connection:
        logins.create(connection, "adm2")
    for what, statement in REFUSED.items():
        with world.login("adm1") as connection:
            connection.execute("SET default_transaction_read_only = off")
            # The latter of a view that can't be written at all.
            with pytest.raises((InsufficientPrivilege, ObjectNotInPrerequisiteState)) as error:
                connection.execute(statement)
            assert SECRET not in str(error.value), what
        assert world.inside(f"SELECT owner FROM kompass_data.customer WHERE id = '{FOREIGN}'") == [("adm2",)]


QUERIES = {
    "everything": "SELECT * FROM customer",
    "whose search path": "SET search_path = kompass_data, kompass; SELECT * FROM kompass.customer",
    "a person he says he is": "SET kompass.person = 'gf1'; SELECT * FROM customer",
    "everything he says": "SET kompass.everything = 'on'; SELECT * FROM customer",
    "both locally": "BEGIN; SET LOCAL kompass.person = 'gf1'; SET LOCAL kompass.everything = 'on';"
    " SELECT * FROM customer",
    "group": "SET ROLE NONE; SELECT * FROM customer",
    "shadowing": "SET search_path = pg_temp, kompass; SELECT * FROM customer",
    "dimension": "SELECT * FROM dim_customers",
    "documents": "SELECT * FROM documents",
    "companion": "SELECT * FROM customer_finance",
    "statistics": "SELECT * FROM pg_stats WHERE schemaname LIKE 'kompass%'",
    "extended statistics": "SELECT * FROM pg_stats_ext",
    "prepared": "PREPARE p AS SELECT * FROM customer; EXECUTE p",
    "cursor": "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM customer; FETCH ALL FROM c",
    "as xml": "SELECT query_to_xml('SELECT * FROM customer', true, false, '')::text",
    "schema as xml": "SELECT schema_to_xml('kompass', true, false, '')::text",
    "activity": "SELECT query FROM pg_stat_activity WHERE usename <> current_user",
    "sql": "SELECT string_agg(c::text, '') FROM customer c",
    "quarter": "SELECT * FROM mv_revenue_by_quarter",
}


async def test_what_is_answered_is_his_own(world: World) -> None:
    await two_customers(world)
    for what, statement in QUERIES.items():
        assert_hidden(world, what, statement, (SECRET, FOREIGN, "77123"))


LEAKY = {
    "of a row that he names": "SELECT id FROM customer WHERE id = '"
    + FOREIGN
    + "' AND company_name::int > 1",
    "division": "SELECT id FROM customer WHERE 1 / (CASE company_name WHEN '{secret}' THEN 0 ELSE 1 END) = 1",
    "cast": "SELECT id FROM customer WHERE company_name::integer > 0",
    "cast of the json": "SELECT id FROM customer WHERE (doc->>'companyName')::integer > 0",
    "format": "SELECT id FROM customer WHERE to_number(company_name, '9') > 0",
    "regular expression": "SELECT id FROM customer WHERE '(' || company_name ~ company_name",
    "time": "SELECT id FROM customer WHERE CASE company_name WHEN '{secret}' "
    " THEN pg_sleep(5)::text ELSE 'x' END = 'x'",
    "aggregate": "SELECT max(1 / (CASE company_name WHEN '{secret}' THEN 0 ELSE 1 END)) FROM customer",
    "of a fact": "SELECT interaction_id FROM fact_interactions WHERE customer_id::integer > 0",
    "of a document": "SELECT id FROM documents WHERE substr(id, 10)::uuid::text::integer > 0",
}


async def test_conditions_are_looked_at_after_the_rows_are_chosen(world: World) -> None:
    """Functions that fail or take their time would tell about rows that are not his."""
    await two_customers(world)
    for what, statement in LEAKY.items():
        # It may fail on a row of his own: that he may know.
        hidden = (SECRET, FOREIGN[-12:], "division by zero")
        assert_hidden(world, what, statement.format(secret=SECRET), hidden)


def assert_hidden(world: World, what: str, statement: str, hidden: Sequence[str]) -> None:
    with world.login("adm1") as connection:
        connection.execute("SET statement_timeout = '4s'")
        found = _answer(connection, statement)
    for one in hidden:
        assert one not in found, what


def _answer(connection: psycopg.Connection[Any], statement: str) -> str:
    """Rows of all that is asked, or the error that is in the values."""
    try:
        cursor = connection.execute(statement)
        found = [cursor.fetchall() if cursor.description else []]
        while cursor.nextset():
            found.append(cursor.fetchall() if cursor.description else [])
        return repr(found)
    except psycopg.DataError as error:
        return str(error)
    except psycopg.errors.FeatureNotSupported:  # built without XML
        return ""


async def test_a_plan_is_the_same_whether_a_hidden_row_has_the_value_or_not(world: World) -> None:
    await two_customers(world)
    others = [
        world.documents[FOREIGN] | {"_id": f"customer-viele-{number}", "companyName": SECRET}
        for number in range(200)
    ]
    await world.put(*others)
    analyse_customers(world)
    fields = ("company_name", "doc->>'companyName'", "rating", "billing_address_city", "id")
    with world.login("adm1") as connection:
        for explain in ("EXPLAIN", "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF)"):
            for field in fields:
                plans = []
                for value in (SECRET, "gibt es nicht", "A", FOREIGN):
                    rows = connection.execute(f"{explain} SELECT * FROM customer WHERE {field} = '{value}'")
                    plan = "\n".join(row[0] for row in rows).replace(f"'{value}'", "?")
                    plans.append(re.sub(r"actual time=\S+", "", plan))
                assert len(set(plans)) == 1, f"{explain} {field}\n" + "\n\n".join(plans[:2])


def analyse_customers(world: World) -> None:
    """What autovacuum does now and then."""
    with psycopg.connect(world.address.dsn, autocommit=True) as connection:
        connection.execute("SET ROLE kompass_owner")
        connection.execute("ANALYZE kompass_data.customer")


async def test_no_column_of_contents_is_sampled(world: World) -> None:
    await two_customers(world)
    analyse_customers(world)
    sampled = world.inside(
        "SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " WHERE c.relnamespace = 'kompass_data'::regnamespace AND c.relname = 'customer'"
        " AND a.attnum > 0 AND coalesce(a.attstattarget, -1) <> 0 ORDER BY 1"
    )
    # Ids and user names, which conditions can't be pushed down to, flags, and the revision.
    assert [row[0] for row in sampled] == [
        "_all", "_rev", "anonymized", "default_delivery_location_id", "finalized", "legal_hold", "owner",
    ]  # fmt: skip


async def test_a_person_without_a_record_gets_no_login(world: World) -> None:
    await two_customers(world)
    with (
        psycopg.connect(world.address.dsn) as connection,
        pytest.raises(ReadStoreError, match="knows no active person"),
    ):
        logins.create(connection, "niemand")


async def test_a_login_that_was_taken_away_is_gone_with_its_sessions(world: World) -> None:
    await two_customers(world)
    with world.login("adm1") as open_session, psycopg.connect(world.address.dsn, autocommit=True) as inside:
        assert ("kompass_as_adm1", "adm1") in logins.listed(inside)
        assert logins.remove(inside, "adm1")
        assert not logins.remove(inside, "adm1")
        with pytest.raises(psycopg.OperationalError):
            open_session.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError), world.login("adm1"):
            pass


async def test_an_odd_name_gets_a_login_of_its_own(world: World) -> None:
    names = ["adm1", "ADM1", "adm'1", 'x"; DROP TABLE x; --', "ä" * 128, "x_" + "0" * 32]
    assert len({logins.login_name(name) for name in names}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_]{1,63}", logins.login_name(name)) for name in names)


async def test_every_table_with_documents_is_under_row_level_security_of_an_owner_nobody_is(
    world: World,
) -> None:
    rows = world.inside(
        "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, r.rolname, r.rolcanlogin, r.rolsuper"
        " FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner"
        " WHERE c.relnamespace = 'kompass_data'::regnamespace AND c.relkind = 'r'"
    )
    found = {row[0]: row[1:] for row in rows}
    for doctype in (*columns(), "documents"):
        assert found[doctype] == (True, True, "kompass_owner", False, False), doctype
    assert {row[2] for row in found.values()} == {"kompass_owner"}


async def test_people_have_rights_to_views_only(world: World) -> None:
    rows = world.inside(
        "SELECT table_schema, privilege_type FROM information_schema.role_table_grants"
        " WHERE grantee IN ('kompass_people', 'PUBLIC') AND table_schema LIKE 'kompass%' GROUP BY 1, 2"
    )
    assert rows == [("kompass", "SELECT")]
    barriers = world.inside(
        "SELECT relname FROM pg_class WHERE relnamespace = 'kompass'::regnamespace"
        " AND NOT 'security_barrier=true' = ANY(coalesce(reloptions, '{}'))"
    )
    assert barriers == []
