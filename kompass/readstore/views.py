"""What people see: a view of every type, the star schema, the reports. Pure text.

Every view belongs to the owner, whom row-level security binds as well: what a query finds in a table are the
rows of which a channel is held by the person that has logged in (`tables.readable`). A document is read as a
whole or not at all, so these are all columns that he may read; what has other readers is in a companion, a
row of another table. A view that joins them has null where he doesn't read the companion.

Each ends with `OFFSET 0`: a condition of the query is looked at after the rows are chosen, even one that
PostgreSQL takes for harmless. Otherwise plans and their figures would tell whether a hidden row has a value.
"""

from __future__ import annotations

from collections.abc import Iterator

from kompass.readstore import reports, star
from kompass.readstore.columns import OTHER, columns
from kompass.readstore.names import COMMON, OWNER, PEOPLE, WRITER, Generation, quoted

FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION {COMMON}.me() RETURNS text
    STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE sql
BEGIN ATOMIC
    SELECT CASE WHEN pg_has_role(session_user, '{WRITER}', 'MEMBER')
        THEN nullif(current_setting('kompass.person', true), '')
        ELSE (SELECT person FROM {COMMON}.logins WHERE login = session_user) END;
END;
COMMENT ON FUNCTION {COMMON}.me() IS
    'who asks: whose login it is, or whom the product says it asks for; nobody else can say so';

CREATE OR REPLACE FUNCTION {COMMON}.everything() RETURNS boolean
    STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE sql
BEGIN ATOMIC
    SELECT coalesce(current_setting('kompass.everything', true) = 'on', false)
        AND pg_has_role(session_user, '{WRITER}', 'MEMBER');
END;
COMMENT ON FUNCTION {COMMON}.everything() IS 'whether the product asks for itself, to work out what is kept';

REVOKE ALL ON FUNCTION {COMMON}.me(), {COMMON}.everything() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {COMMON}.me(), {COMMON}.everything() TO {PEOPLE}, {WRITER}, {OWNER};
"""

HIDDEN = frozenset({OTHER, "device", "quarantine"})
"""Types that nobody reads: they have no view."""


def statements(generation: Generation) -> list[str]:
    """What makes the views of a generation, in order."""
    return list(_statements(generation))


def _statements(generation: Generation) -> Iterator[str]:
    data, views = generation.data, generation.views
    yield f"CREATE SCHEMA {views}"
    yield f"GRANT USAGE ON SCHEMA {views} TO {PEOPLE}, {WRITER}"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {data} TO {WRITER}"
    for name in ("documents",):
        yield f"ALTER TABLE {data}.{name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
        yield f"DROP POLICY IF EXISTS writing ON {data}.{name}"
        yield f"DROP POLICY IF EXISTS reading ON {data}.{name}"
        yield f"CREATE POLICY writing ON {data}.{name} TO {WRITER} USING (true) WITH CHECK (true)"
    yield (
        f"CREATE POLICY reading ON {data}.documents FOR SELECT TO {OWNER} USING ("
        f"""(SELECT {COMMON}.everything()) OR ("all" AND 'all:' || type IN"""
        f" (SELECT channel FROM {data}.holdings WHERE person = (SELECT {COMMON}.me())))"
        f" OR id IN (SELECT r.id FROM {data}.holdings h JOIN {data}.readers r ON r.channel = h.channel"
        f" WHERE h.person = (SELECT {COMMON}.me())))"
    )
    yield _view(generation, "documents", f"SELECT id, type, rev, position, note FROM {data}.documents")
    for doctype, wanted in columns().items():
        if doctype in HIDDEN:
            continue
        names = ", ".join(["id", *(quoted(one.name) for one in wanted), "doc"])
        yield _view(generation, doctype, f"SELECT {names} FROM {data}.{quoted(doctype)}")
    for name, select in star.views(generation).items():
        yield _view(generation, name, select)
    for name, select in reports.views(generation).items():
        yield _view(generation, name, select)
    yield from star.materialized(generation)
    yield f"GRANT SELECT ON ALL TABLES IN SCHEMA {views} TO {PEOPLE}"


def _view(generation: Generation, name: str, select: str) -> str:
    return (
        f"CREATE VIEW {generation.views}.{quoted(name)} WITH (security_barrier = true) AS {select} OFFSET 0"
    )
