"""The reports: what they show, and what somebody must be able to read for them to make sense.

Each is a view over what whoever asks may read, so everybody's report is about his own rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kompass.readstore.names import Generation
from kompass.readstore.star import ZONE, day_of, reads_margins

OPEN = "('new', 'qualifying', 'proposal', 'negotiation')"
"""Statuses of an opportunity that may still be won."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report."""

    view: str
    about: str
    needs: tuple[str, ...]
    """Types of documents: whoever reads none of one of them isn't given the report."""

    order: str
    whole: bool = False
    """True: whoever doesn't read all documents of the last type gets nothing."""


REPORTS: Mapping[str, Report] = {
    "pipeline": Report(
        "report_pipeline", "Open opportunities by person and stage.", ("opportunity",), "owner, stage"
    ),
    "forecast": Report(
        "report_forecast",
        "Open opportunities by the month they are expected to close in, as a whole and by probability.",
        ("opportunity",),
        "month NULLS LAST",
    ),
    "margins": Report(
        "report_margins",
        "What projects earn: revenue without tax, actual costs, margin.",
        ("project", "project_costs", "project_margin"),
        "margin_percent NULLS LAST, project_id",
        whole=True,
    ),
    "aging": Report(
        "report_aging",
        "What customers owe, by how long it has been due.",
        ("invoice", "invoice_amount"),
        "open_amount DESC, customer_id",
    ),
    "invoices": Report(
        "report_invoices",
        "Invoices by the month of their date: how many, and what they sum up to.",
        ("invoice", "invoice_amount"),
        "month DESC NULLS LAST",
    ),
    "workload": Report("report_workload", "Open tasks by person.", ("user_task", "project_task"), "person"),
    "capacity": Report(
        "report_capacity",
        "Hours booked by person and week beside the hours that there were, for the last twelve weeks.",
        ("time_entry",),
        "week_begins, person",
    ),
}
"""By name, as in `/api/v1/reports/{name}`."""

TODAY = f"(now() AT TIME ZONE '{ZONE}')::date"
HOURS_A_DAY = 8


def views(generation: Generation) -> dict[str, str]:
    """View -> its query."""
    data = generation.data
    return {
        "report_pipeline": f"""
            SELECT owner, status AS stage, count(*) AS opportunities,
                coalesce(sum(estimated_value), 0) AS value,
                coalesce(sum(round(estimated_value * probability / 100.0, 2)), 0) AS weighted_value
            FROM {data}.opportunity WHERE status IN {OPEN} GROUP BY owner, status
        """,
        "report_forecast": f"""
            SELECT date_trunc('month', expected_close_date)::date AS month, count(*) AS opportunities,
                coalesce(sum(estimated_value), 0) AS value,
                coalesce(sum(round(estimated_value * probability / 100.0, 2)), 0) AS weighted_value,
                coalesce(sum(estimated_value) FILTER (WHERE probability >= 80), 0) AS likely_value
            FROM {data}.opportunity WHERE status IN {OPEN} GROUP BY 1
        """,
        "report_margins": f"""
            SELECT f.project_id, f.project_number, f.name, f.status, f.customer_id, f.revenue,
                f.actual_cost, f.margin, f.margin_percent,
                CASE WHEN f.margin_percent > 25 THEN 'green' WHEN f.margin_percent < 15 THEN 'red'
                    WHEN f.margin_percent IS NOT NULL THEN 'yellow' END AS light
            FROM {generation.views}.fact_projects f WHERE {reads_margins(generation)}
        """,
        "report_aging": f"""
            SELECT customer_id, count(*) AS invoices, sum(open) AS open_amount,
                coalesce(sum(open) FILTER (WHERE late <= 0), 0) AS not_due,
                coalesce(sum(open) FILTER (WHERE late BETWEEN 1 AND 30), 0) AS days_1_to_30,
                coalesce(sum(open) FILTER (WHERE late BETWEEN 31 AND 60), 0) AS days_31_to_60,
                coalesce(sum(open) FILTER (WHERE late BETWEEN 61 AND 90), 0) AS days_61_to_90,
                coalesce(sum(open) FILTER (WHERE late > 90), 0) AS days_over_90
            FROM (
                SELECT i.customer_id, coalesce({TODAY} - coalesce(i.due_date, i.invoice_date), 0) AS late,
                    a.gross_amount - coalesce(a.paid_amount, 0) AS open
                FROM {data}.invoice i JOIN {data}.invoice_amount a ON a.invoice_id = i.id
                WHERE i.status IN ('sent', 'partial_paid', 'overdue')
            ) i WHERE open > 0 GROUP BY customer_id
        """,
        "report_invoices": f"""
            SELECT to_char(i.invoice_date, 'YYYY-MM') AS month, count(*) AS invoices,
                coalesce(sum(a.net_amount), 0) AS net_amount, coalesce(sum(a.tax_amount), 0) AS tax_amount,
                coalesce(sum(a.gross_amount), 0) AS gross_amount,
                coalesce(sum(a.paid_amount), 0) AS paid_amount
            FROM {data}.invoice i LEFT JOIN {data}.invoice_amount a ON a.invoice_id = i.id
            WHERE i.status <> 'draft' GROUP BY 1
        """,
        "report_workload": f"""
            SELECT assigned_to AS person, count(*) AS open_tasks,
                count(*) FILTER (WHERE due_date < {TODAY}) AS overdue,
                count(*) FILTER (WHERE due_date BETWEEN {TODAY} AND {TODAY} + 6) AS due_in_7_days,
                count(*) FILTER (WHERE urgent) AS urgent
            FROM (
                SELECT assigned_to, due_date, priority = 'urgent' AS urgent FROM {data}.user_task
                WHERE status IN ('open', 'in_progress')
                UNION ALL
                SELECT assigned_to, due_date, priority = 'critical' FROM {data}.project_task
                WHERE status IN ('todo', 'in_progress', 'review', 'blocked')
            ) t WHERE assigned_to IS NOT NULL GROUP BY assigned_to
        """,
        "report_capacity": f"""
            SELECT b.person, b.week_begins, b.hours, w.hours AS available_hours,
                round(100 * b.hours / nullif(w.hours, 0), 1) AS percent,
                CASE WHEN w.hours = 0 OR b.hours > 1.05 * w.hours THEN 'over'
                    WHEN b.hours >= 0.95 * w.hours THEN 'full'
                    WHEN b.hours >= 0.80 * w.hours THEN 'busy' ELSE 'free' END AS level
            FROM (
                SELECT user_id AS person, date_trunc('week', {day_of("start_time")})::date AS week_begins,
                    round(sum(duration_minutes) / 60.0, 2) AS hours
                FROM {data}.time_entry
                WHERE status <> 'rejected' AND duration_minutes IS NOT NULL
                    AND {day_of("start_time")} >= date_trunc('week', {TODAY})::date - 77
                GROUP BY 1, 2
            ) b
            JOIN (
                SELECT date_trunc('week', day)::date AS week_begins,
                    ({HOURS_A_DAY} * count(*) FILTER (WHERE is_working_day))::numeric AS hours
                FROM {data}.dim_time GROUP BY 1
            ) w USING (week_begins)
        """,
    }
