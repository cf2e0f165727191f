"""A chart of accounts as configuration: which account and which tax key a document is booked with.

SKR03 and SKR04 are files of the package, with the accounts that DATEV's standard charts have for these
matters. A tax consultant's own accounts replace them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kompass.accounting.catalogue import packaged

AccountNumber = Annotated[str, Field(pattern="^[0-9]{4,9}$")]
TaxKey = Annotated[str, Field(pattern="^[0-9]{4}$")]


STANDARD = 4
"""Digits of a ledger account in the standard charts; debtors and creditors have one more."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Account(_Data):
    account: AccountNumber
    key: TaxKey | None = None
    """BU-Schlüssel. An account that works its tax out itself (an Automatikkonto) has none."""


class Range(_Data):
    """The accounts of debtors or creditors: the first one plus the digits of the party's number."""

    first: int
    last: int

    def of(self, number: str) -> str | None:
        """The account for `K-00042`; None for a number without digits or with too high ones."""
        digits = "".join(sign for sign in number if sign.isascii() and sign.isdigit())
        account = self.first + int(digits) if digits and len(digits) <= 9 else None
        return str(account) if account is not None and account <= self.last else None

    def of_length(self, digits: int) -> Range:
        """See `Chart.of_length`: 10000 to 69999 is 1000000 to 6999999, with room for more numbers."""
        if len(str(self.first)) == len(str(self.last)) == digits + 1:
            return self
        more = 10 ** (digits - STANDARD)
        if len(str(self.first)) != STANDARD + 1 or len(str(self.last)) != STANDARD + 1:
            raise ValueError(f"accounts from {self.first} to {self.last} must have {digits + 1} digits")
        return Range(first=self.first * more, last=(self.last + 1) * more - 1)


class Chart(_Data):
    code: Literal["03", "04"]
    debtors: Range
    creditors: Range
    creditor: AccountNumber
    """For suppliers without one of their own."""
    parties: Mapping[str, AccountNumber] = {}
    """Id of a customer or supplier -> the account that he has in the books already."""
    revenue: Mapping[str, Account]
    """Rate of the tax as `0.19` -> account; without tax of customers abroad."""
    untaxed_at_home: Account | None = None
    """For turnover without tax of customers in Germany, who owe it themselves (§ 13b UStG)."""
    purchases: Mapping[str, Account]
    """Rate of the tax -> account for suppliers' invoices."""
    expenses: Mapping[str, AccountNumber]
    """Category of an expense -> account."""
    untaxed: frozenset[str] = frozenset()
    """Categories of expenses in which no tax is taken back, whatever the receipt says."""
    input_tax: Mapping[str, TaxKey]
    """Rate of the tax on an expense -> key."""
    employees: AccountNumber
    """What is owed to employees who paid."""

    def of_length(self, digits: int) -> Chart:
        """The chart in books whose ledger accounts have so many digits.

        DATEV makes accounts longer by zeros behind them: 8400 is 840000 where they have six. An account may
        also be given as long as it is there. Raises `ValueError` for one of another length.
        """

        def ledger(account: str) -> str:
            return _longer(account, STANDARD, digits)

        def party(account: str) -> str:
            return _longer(account, STANDARD + 1, digits + 1)

        def rated(table: Mapping[str, Account]) -> dict[str, Account]:
            return {
                rate: one.model_copy(update={"account": ledger(one.account)}) for rate, one in table.items()
            }

        home = self.untaxed_at_home
        return self.model_copy(
            update={
                "debtors": self.debtors.of_length(digits),
                "creditors": self.creditors.of_length(digits),
                "creditor": party(self.creditor),
                "parties": {docid: party(account) for docid, account in self.parties.items()},
                "revenue": rated(self.revenue),
                "untaxed_at_home": home and rated({"0": home})["0"],
                "purchases": rated(self.purchases),
                "expenses": {category: ledger(account) for category, account in self.expenses.items()},
                "employees": ledger(self.employees),
            }
        )


def _longer(account: str, standard: int, digits: int) -> str:
    if len(account) == digits:
        return account
    if len(account) != standard:
        raise ValueError(f"account {account} must have {digits} digits")
    return account + "0" * (digits - standard)


@cache
def standard(code: Literal["03", "04"]) -> Chart:
    """SKR03 or SKR04."""
    found: dict[str, Any] = packaged(f"skr{code}")
    return Chart.model_validate(found)


RATES: tuple[Decimal, ...] = (Decimal(0), Decimal("0.07"), Decimal("0.19"))
"""What turnover is taxed with in Germany."""
_ROUNDING = Decimal("0.05")
"""Euros that the rounding of single lines may sum up to."""


def rate_of(net: Decimal, tax: Decimal) -> Decimal | None:
    """The one rate that all of an invoice was taxed with; None if there are several, or another one."""
    found = [rate for rate in RATES if abs(net * rate - tax) <= _ROUNDING]
    return found[0] if len(found) == 1 or (found and tax == 0) else None
