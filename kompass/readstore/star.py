"""The star schema: dimensions that keep their history, facts as views, and one figure worked out in advance.

**Dimensions** are tables. A document that is stored with other attributes than the current version of its
dimension has closes that version and begins another, at the document's own `modifiedAt`. The first version
that is known counts for all time before it. So applying a change again changes nothing, and the order of
batches doesn't matter. Of a deleted document no version is left, of an anonymised one the last.

**Facts** are views over the tables of the types, so that row-level security decides what is in them for whom:
whoever lacks the companion with the costs sees the sale without its costs. Their rows are joined to the
version of the dimension that was valid on their day.

Money is in euros without tax unless a column says otherwise. Days are those of Berlin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kompass.readstore.names import COMMON, WRITER, Generation
from kompass.readstore.tables import holds

BEGINNING = "1900-01-01 00:00:00+00"
END = "9999-12-31 00:00:00+00"
ZONE = "Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dimension whose rows come from documents of one type."""

    table: str
    key: str
    id: str
    doctype: str
    attributes: Mapping[str, str]
    """Column -> what it is in the type's table, called `d`."""

    anonymized: str = "false"
    """Whether its past must be forgotten, of `d`."""


CUSTOMERS = Dimension(
    "dim_customers",
    "customer_key",
    "customer_id",
    "customer",
    {
        "company_name": "d.company_name",
        "industry": "d.industry",
        "rating": "d.rating",
        "city": "d.billing_address_city",
        "country": "d.billing_address_country",
    },
    "coalesce(d.anonymized, false)",
)
USERS = Dimension(
    "dim_users",
    "user_key",
    "user_id",
    "user",
    {
        "user_name": "d.user_name",
        "display_name": "d.display_name",
        "department": "d.department",
        "primary_role": "d.primary_role",
        "active": "d.active",
    },
    "coalesce(d.anonymized, false)",
)
PRODUCTS = Dimension(
    "dim_products",
    "product_key",
    "product_id",
    "material",
    {
        "product_code": "d.material_code",
        "product_name": "d.material_name",
        "category": "d.category",
        "unit": "d.unit",
        "status": "d.status",
    },
)
DIMENSIONS = (CUSTOMERS, USERS, PRODUCTS)


def follow(generation: Generation, dimension: Dimension) -> Iterator[str]:
    """Brings a dimension up to what the type's table says of the documents in `incoming`, and takes away
    those that are in `leaving`.
    """
    table, source = f"{generation.data}.{dimension.table}", f"{generation.data}.{dimension.doctype}"
    names = ", ".join(dimension.attributes)
    values = ", ".join(dimension.attributes.values())
    current = ", ".join(f"c.{name}" for name in dimension.attributes)
    yield f"DELETE FROM {table} WHERE {dimension.id} = ANY(ARRAY(SELECT id FROM leaving))"
    # Of an anonymised one the past is forgotten, and its present rewritten in place.
    yield (
        f"DELETE FROM {table} t USING incoming i JOIN {source} d ON d.id = i.id"
        f" WHERE i.type = '{dimension.doctype}' AND t.{dimension.id} = d.id AND NOT t.is_current"
        f" AND {dimension.anonymized}"
    )
    yield (
        f"UPDATE {table} t SET ({names}) = ROW({values}), valid_from = '{BEGINNING}'"
        f" FROM incoming i JOIN {source} d ON d.id = i.id WHERE i.type = '{dimension.doctype}'"
        f" AND t.{dimension.id} = d.id AND t.is_current AND {dimension.anonymized}"
    )
    yield (
        f"CREATE TEMP TABLE changed ON COMMIT DROP AS SELECT d.id, i.position, c.{dimension.key} AS closed,"
        f" CASE WHEN c.{dimension.key} IS NULL THEN '{BEGINNING}'::timestamptz ELSE greatest("
        f"CASE WHEN d.modified_at < '9000-01-01' THEN d.modified_at END,"
        f" c.valid_from + interval '1 microsecond') END AS since"
        f" FROM incoming i JOIN {source} d ON d.id = i.id"
        f" LEFT JOIN {table} c ON c.{dimension.id} = d.id AND c.is_current"
        f" WHERE i.type = '{dimension.doctype}'"
        f" AND (c.{dimension.key} IS NULL OR ROW({current}) IS DISTINCT FROM ROW({values}))"
    )
    yield (
        f"UPDATE {table} t SET is_current = false, valid_to = n.since FROM changed n"
        f" WHERE t.{dimension.key} = n.closed"
    )
    yield (
        f"INSERT INTO {table} ({dimension.id}, {names}, valid_from, valid_to, is_current, position)"
        f" SELECT d.id, {values}, n.since, '{END}', true, n.position"
        f" FROM changed n JOIN {source} d ON d.id = n.id"
    )
    yield "DROP TABLE changed"


def keep_history(old: Generation, new: Generation, dimension: Dimension) -> Iterator[str]:
    """Takes over the past that the documents don't tell any more, into a generation that was made anew.

    Only of documents that are there still and not anonymised, and only what lies before the first version
    that the new generation knows otherwise than the old one's current.
    """
    before, after = f"{old.data}.{dimension.table}", f"{new.data}.{dimension.table}"
    source = f"{new.data}.{dimension.doctype}"
    names = ", ".join(dimension.attributes)
    same = " AND ".join(f"n.{name} IS NOT DISTINCT FROM o.{name}" for name in dimension.attributes)
    only_one = (
        f"NOT EXISTS (SELECT FROM {after} x WHERE x.{dimension.id} = n.{dimension.id} AND NOT x.is_current)"
    )
    known = (
        f"FROM {after} n JOIN {before} o USING ({dimension.id}) JOIN {source} d ON d.id = n.{dimension.id}"
        f" WHERE n.is_current AND o.is_current AND NOT {dimension.anonymized} AND {only_one}"
    )
    yield (
        f"CREATE TEMP TABLE taken ON COMMIT DROP AS SELECT n.{dimension.id} AS id, n.{dimension.key} AS key,"
        f" {same} AS same, CASE WHEN {same} THEN o.valid_from ELSE greatest(CASE WHEN d.modified_at <"
        f" '9000-01-01' THEN d.modified_at END, o.valid_from + interval '1 microsecond') END AS since {known}"
    )
    yield f"UPDATE {after} n SET valid_from = t.since FROM taken t WHERE n.{dimension.key} = t.key"
    yield (
        f"INSERT INTO {after} ({dimension.id}, {names}, valid_from, valid_to, is_current, position)"
        f" SELECT o.{dimension.id}, {', '.join(f'o.{name}' for name in dimension.attributes)}, o.valid_from,"
        f" CASE WHEN o.is_current THEN t.since ELSE o.valid_to END, false, o.position"
        f" FROM {before} o JOIN taken t ON t.id = o.{dimension.id} WHERE NOT (o.is_current AND t.same)"
    )
    yield "DROP TABLE taken"


def views(generation: Generation) -> dict[str, str]:
    """Dimensions and facts as people see them. The history of a dimension is for those who read every
    document of its type; others see the current version of what they see, for all time.
    """
    data = generation.data
    cards = f"SELECT customer_id FROM {data}.customer_card"
    materials = f"SELECT material_id FROM {data}.material_card"
    return {
        "dim_time": f"SELECT * FROM {data}.dim_time",
        "dim_customers": _history(
            generation,
            CUSTOMERS,
            _Seen(f"SELECT id FROM {data}.customer"),
            _Seen(f"{cards} EXCEPT SELECT id FROM {data}.customer", without="rating"),
        ),
        "dim_users": _history(
            generation,
            USERS,
            _Seen(f"SELECT id FROM {data}.user"),
            _Seen(f"SELECT user_id FROM {data}.user_card EXCEPT SELECT id FROM {data}.user", "primary_role"),
        ),
        "dim_products": _history(
            generation, PRODUCTS, _Seen(f"SELECT id FROM {data}.material UNION {materials}")
        ),
        "fact_sales": _sales(generation),
        "fact_projects": _projects(generation),
        "fact_interactions": _interactions(generation),
        "fact_invoices": _invoices(generation),
        "fact_project_costs": _project_costs(generation),
    }


@dataclass(frozen=True, slots=True)
class _Seen:
    """What those see of a dimension who don't read every document of its type."""

    ids: str
    """A query of the documents they see something of."""

    without: str = ""
    """An attribute, a text, that they don't see of these."""


def _history(generation: Generation, dimension: Dimension, *others: _Seen) -> str:
    whole = holds(generation, f"all:{dimension.doctype}")
    key, named, table = dimension.key, dimension.id, f"{generation.data}.{dimension.table}"
    version = "t.valid_from, t.valid_to, t.is_current"
    past = f"SELECT t.{key}, t.{named}, {_shown(dimension)}, {version} FROM {table} t"
    parts = [f"{past} WHERE (SELECT {COMMON}.everything()) OR {whole}"]
    parts += [
        f"SELECT t.{key}, t.{named}, {_shown(dimension, seen.without)}, '{BEGINNING}'::timestamptz,"
        f" '{END}'::timestamptz, true FROM {table} t WHERE t.is_current"
        f" AND NOT (SELECT {COMMON}.everything()) AND NOT {whole} AND t.{named} IN ({seen.ids})"
        for seen in others
    ]
    return f"SELECT * FROM ({' UNION ALL '.join(parts)}) t"


def _shown(dimension: Dimension, without: str = "") -> str:
    return ", ".join("NULL::text" if name == without else f"t.{name}" for name in dimension.attributes)


def _at(generation: Generation, dimension: Dimension, alias: str, named: str, day: str) -> str:
    """Joins the version that was valid on a day; the current one for those who don't see the past."""
    whole = holds(generation, f"all:{dimension.doctype}")
    moment = f"(coalesce({day}, '1900-01-01'::date)::timestamp AT TIME ZONE '{ZONE}')"
    return (
        f" LEFT JOIN {generation.data}.{dimension.table} {alias} ON {alias}.{dimension.id} = {named} AND CASE"
        f" WHEN (SELECT {COMMON}.everything()) OR {whole} THEN {moment} >= {alias}.valid_from"
        f" AND {moment} < {alias}.valid_to ELSE {alias}.is_current END"
    )


def _by_name(generation: Generation, alias: str, name: str) -> str:
    """Joins a person, by his user name, as he is now: of two with one name the newer."""
    return (
        f" LEFT JOIN LATERAL (SELECT user_key FROM {generation.data}.dim_users u WHERE u.user_name = {name}"
        f" AND u.is_current ORDER BY position DESC LIMIT 1) {alias} ON true"
    )


def _companion(generation: Generation, alias: str, table: str, refers: str, to: str, *names: str) -> str:
    """Joins the companion of a document; of several the one with the first id.

    All companions that somebody may read are gone through once, for a query of their own each row would be
    looked for among all of them.
    """
    columns = ", ".join(names)
    return (
        f" LEFT JOIN (SELECT DISTINCT ON ({refers}) {refers}, {columns} FROM {generation.data}.{table}"
        f" ORDER BY {refers}, id) {alias} ON {alias}.{refers} = {to}"
    )


def date_key(day: str) -> str:
    return f"to_char({day}, 'YYYYMMDD')::integer"


def day_of(moment: str) -> str:
    return f"({moment} AT TIME ZONE '{ZONE}')::date"


def _number(value: str) -> str:
    """A number out of `jsonb`; anything else, and what is absurd, is null."""
    return (
        f"CASE WHEN jsonb_typeof({value}) = 'number' AND abs(({value})::numeric) < 1e12"
        f" THEN ({value})::numeric END"
    )


def _sales(generation: Generation) -> str:
    """A row for every line of an accepted offer. The discount and the costs of the offer are spread over its
    lines by what they cost, to the cent: the lines of an offer add up to the offer.
    """
    data = generation.data
    return f"""
        SELECT s.offer_id || '/' || s.line AS sale_id, s.offer_id, s.line, {date_key("s.day")} AS date_key,
            s.day, s.customer_id, c.customer_key, s.product_id, p.product_key, s.sold_by, u.user_key,
            s.description, s.quantity, s.revenue, s.cost, s.revenue - s.cost AS margin,
            CASE WHEN s.revenue <> 0 THEN round(100 * (s.revenue - s.cost) / s.revenue, 2) END
                AS margin_percent
        FROM (
            SELECT offer_id, customer_id, sold_by, day, line, product_id, description, quantity,
                round(net * upto / nullif(gross, 0), 2) - round(net * (upto - amount) / nullif(gross, 0), 2)
                    AS revenue,
                round(cost * upto / nullif(gross, 0), 2)
                    - round(cost * (upto - amount) / nullif(gross, 0), 2) AS cost
            FROM (
                SELECT l.*, sum(amount) OVER (PARTITION BY offer_id ORDER BY line) AS upto,
                    sum(amount) OVER (PARTITION BY offer_id) AS gross,
                    sum(amount) OVER (PARTITION BY offer_id) - coalesce(round(
                        sum(amount) OVER (PARTITION BY offer_id) * percent / 100, 2), discount, 0) AS net
                FROM (
                    SELECT o.id AS offer_id, o.customer_id,
                        coalesce(op.owner, o.created_by) AS sold_by,
                        coalesce({day_of("o.accepted_at")}, o.offer_date) AS day,
                        i.line, i.item->>'materialId' AS product_id, i.item->>'description' AS description,
                        {_number("i.item->'quantity'")} AS quantity,
                        coalesce(round({_number("i.item->'quantity'")} * {_number("i.item->'unitPriceEur'")},
                            2), 0) AS amount,
                        o.discount_percent AS percent, o.discount_amount_eur AS discount,
                        m.cost_basis_eur AS cost
                    FROM {data}.offer o
                    CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(o.doc->'lineItems')
                        = 'array' THEN o.doc->'lineItems' ELSE '[]' END) WITH ORDINALITY AS i(item, line)
                    {_companion(generation, "m", "offer_margin", "offer_id", "o.id", "cost_basis_eur")}
                    LEFT JOIN {data}.opportunity op ON op.id = o.opportunity_id
                    WHERE o.status = 'accepted'
                ) l
            ) l
        ) s
        {_at(generation, CUSTOMERS, "c", "s.customer_id", "s.day")}
        {_at(generation, PRODUCTS, "p", "s.product_id", "s.day")}
        {_by_name(generation, "u", "s.sold_by")}
    """


def _projects(generation: Generation) -> str:
    """A row for every project. Its revenue is what its contract has before tax, else its `contractValue`."""
    data = generation.data
    costs = ("actual_total_cost", "budget_status")
    return f"""
        SELECT p.id AS project_id, p.project_number, p.name, p.status,
            {date_key("coalesce(p.start_date, " + day_of("p.created_at") + ")")} AS date_key,
            p.start_date, p.end_date, p.actual_end_date, p.customer_id, c.customer_key,
            p.project_manager_id, u.user_key, p.revenue, p.budget, p.estimated_total_cost AS estimated_cost,
            k.actual_total_cost AS actual_cost, p.budget - k.actual_total_cost AS budget_left,
            k.budget_status, t.hours,
            CASE WHEN m.reads THEN p.revenue - k.actual_total_cost END AS margin,
            CASE WHEN m.reads AND p.revenue <> 0
                THEN round(100 * (p.revenue - k.actual_total_cost) / p.revenue, 2) END AS margin_percent
        FROM (SELECT x.*, coalesce(v.subtotal_eur, x.contract_value) AS revenue
            FROM {data}.project x LEFT JOIN {data}.contract v ON v.id = x.contract_id) p
        {_companion(generation, "k", "project_costs", "project_id", "p.id", *costs)}
        LEFT JOIN (SELECT project_id, round(sum(duration_minutes) / 60.0, 2) AS hours
            FROM {data}.time_entry GROUP BY project_id) t ON t.project_id = p.id
        CROSS JOIN (SELECT {reads_margins(generation)} AS reads) m
        {_at(generation, CUSTOMERS, "c", "p.customer_id", "p.start_date")}
        {_by_name(generation, "u", "p.project_manager_id")}
    """


def reads_margins(generation: Generation) -> str:
    """A margin that is worked out is for those who read the one that is written."""
    return f"((SELECT {COMMON}.everything()) OR {holds(generation, 'all:project_margin')})"


def _interactions(generation: Generation) -> str:
    data = generation.data
    return f"""
        SELECT i.id AS interaction_id, i.kind, {date_key(day_of("i.at"))} AS date_key, i.at, i.customer_id,
            c.customer_key, i.created_by AS user_name, u.user_key, i.duration_minutes, i.follow_up_date,
            i.opportunity_id, i.project_id
        FROM (
            SELECT id, coalesce(activity_type, 'note') AS kind, date AS at, customer_id, created_by,
                duration AS duration_minutes, follow_up_date, opportunity_id, project_id
            FROM {data}.activity
            UNION ALL
            SELECT id, 'protocol', date, customer_id, created_by, NULL, NULL, opportunity_id, project_id
            FROM {data}.protocol
        ) i
        {_at(generation, CUSTOMERS, "c", "i.customer_id", day_of("i.at"))}
        {_by_name(generation, "u", "i.created_by")}
    """


def _invoices(generation: Generation) -> str:
    data = generation.data
    amounts = ("net_amount", "tax_amount", "gross_amount", "paid_amount")
    return f"""
        SELECT i.id AS invoice_id, i.invoice_number, i.invoice_type, {date_key("i.invoice_date")} AS date_key,
            i.customer_id, c.customer_key, i.project_id, a.net_amount AS subtotal, a.tax_amount,
            a.gross_amount AS total_amount, a.paid_amount, i.status, i.invoice_date, i.due_date, i.paid_date,
            i.paid_date - i.invoice_date AS days_to_payment
        FROM {data}.invoice i
        {_companion(generation, "a", "invoice_amount", "invoice_id", "i.id", *amounts)}
        {_at(generation, CUSTOMERS, "c", "i.customer_id", "i.invoice_date")}
    """


def _project_costs(generation: Generation) -> str:
    """A row for every project and category that has a plan or costs."""
    data = generation.data
    kinds = ("material", "labor", "subcontractor", "expenses")
    actual = [f"actual_{kind}_cost" for kind in kinds]
    return f"""
        SELECT p.id || '/' || v.category AS cost_id, p.id AS project_id, p.customer_id, c.customer_key,
            {date_key("coalesce(p.start_date, " + day_of("p.created_at") + ")")} AS date_key,
            v.category AS cost_category, v.budgeted AS budgeted_cost, v.actual AS actual_cost,
            v.actual - v.budgeted AS variance
        FROM {data}.project p
        {_companion(generation, "k", "project_costs", "project_id", "p.id", *actual)}
        CROSS JOIN LATERAL (VALUES
            ('material', p.estimated_material_cost, k.actual_material_cost),
            ('labor', p.estimated_labor_cost, k.actual_labor_cost),
            ('subcontractor', p.estimated_subcontractor_cost, k.actual_subcontractor_cost),
            ('expenses', NULL::numeric, k.actual_expenses_cost)) AS v(category, budgeted, actual)
        {_at(generation, CUSTOMERS, "c", "p.customer_id", "p.start_date")}
        WHERE v.budgeted IS NOT NULL OR v.actual IS NOT NULL
    """


REVENUE_NEEDS = ("offer", "offer_margin", "customer", "opportunity")
"""Whoever reads all documents of these types may see figures over all of them."""


def materialized(generation: Generation) -> Iterator[str]:
    """Figures over everything, worked out now and then: for those who may read every row in them."""
    data, views = generation.data, generation.views
    yield f"DROP MATERIALIZED VIEW IF EXISTS {data}.mv_revenue_by_quarter"
    yield f"""
        CREATE MATERIALIZED VIEW {data}.mv_revenue_by_quarter AS
        SELECT extract(year FROM day)::integer AS year, extract(quarter FROM day)::integer AS quarter,
            count(DISTINCT offer_id) AS sales, sum(revenue) AS revenue, sum(cost) AS cost,
            sum(margin) AS margin
        FROM ({_sales(generation)}) s WHERE day IS NOT NULL GROUP BY 1, 2 WITH NO DATA
    """
    yield f"CREATE UNIQUE INDEX ON {data}.mv_revenue_by_quarter (year, quarter)"
    yield f"REFRESH MATERIALIZED VIEW {data}.mv_revenue_by_quarter"
    yield f"GRANT SELECT ON {data}.mv_revenue_by_quarter TO {WRITER}"
    allowed = " AND ".join(holds(generation, f"all:{doctype}") for doctype in REVENUE_NEEDS)
    yield (
        f"CREATE VIEW {views}.mv_revenue_by_quarter WITH (security_barrier = true) AS"
        f" SELECT * FROM {data}.mv_revenue_by_quarter WHERE {allowed} OFFSET 0"
    )


def refresh(generation: Generation) -> str:
    """Works the figures out anew, while they are read."""
    return f"REFRESH MATERIALIZED VIEW CONCURRENTLY {generation.data}.mv_revenue_by_quarter"
