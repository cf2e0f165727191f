"""What a company may set differently: limits of approval, series of numbers, tolerances."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class BusinessSettings:
    """The defaults are the business's own. Amounts are euros, percentages are 10 for 10 %."""

    # approvals
    offer_discount_above: Decimal = Decimal(10)
    """Percent of discount that management approves before the offer is sent."""
    offer_value_above: Decimal = Decimal(10_000)
    """Gross."""
    offer_margin_below: Decimal = Decimal(10)
    """Percent."""
    opportunity_value_above: Decimal = Decimal(50_000)
    """Estimated value of the opportunity that the offer is for."""
    expense_auto_up_to: Decimal = Decimal(25)
    """The server approves these when they are submitted."""
    expense_receipt_above: Decimal = Decimal(25)
    expense_justified_above: Decimal = Decimal(100)
    cost_planner_below: Decimal = Decimal(500)
    """Net. Planning orders below, management from here on."""
    order_auto_up_to: Decimal = Decimal(1_000)
    """Gross, with shipping."""
    order_accounting_up_to: Decimal = Decimal(10_000)
    supplier_contract_auto_below: Decimal = Decimal(50_000)
    supplier_contract_both_above: Decimal = Decimal(200_000)
    """Management and accounting."""
    supplier_invoice_auto_below: Decimal = Decimal(1_000)
    """Where order and delivery match."""
    supplier_invoice_accounting_up_to: Decimal = Decimal(10_000)
    three_way_tolerance_percent: Decimal = Decimal(1)

    # time
    clock_skew: timedelta = timedelta(hours=24)
    """How far a device's clock may be ahead."""
    retention_years: int = 10
    """From the end of the year in which a document became final."""
    outcome_correction: timedelta = timedelta(hours=24)
    """How long after a meeting its owner corrects the outcome."""
