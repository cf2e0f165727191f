"""Facts and reports, on figures that were worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.readstore.star import CUSTOMER, TODAY, D, authored, customer, three_versions
from tests.readstore.world import Document, World

pytestmark = pytest.mark.slow


def offer(number: int, lines: list[tuple[float, float]], **more: Any) -> Document:
    items = [
        {"description": f"Regal {at}", "quantity": quantity, "unitPriceEur": price}
        for at, (quantity, price) in enumerate(lines)
    ]
    return {
        **authored(), "_id": f"offer-{number}", "type": "offer", "opportunityId": "opportunity-1",
        "customerId": CUSTOMER, "status": "accepted", "offerDate": "2026-04-01",
        "validUntil": "2026-05-01", "acceptedAt": "2026-04-15T22:30:00.000Z", "lineItems": items, **more,
    }  # fmt: skip


def margin(number: int, cost: float) -> Document:
    return {
        **authored(), "_id": f"offer-margin-{number}", "type": "offer_margin", "offerId": f"offer-{number}",
        "costBasisEur": cost,
    }  # fmt: skip


async def test_the_lines_of_a_sale_add_up_to_the_offer(world: World) -> None:
    """Three lines of 33.33, 10 % discount: 89.99 in all; 50.01 of costs."""
    await three_versions(world)
    await world.put(
        offer(1, [(1, 33.33)] * 3, discountPercent=10),
        margin(1, 50.01),
        offer(2, [(1, 5)], status="sent"),
        offer(3, [(2, 100), (1, 50)], discountAmountEur=25),
    )
    query = (
        "SELECT offer_id, line, quantity, revenue, cost, margin, margin_percent FROM fact_sales ORDER BY 1, 2"
    )
    assert world.ask("gf1", query) == [
        ("offer-1", 1, D(1), D("30.00"), D("16.67"), D("13.33"), D("44.43")),
        ("offer-1", 2, D(1), D("29.99"), D("16.67"), D("13.32"), D("44.41")),
        ("offer-1", 3, D(1), D("30.00"), D("16.67"), D("13.33"), D("44.43")),
        ("offer-3", 1, D(2), D("180.00"), None, None, None),
        ("offer-3", 2, D(1), D("45.00"), None, None, None),
    ]
    # Accepted after midnight in Berlin, and the customer as he was then.
    assert world.ask("gf1", "SELECT DISTINCT date_key FROM fact_sales") == [(20260416,)]
    joined = (
        "SELECT DISTINCT c.company_name, c.rating FROM fact_sales JOIN dim_customers c USING (customer_key)"
    )
    assert world.ask("gf1", joined) == [("Hofladen Apfel", "A")]
    assert world.ask("adm1", joined) == [("Hofladen Birne", "A")]
    # Field sales see their sales without what they cost.
    assert world.ask("adm1", "SELECT sum(revenue), sum(cost), sum(margin) FROM fact_sales") == [
        (D("314.99"), None, None)
    ]
    assert world.ask("adm2", "SELECT * FROM fact_sales") == []


async def test_odd_lines_break_no_sale(world: World) -> None:
    await world.put(
        customer(),
        offer(1, [])
        | {"lineItems": [1, "x", None, {"quantity": "2", "unitPriceEur": 5}, {"quantity": 1e300}]},
        offer(2, []) | {"lineItems": {"a": 1}},
        offer(3, [(1, 10)], discountPercent=100),
        offer(4, [(3, 0)]),
    )
    rows = world.ask("gf1", "SELECT offer_id, revenue FROM fact_sales WHERE revenue IS NOT NULL")
    assert rows == [("offer-3", D("0.00"))]


async def test_figures_by_quarter_are_for_those_who_read_all_of_them(world: World) -> None:
    await world.put(
        customer(),
        offer(1, [(1, 100)]),
        margin(1, 60),
        offer(2, [(1, 50)], acceptedAt="2026-07-01T08:00:00.000Z"),
    )
    query = "SELECT year, quarter, sales, revenue, cost, margin FROM mv_revenue_by_quarter ORDER BY 1, 2"
    assert world.ask("gf1", query) == [], "not worked out yet"
    await world.sink.refresh()
    both = [(2026, 2, 1, D(100), D(60), D(40)), (2026, 3, 1, D(50), None, None)]
    for person in ("gf1", "buch1", "kalk1", "innen1"):
        assert world.ask(person, query) == both, person
    for person in ("adm1", "plan1", "admin"):
        assert world.ask(person, query) == [], person


def project(**more: Any) -> Document:
    return {
        **authored(), "_id": "project-1", "type": "project", "name": "Umbau", "customerId": CUSTOMER,
        "status": "active", "projectManagerId": "plan1", "contractValue": 10_000, "budget": 8000,
        "startDate": "2026-04-01", "estimatedMaterialCost": 3000, "estimatedLaborCost": 2000, **more,
    }  # fmt: skip


PROJECT_COSTS = {
    "_id": "project-costs-1", "type": "project_costs", "projectId": "project-1", "actualMaterialCost": 3300,
    "actualLaborCost": 1500, "actualExpensesCost": 200, "actualTotalCost": 8000, "budgetStatus": "Warning",
}  # fmt: skip


async def test_projects_and_their_costs(world: World) -> None:
    entry = {
        **authored(by="plan1"), "_id": "time-entry-1", "type": "time_entry", "projectId": "project-1",
        "taskDescription": "Aufmaß vor Ort", "userId": "plan1", "status": "approved", "isManualEntry": True,
        "startTime": "2026-04-02T08:00:00.000Z", "endTime": "2026-04-02T09:30:00.000Z", "durationMinutes": 90,
    }  # fmt: skip
    await world.put(customer(), project(), PROJECT_COSTS, entry)
    query = (
        "SELECT revenue, budget, actual_cost, budget_left, hours, margin, margin_percent FROM fact_projects"
    )
    assert world.ask("gf1", query) == [(D(10_000), D(8000), D(8000), D(0), D("1.50"), D(2000), D("20.00"))]
    # PLAN reads costs, but not what is earned; field sales none of it.
    assert world.ask("plan1", query) == [(D(10_000), D(8000), D(8000), D(0), D("1.50"), None, None)]
    assert world.ask("adm1", query) == [(D(10_000), D(8000), None, None, None, None, None)]
    assert world.ask("innen1", query) == []
    costs = "SELECT cost_category, budgeted_cost, actual_cost, variance FROM fact_project_costs ORDER BY 1"
    assert world.ask("buch1", costs) == [
        ("expenses", None, D(200), None),
        ("labor", D(2000), D(1500), D(-500)),
        ("material", D(3000), D(3300), D(300)),
    ]


async def test_a_projects_revenue_is_its_contract_before_tax(world: World) -> None:
    contract = {
        **authored(), "_id": "contract-1", "type": "contract", "offerId": "offer-1",
        "opportunityId": "opportunity-1", "customerId": CUSTOMER, "status": "active",
        "contractDate": "2026-03-01", "startDate": "2026-04-01", "contractValueEur": 11_900,
        "subtotalEur": 9500, "taxAmountEur": 2400,
    }  # fmt: skip
    await world.put(customer(), project(contractId="contract-1"), PROJECT_COSTS, contract)
    assert world.ask("gf1", "SELECT revenue, margin FROM fact_projects") == [(D(9500), D(1500))]


def invoice(number: int, status: str, due: date, gross: float, paid: float | None = None) -> list[Document]:
    return [
        {
            "_id": f"invoice-{number}", "type": "invoice", "invoiceNumber": f"R-2026-{number:05}",
            "customerId": CUSTOMER, "status": status, "invoiceDate": "2026-01-01",
            "dueDate": due.isoformat(), **({"paidDate": "2026-01-21"} if status == "paid" else {}),
        },
        {
            "_id": f"invoice-amount-{number}", "type": "invoice_amount", "invoiceId": f"invoice-{number}",
            "grossAmount": gross, "netAmount": round(gross / 1.19, 2), "paidAmount": paid,
        },
    ]  # fmt: skip


async def test_invoices_and_what_is_owed(world: World) -> None:
    def ago(days: int) -> date:
        return TODAY - timedelta(days=days)

    await world.put(
        customer(),
        *invoice(1, "sent", ago(-10), 100),
        *invoice(2, "sent", ago(10), 200),
        *invoice(3, "partial_paid", ago(45), 300, 100),
        *invoice(4, "overdue", ago(75), 400),
        *invoice(5, "overdue", ago(200), 500),
        *invoice(6, "paid", ago(200), 600, 600),
        *invoice(7, "draft", ago(200), 700),
        *invoice(8, "cancelled", ago(200), 800),
    )
    query = (
        "SELECT customer_id, invoices, open_amount, not_due, days_1_to_30, days_31_to_60, days_61_to_90,"
        " days_over_90 FROM report_aging"
    )
    expected = [(CUSTOMER, 5, D(1400), D(100), D(200), D(200), D(400), D(500))]
    for person in ("gf1", "buch1", "innen1"):
        assert world.ask(person, query) == expected
    for person in ("adm1", "kalk1", "plan1"):
        assert world.ask(person, query) == []
    fact = "SELECT subtotal, total_amount, days_to_payment FROM fact_invoices WHERE invoice_id = 'invoice-6'"
    assert world.ask("gf1", fact) == [(D("504.20"), D(600), 20)]


async def test_an_invoices_amounts_follow_what_is_written(world: World) -> None:
    await world.put(customer(), *invoice(1, "sent", TODAY, 100))
    await world.put(*invoice(1, "paid", TODAY, 119, 119))
    query = "SELECT status, total_amount, paid_amount FROM fact_invoices"
    assert world.ask("gf1", query) == [("paid", D(119), D(119))]


COMPANIONS = {
    "fact_sales": "offer_margin",
    "fact_projects": "project_costs",
    "fact_invoices": "invoice_amount",
    "fact_project_costs": "project_costs",
}


async def test_of_several_companions_the_first_counts(world: World) -> None:
    second = {"_id": "invoice-amount-0", "type": "invoice_amount", "invoiceId": "invoice-1", "netAmount": 7}
    costs = {
        "_id": "project-costs-0",
        "type": "project_costs",
        "projectId": "project-1",
        "actualTotalCost": 9,
    }
    other = {**margin(1, 5), "_id": "offer-margin-0"}
    await world.put(customer(), *invoice(1, "sent", TODAY, 119), second, project(), PROJECT_COSTS, costs)
    await world.put(offer(1, [(1, 100)]), margin(1, 60), other)
    assert world.ask("gf1", "SELECT subtotal FROM fact_invoices") == [(D(7),)]
    assert world.ask("gf1", "SELECT actual_cost FROM fact_projects") == [(D(9),)]
    assert world.ask("gf1", "SELECT cost FROM fact_sales") == [(D(5),)]
    assert world.ask("gf1", "SELECT count(*) FROM fact_project_costs") == [(2,)]


async def test_companions_are_gone_through_once(world: World) -> None:
    """And not once for each row: a fact of thousands would take seconds."""
    docs = [customer()]
    for number in range(1, 41):
        docs += invoice(number, "sent", TODAY, 119)
        docs += [offer(number, [(1, 100)]), margin(number, 60), project(_id=f"project-{number}")]
        named = {"_id": f"project-costs-{number}", "projectId": f"project-{number}"}
        docs.append({**PROJECT_COSTS, **named})
    await world.put(*docs)

    def nodes(plan: Any) -> Any:
        yield plan
        for one in plan.get("Plans", ()):
            yield from nodes(one)

    for view, companion in COMPANIONS.items():
        ((told,),) = world.ask("gf1", f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM {view}")
        assert told[0]["Plan"]["Actual Rows"] >= 40
        loops = [
            one["Actual Loops"] for one in nodes(told[0]["Plan"]) if one.get("Relation Name") == companion
        ]
        assert loops == [1], view


def opportunity(number: int, status: str, value: float, probability: int | None, **more: Any) -> Document:
    return {
        **authored(), "_id": f"opportunity-{number}", "type": "opportunity", "title": "Umbau",
        "customerId": CUSTOMER, "owner": "adm1", "status": status, "estimatedValue": value,
        "probability": probability, **more,
    }  # fmt: skip


async def test_pipeline_and_forecast(world: World) -> None:
    await world.put(
        customer(),
        opportunity(1, "new", 1000, 10, expectedCloseDate="2026-12-01"),
        opportunity(2, "new", 500.50, 50, expectedCloseDate="2026-12-31"),
        opportunity(3, "negotiation", 2000, 80, expectedCloseDate="2027-01-15"),
        opportunity(4, "won", 9000, 100, expectedCloseDate="2026-12-01"),
        opportunity(5, "lost", 9000, 0),
        opportunity(6, "proposal", 300, None, owner="adm2"),
    )
    pipeline = "SELECT owner, stage, opportunities, value, weighted_value FROM report_pipeline ORDER BY 1, 2"
    own = [("adm1", "negotiation", 1, D(2000), D(1600)), ("adm1", "new", 2, D("1500.5"), D("350.25"))]
    other = [("adm2", "proposal", 1, D(300), D(0))]
    assert world.ask("gf1", pipeline) == own + other
    assert world.ask("adm1", pipeline) == own
    assert world.ask("adm2", pipeline) == other
    assert world.ask("plan1", pipeline) == []
    forecast = "SELECT * FROM report_forecast ORDER BY month"
    assert world.ask("kalk1", forecast) == [
        (date(2026, 12, 1), 2, D("1500.5"), D("350.25"), D(0)),
        (date(2027, 1, 1), 1, D(2000), D(1600), D(2000)),
        (None, 1, D(300), D(0), D(0)),
    ]


@pytest.mark.parametrize(
    ("cost", "percent", "light"),
    [(7499, "25.01", "green"), (7500, "25.00", "yellow"), (8500, "15.00", "yellow"), (8501, "14.99", "red")],
)
async def test_margins(world: World, cost: int, percent: str, light: str) -> None:
    await world.put(customer(), project(), PROJECT_COSTS | {"actualTotalCost": cost})
    query = "SELECT project_id, margin_percent, light FROM report_margins"
    for person in ("gf1", "buch1"):
        assert world.ask(person, query) == [("project-1", D(percent), light)]
    for person in ("plan1", "kalk1", "innen1", "adm1"):
        assert world.ask(person, query) == []


async def test_workload(world: World) -> None:
    def task(number: int, days: int, status: str, priority: str, doctype: str = "user_task") -> Document:
        due = (TODAY + timedelta(days=days)).isoformat()
        return {
            **authored(), "_id": f"{doctype}-{number}", "type": doctype, "title": "Nachfassen",
            "status": status, "priority": priority, "assignedTo": "plan1", "dueDate": due,
            **({"projectId": "project-1"} if doctype == "project_task" else {}),
        }  # fmt: skip

    await world.put(
        project(),
        task(1, -3, "open", "low"),
        task(2, 2, "in_progress", "urgent"),
        task(3, 30, "open", "low"),
        task(4, -3, "completed", "urgent"),
        task(5, 2, "blocked", "critical", "project_task"),
        task(6, 2, "done", "critical", "project_task"),
    )
    query = "SELECT person, open_tasks, overdue, due_in_7_days, urgent FROM report_workload"
    assert world.ask("gf1", query) == [("plan1", 4, 1, 2, 2)]
    assert world.ask("plan1", query) == [("plan1", 4, 1, 2, 2)]
    assert world.ask("buch1", query) == [("plan1", 1, 0, 1, 1)], "tasks of projects, which BUCH reads"
    assert world.ask("adm1", query) == []


async def test_capacity(world: World) -> None:
    monday = TODAY - timedelta(days=TODAY.weekday() + 7)
    free = world.inside(
        f"SELECT count(*) FILTER (WHERE is_working_day) FROM kompass_data.dim_time"
        f" WHERE day >= '{monday}' AND day < '{monday}'::date + 7"
    )[0][0]
    available = 8 * free

    def entry(number: int, minutes: int | None, status: str = "completed", weeks: int = 0) -> Document:
        start = datetime(monday.year, monday.month, monday.day, 8, tzinfo=UTC) - timedelta(weeks=weeks)
        return {
            **authored(), "_id": f"time-entry-{number}", "type": "time_entry", "projectId": "project-1",
            "taskDescription": "Montage der Regale", "userId": "plan1", "status": status,
            "isManualEntry": True, "startTime": f"{start:%Y-%m-%dT%H:%M:%S}.000Z",
            "durationMinutes": minutes,
        }  # fmt: skip

    await world.put(
        entry(1, available * 30),
        entry(2, available * 27),
        entry(3, 600, "rejected"),
        entry(4, None, "in_progress"),
        entry(5, 600, weeks=30),
    )
    query = "SELECT person, week_begins, hours, available_hours, percent, level FROM report_capacity"
    # Half of the week and nine twentieths are 95 %.
    expected = [("plan1", monday, D(available) * 19 / 20, D(available), D("95.0"), "full")]
    assert world.ask("gf1", query) == expected
    assert world.ask("kalk1", query) == expected
    assert world.ask("innen1", query) == []
