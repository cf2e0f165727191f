"""What an invoice says, as values, and whether it fits together. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from kompass.domain.money import CENT, cents

TAKEN = frozenset({"380", "384", "326", "386", "875", "876", "877"})
"""Kinds (UNTDID 1001): invoices, corrected ones, partial and prepaid ones, and those of construction."""
CREDIT = frozenset({"81", "83", "262", "296", "308", "381", "396", "420", "458", "502", "503", "532"})
"""Kinds of credit notes: what they say is taken off. Not 261, which we would have made ourselves."""
MOST_LINES = 10_000
MOST_TEXT = 5000
"""Characters of a text that are looked at."""
_NO_CODE = re.compile(r"[^A-Za-z0-9_./\-]+")
_MOST = Decimal(10) ** 9
_TAX_TOLERANCE = Decimal("0.02")
"""Of a tax amount: it may be rounded by line."""


class Problem(NamedTuple):
    """What doesn't fit."""

    term: str
    """Its number in EN 16931: `BT-112`."""
    reason: str
    grund: str


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    quantity: Decimal
    unit: str
    price: Decimal
    net: Decimal
    tax_percent: Decimal | None


@dataclass(frozen=True, slots=True)
class Tax:
    percent: Decimal | None
    net: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class Seller:
    name: str
    vat_id: str
    city: str


@dataclass(frozen=True, slots=True)
class Invoice:
    """Amounts are in euros, as it has them: those of a credit note are above 0, too."""

    number: str
    """With - for what numbers here can't have."""
    said_number: str
    """As the invoice has it."""
    kind: str
    issued: date
    due: date | None
    seller: Seller
    buyer: str
    order: str
    contract: str
    corrects: Sequence[str]
    """Numbers of invoices before."""
    accounts: Sequence[str]
    """IBANs, or whatever else names an account, to which it is to be paid."""
    terms: str
    """How it is to be paid, and with which discount."""
    lines: Sequence[Line]
    taxes: Sequence[Tax]
    net: Decimal
    tax: Decimal
    gross: Decimal
    to_pay: Decimal

    @property
    def is_credit(self) -> bool:
        """Whether its amounts are taken off."""
        return self.kind in CREDIT


class UnfitError(Exception):
    """An invoice that can't be taken; it has at least one problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems[0].reason)
        self.problems = tuple(problems)


def invoice(terms: Mapping[str, Any]) -> Invoice:
    """What an invoice says. Raises `UnfitError` with everything that is wrong."""
    problems = list(_misfits(terms))
    if problems:
        raise UnfitError(problems)
    reading = _Reading()
    found = _invoice(terms, reading)
    if reading.problems:
        raise UnfitError(reading.problems)
    problems = list(_sums(found, terms, reading))
    if problems or reading.problems:
        raise UnfitError([*reading.problems, *problems])
    return found


def vat_id(text: object) -> str:
    """Without what people put between its digits; empty if there is none."""
    return re.sub(r"[\s.\-]", "", text).upper() if isinstance(text, str) else ""


def _misfits(terms: Mapping[str, Any]) -> Iterator[Problem]:
    kind = _text(terms, "BT-3")
    credit = kind in CREDIT
    if not credit and (kind not in TAKEN or terms.get("credit") is True):
        yield Problem(
            "BT-3",
            f"Documents of kind {kind[:10]} aren't taken; invoices are 380 or 384, credit notes 381.",
            f"Belege der Art {kind[:10]} werden nicht übernommen; Rechnungen sind 380 oder 384, Gutschriften"
            " 381.",
        )
    currency = _text(terms, "BT-5")
    if currency != "EUR":
        yield Problem(
            "BT-5",
            f"The currency is {currency[:10]}; only EUR is taken.",
            f"Die Währung ist {currency[:10]}; nur EUR wird übernommen.",
        )
    lines = terms.get("BG-25")
    if isinstance(lines, list) and len(lines) > MOST_LINES:
        yield Problem(
            "BG-25", f"It has more than {MOST_LINES} lines.", f"Sie hat mehr als {MOST_LINES} Positionen."
        )


class _Reading:
    """Values of terms, and what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def amount(self, group: Mapping[str, Any], term: str) -> Decimal | None:
        text = _text(group, term)
        if not text:
            return None
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite() or abs(value) >= _MOST:
            self._wrong(term, "is no amount that can be", "ist kein möglicher Betrag")
            return None
        return value

    def needed(self, group: Mapping[str, Any], term: str) -> Decimal:
        value = self.amount(group, term)
        if value is None:
            self._wrong(term, "is missing", "fehlt")
            return Decimal(0)
        return value

    def day(self, group: Mapping[str, Any], term: str) -> date | None:
        text = _text(group, term)
        if not text:
            return None
        try:
            day = date.fromisoformat(text)
        except ValueError:
            self._wrong(term, "is no day", "ist kein Tag")
            return None
        if not 1990 <= day.year <= 2199:
            self._wrong(term, "is no day from 1990 to 2199", "ist kein Tag von 1990 bis 2199")
            return None
        return day

    def _wrong(self, term: str, reason: str, grund: str) -> None:
        if len(self.problems) < 100:
            self.problems.append(Problem(term, f"{term} {reason}.", f"{term} {grund}."))


def _invoice(terms: Mapping[str, Any], reading: _Reading) -> Invoice:
    said = _text(terms, "BT-1")
    number = _NO_CODE.sub("-", said).strip("-")[:40]
    issued = reading.day(terms, "BT-2")
    if not number or not number[0].isalnum():
        reading.problems.append(Problem("BT-1", "It has no number.", "Sie hat keine Nummer."))
    if issued is None:
        reading.problems.append(Problem("BT-2", "It has no date.", "Sie hat kein Datum."))
    seller = terms.get("BG-4")
    party: Mapping[str, Any] = seller if isinstance(seller, Mapping) else {}
    net, gross = reading.needed(terms, "BT-109"), reading.needed(terms, "BT-112")
    tax = reading.amount(terms, "BT-110")
    to_pay = reading.amount(terms, "BT-115")
    kind = _text(terms, "BT-3")
    if kind in CREDIT and (net < 0 or gross < 0):
        reading.problems.append(
            Problem(
                "BT-112",
                "It is a credit note whose total is below 0: nobody can tell who owes whom. Ask for another"
                " one, or book it by hand.",
                "Sie ist eine Gutschrift mit einem Betrag kleiner als 0: wer wem etwas schuldet, ist nicht"
                " erkennbar. Bitte neu anfordern oder von Hand buchen.",
            )
        )
    return Invoice(
        number=number,
        said_number=said[:200],
        kind=kind,
        issued=issued or date(1990, 1, 1),
        due=reading.day(terms, "BT-9"),
        seller=Seller(
            _text(party, "name")[:200],
            vat_id(_text(party, "vat_identifier"))[:20],
            _text(party, "city")[:100],
        ),
        buyer=_text(buyer, "name")[:200] if isinstance(buyer := terms.get("BG-7"), Mapping) else "",
        order=_text(terms, "BT-13")[:200],
        contract=_text(terms, "BT-12")[:200],
        corrects=[said[:200] for one in _groups(terms, "BG-3")[:10] if (said := _text(one, "BT-25"))],
        accounts=_accounts(terms),
        terms=_text(terms, "BT-20")[:500],
        lines=[_line(one, reading) for one in _groups(terms, "BG-25")],
        taxes=[
            Tax(reading.amount(one, "BT-119"), reading.needed(one, "BT-116"), reading.needed(one, "BT-117"))
            for one in _groups(terms, "BG-23")
        ],
        net=net,
        tax=gross - net if tax is None else tax,
        gross=gross,
        to_pay=gross if to_pay is None else to_pay,
    )


def _accounts(terms: Mapping[str, Any]) -> list[str]:
    said = terms.get("BT-84")
    several = said if isinstance(said, list) else [said]
    plain = (re.sub(r"\s", "", _text({"BT-84": one}, "BT-84")).upper()[:34] for one in several[:20])
    return list(dict.fromkeys(one for one in plain if one))


def _line(group: Mapping[str, Any], reading: _Reading) -> Line:
    return Line(
        _text(group, "BT-153")[:500],
        reading.needed(group, "BT-129"),
        _text(group, "BT-130")[:10],
        reading.needed(group, "BT-146"),
        reading.needed(group, "BT-131"),
        reading.amount(group, "BT-152"),
    )


def _sums(found: Invoice, terms: Mapping[str, Any], reading: _Reading) -> Iterator[Problem]:
    """What doesn't add up."""
    for place, (line, group) in enumerate(zip(found.lines, _groups(terms, "BG-25"), strict=True), 1):
        base = reading.amount(group, "BT-149") or Decimal(1)
        if base <= 0:
            continue
        less = sum(
            (reading.amount(one, "amount") or Decimal(0) for one in _groups(group, "BG-27")), Decimal(0)
        )
        more = sum(
            (reading.amount(one, "amount") or Decimal(0) for one in _groups(group, "BG-28")), Decimal(0)
        )
        expected = cents(line.quantity * line.price / base) - less + more
        if abs(expected - line.net) > CENT:
            yield _differs("BT-131", line.net, expected, f"line {place}", f"Position {place}")
    lines = reading.amount(terms, "BT-106")
    if found.lines:
        whole = sum((line.net for line in found.lines), Decimal(0))
        if lines is not None and abs(whole - lines) > CENT:
            yield _differs("BT-106", lines, whole, "the sum of the lines", "die Summe der Positionen")
        lines = whole
    if lines is not None:
        less, more = (reading.amount(terms, term) or Decimal(0) for term in ("BT-107", "BT-108"))
        if abs(lines - less + more - found.net) > CENT:
            yield _differs("BT-109", found.net, lines - less + more, "the net total", "die Nettosumme")
    if found.taxes:
        for one in found.taxes:
            tax = cents(one.net * (one.percent or Decimal(0)) / 100)
            if abs(tax - one.tax) > _TAX_TOLERANCE:
                yield _differs("BT-117", one.tax, tax, "a tax amount", "ein Steuerbetrag")
        net = sum((one.net for one in found.taxes), Decimal(0))
        if abs(net - found.net) > CENT:
            yield _differs("BT-116", net, found.net, "what is taxed", "die besteuerte Summe")
        tax = sum((one.tax for one in found.taxes), Decimal(0))
        if abs(tax - found.tax) > CENT:
            yield _differs("BT-110", found.tax, tax, "the tax", "die Steuer")
    if abs(found.net + found.tax - found.gross) > CENT:
        yield _differs("BT-112", found.gross, found.net + found.tax, "the total", "der Gesamtbetrag")
    paid, rounded = (reading.amount(terms, term) or Decimal(0) for term in ("BT-113", "BT-114"))
    if abs(found.gross - paid + rounded - found.to_pay) > CENT:
        yield _differs("BT-115", found.to_pay, found.gross - paid + rounded, "what is due", "der Zahlbetrag")


def _differs(term: str, said: Decimal, expected: Decimal, what: str, was: str) -> Problem:
    return Problem(
        term,
        f"{term}, {what}, is {said:.2f} and has to be {expected:.2f}.",
        f"{term}, {was}, ist {said:.2f} und müsste {expected:.2f} sein.",
    )


def _text(group: Mapping[str, Any], term: str) -> str:
    """One line, without signs that can't be seen."""
    value = group.get(term)
    if not isinstance(value, str):
        return ""
    return "".join(char for char in " ".join(value[:MOST_TEXT].split()) if char.isprintable())


def _groups(terms: Mapping[str, Any], term: str) -> list[Mapping[str, Any]]:
    found = terms.get(term)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
