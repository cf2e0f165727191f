"""What a generation begins with: documents and who reads them, how far the sink is, the dimensions."""

from __future__ import annotations

from alembic import context, op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE {data}.documents (
    id text PRIMARY KEY,
    type text NOT NULL,
    position bigint NOT NULL,
    rev text NOT NULL,
    channels text[] NOT NULL,
    "all" boolean NOT NULL,
    note text
);
COMMENT ON TABLE {data}.documents IS 'every document: which table has it, and who reads it';

CREATE TABLE {data}.gone (
    id text PRIMARY KEY,
    position bigint NOT NULL
);
COMMENT ON TABLE {data}.gone IS 'deleted documents: what is older than that stays away';

CREATE TABLE {data}.readers (
    channel text NOT NULL,
    type text NOT NULL,
    id text NOT NULL,
    PRIMARY KEY (id, channel)
);
CREATE INDEX readers_by_channel ON {data}.readers (channel, type) INCLUDE (id);
COMMENT ON TABLE {data}.readers IS 'the channels of documents, but for all:<their type>';

CREATE TABLE {data}.people (
    name text PRIMARY KEY,
    active boolean NOT NULL,
    roles text[] NOT NULL
);
CREATE TABLE {data}.holdings (
    person text NOT NULL,
    channel text NOT NULL,
    PRIMARY KEY (person, channel)
);

CREATE TABLE {data}.state (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch text,
    since text,
    position bigint,
    views text,
    holidays text,
    refreshed timestamptz
);
INSERT INTO {data}.state DEFAULT VALUES;

CREATE TABLE {data}.dim_time (
    date_key integer PRIMARY KEY,
    day date NOT NULL UNIQUE,
    year smallint NOT NULL,
    quarter smallint NOT NULL,
    month smallint NOT NULL,
    week smallint NOT NULL,
    week_year smallint NOT NULL,
    day_of_month smallint NOT NULL,
    day_of_week smallint NOT NULL,
    is_weekend boolean NOT NULL,
    is_holiday boolean NOT NULL,
    holiday_name text,
    is_working_day boolean NOT NULL
);
"""

DIMENSION = """
CREATE TABLE {{data}}.dim_{name}s (
    {key} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    {id} text NOT NULL,
    {attributes},
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL,
    is_current boolean NOT NULL,
    position bigint NOT NULL,
    CHECK (valid_from < valid_to),
    UNIQUE ({id}, valid_from)
);
CREATE UNIQUE INDEX dim_{name}s_current ON {{data}}.dim_{name}s ({id}) WHERE is_current;
"""


def dimension(name: str, **attributes: str) -> str:
    """A table of versions, each valid for a time. `attributes`: column and type."""
    columns = ",\n    ".join(f"{column} {kind}" for column, kind in attributes.items())
    return DIMENSION.format(name=name, key=f"{name}_key", id=f"{name}_id", attributes=columns)


DIMENSIONS = (
    dimension("customer", company_name="text", industry="text", rating="text", city="text", country="text")
    + dimension(
        "user",
        user_name="text",
        display_name="text",
        department="text",
        primary_role="text",
        active="boolean",
    )
    + "CREATE INDEX dim_users_by_name ON {data}.dim_users (user_name) WHERE is_current;"
    + dimension(
        "product", product_code="text", product_name="text", category="text", unit="text", status="text"
    )
)


def upgrade() -> None:
    op.execute((TABLES + DIMENSIONS).format(data=context.config.attributes["schema"]))
