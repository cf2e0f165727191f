"""The tables of the types follow the models: a column that is missing is added and filled from the documents.

That is the same change every time, so it needs no migration of its own. A column that the models have no more
stays and isn't used; one that has another type now is made anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kompass.readstore.columns import Column, Kind, columns
from kompass.readstore.names import OWNER, WRITER, Generation, literal, quoted
from kompass.readstore.rows import fitting

if TYPE_CHECKING:
    import psycopg

_PAGE = 500

_TYPES = {
    "text": Kind.TEXT,
    "ARRAY": Kind.TEXTS,
    "numeric": Kind.NUMBER,
    "bigint": Kind.INTEGER,
    "boolean": Kind.BOOLEAN,
    "date": Kind.DAY,
    "timestamp with time zone": Kind.MOMENT,
}

Added = Mapping[str, Sequence[Column]]
"""Type -> columns that are new in a table that was there."""


def follow(connection: psycopg.Connection[Any], generation: Generation) -> Added:
    """Makes what tables and columns lack. As the owner, inside a transaction."""
    there = _there(connection, generation)
    added: dict[str, list[Column]] = {}
    for doctype, wanted in columns().items():
        if doctype not in there:
            for statement in _create(generation, doctype, wanted):
                connection.execute(statement)
            continue
        table = f"{generation.data}.{quoted(doctype)}"
        for column in wanted:
            kind = there[doctype].get(column.name)
            if kind is column.kind:
                continue
            if kind is not None:
                connection.execute(f"ALTER TABLE {table} DROP COLUMN {quoted(column.name)} CASCADE")
                _forget_views(connection, generation)
            for statement in _add(generation, doctype, column):
                connection.execute(statement)
            added.setdefault(doctype, []).append(column)
    return added


def fill(connection: psycopg.Connection[Any], generation: Generation, added: Added) -> None:
    """Fills new columns from the documents. As the writer, inside a transaction."""
    for doctype, wanted in added.items():
        table = f"{generation.data}.{quoted(doctype)}"
        names = ", ".join(f"{quoted(one.name)} = {value('f.fields', one)}" for one in wanted)
        values = "(SELECT %s::text AS id, %s::jsonb AS fields) f"
        update = f"UPDATE {table} t SET {names} FROM {values} WHERE t.id = f.id"
        last = ""
        while True:
            page = connection.execute(
                f"SELECT id, doc FROM {table} WHERE id > %s ORDER BY id LIMIT {_PAGE}", (last,)
            ).fetchall()
            if not page:
                break
            last = page[-1][0]
            rows = [(docid, fitting(tuple(wanted), doc)) for docid, doc in page]
            connection.cursor().executemany(update, rows)


def value(source: str, column: Column) -> str:
    """The expression of a column's value. `source` is the `jsonb` with fields that fit."""
    *outer, last = column.path
    held = source + "".join(f"->{literal(one)}" for one in outer)
    if column.kind is Kind.TEXTS:
        found = f"{held}->{literal(last)}"
        return (
            f"CASE WHEN jsonb_typeof({found}) = 'array'"
            f" THEN ARRAY(SELECT jsonb_array_elements_text({found})) END"
        )
    text = f"{held}->>{literal(last)}"
    return text if column.kind is Kind.TEXT else f"({text})::{column.kind}"


def _there(connection: psycopg.Connection[Any], generation: Generation) -> dict[str, dict[str, Kind | None]]:
    found: dict[str, dict[str, Kind | None]] = {}
    rows = connection.execute(
        "SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c"
        " JOIN information_schema.tables t USING (table_schema, table_name)"
        " WHERE c.table_schema = %s AND t.table_type = 'BASE TABLE'",
        (generation.data,),
    )
    for table, name, kind in rows:
        found.setdefault(table, {})[name] = _TYPES.get(kind)
    return found


def _create(generation: Generation, doctype: str, wanted: Sequence[Column]) -> list[str]:
    table = f"{generation.data}.{quoted(doctype)}"
    defined = "".join(f", {quoted(one.name)} {one.kind}" for one in wanted)
    without = ["id", "doc", *(quoted(one.name) for one in wanted if _without_statistics(one))]
    own = "id text PRIMARY KEY, _rev text NOT NULL, _all boolean NOT NULL, doc jsonb NOT NULL"
    return [
        f"CREATE TABLE {table} ({own}{defined})",
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, "
        + ", ".join(f"ALTER COLUMN {name} SET STATISTICS 0" for name in without),
        f"CREATE POLICY writing ON {table} TO {WRITER} USING (true) WITH CHECK (true)",
        f"CREATE POLICY reading ON {table} FOR SELECT TO {OWNER} USING ({readable(generation, doctype)})",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {WRITER}",
        *(_index(table, doctype, one) for one in wanted if one.refers),
    ]


def _add(generation: Generation, doctype: str, column: Column) -> list[str]:
    table, name = f"{generation.data}.{quoted(doctype)}", quoted(column.name)
    made = [f"ALTER TABLE {table} ADD COLUMN {name} {column.kind}"]
    if _without_statistics(column):
        made.append(f"ALTER TABLE {table} ALTER COLUMN {name} SET STATISTICS 0")
    if column.refers:
        made.append(_index(table, doctype, column))
    return made


def _without_statistics(column: Column) -> bool:
    """Samples of contents would show in the plans of those who may not read them. Ids of others can't be
    guessed, and flags say nothing.
    """
    return not column.refers and column.kind is not Kind.BOOLEAN


def _index(table: str, doctype: str, column: Column) -> str:
    return f"CREATE INDEX {quoted(f'{doctype}_{column.name}'[:60])} ON {table} ({quoted(column.name)})"


def readable(generation: Generation, doctype: str) -> str:
    """Whether whoever asks may read a row: by the channel of the whole type, or by one that the row has.

    The first two are asked once in a query. The ids of the third are looked up once, too, and only where a
    row isn't covered by the first.
    """
    data = generation.data
    return (
        "(SELECT kompass_common.everything())"
        f" OR (_all AND {holds(generation, f'all:{doctype}')})"
        f" OR id IN (SELECT r.id FROM {data}.holdings h JOIN {data}.readers r ON r.channel = h.channel"
        f" WHERE h.person = (SELECT kompass_common.me()) AND r.type = {literal(doctype)})"
    )


def holds(generation: Generation, channel: str) -> str:
    """Whether whoever asks holds a channel."""
    return (
        f"(SELECT EXISTS (SELECT FROM {generation.data}.holdings WHERE person = kompass_common.me()"
        f" AND channel = {literal(channel)}))"
    )


def _forget_views(connection: psycopg.Connection[Any], generation: Generation) -> None:
    """A view went with its column: all are to be made anew."""
    connection.execute(f"UPDATE {generation.data}.state SET views = NULL")
