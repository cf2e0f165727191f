"""Whose invoice it is, and which order it is for: among the documents that whoever imports it may read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from kompass.einvoices.invoices import Invoice, Seller, vat_id
from kompass.resources import lists
from kompass.resources.catalogue import RESOURCES
from kompass.resources.filters import parse
from kompass.resources.gathering import STABLE, gather
from kompass.sync.personal import PersonalDatabase
from replication.protocol import jsontext

MOST_SUPPLIERS = 5000
MOST_SAME = 1000
"""Documents with one number."""
MOST_LATEST = 50

Body = Mapping[str, Any]


async def suppliers(view: PersonalDatabase, seller: Seller) -> list[Body]:
    """Those with the seller's VAT id; if there are none, those with his name and no other VAT id. Raises
    `TooMany`.
    """
    known = await gather(view, "suppliers", STABLE, [], most=MOST_SUPPLIERS)
    return matching(known, seller)


async def supplier(view: PersonalDatabase, docid: str) -> Body | None:
    """One by his id."""
    found = await view.winner(docid) if docid and not docid.startswith("_") else None
    if found is None or found.deleted:
        return None
    body: dict[str, Any] = jsontext.decode(found.text)
    return body if body.get("type") == "supplier" else None


def matching(known: Sequence[Body], seller: Seller) -> list[Body]:
    """The same among documents that are known."""
    if seller.vat_id:
        found = [one for one in known if vat_id(one.get("vatNumber")) == seller.vat_id]
        if found:
            return found
    name = _plain(seller.name)
    if not name:
        return []
    named = [one for one in known if _plain(str(one.get("companyName", ""))) == name]
    return [one for one in named if not seller.vat_id or vat_id(one.get("vatNumber")) in ("", seller.vat_id)]


async def order(view: PersonalDatabase, invoice: Invoice, supplier: str) -> Body | None:
    """The purchase order that the invoice names, if it went to that supplier."""
    if not invoice.order:
        return None
    given = [("orderNumber", invoice.order)]
    found = await gather(view, "purchase-orders", STABLE, given, most=MOST_SAME)
    return next((one for one in found if one.get("supplierId") == supplier), None)


async def contract(view: PersonalDatabase, invoice: Invoice, supplier: str) -> Body | None:
    """The same of a contract."""
    if not invoice.contract:
        return None
    given = [("contractNumber", invoice.contract)]
    found = await gather(view, "supplier-contracts", STABLE, given, most=MOST_SAME)
    return next((one for one in found if one.get("supplierId") == supplier), None)


async def earlier(view: PersonalDatabase, number: str, supplier: str) -> Body | None:
    """The invoice of that supplier that has this number."""
    given = [("invoiceNumber", number)]
    found = await gather(view, "supplier-invoices", STABLE, given, most=MOST_SAME)
    return next((one for one in found if one.get("supplierId") == supplier), None)


async def accounts(view: PersonalDatabase, supplier: str) -> frozenset[str]:
    """To which his latest invoices were to be paid, those that somebody approved."""
    resource = RESOURCES["supplier-invoices"]
    filters = parse(resource.fields, [("supplierId", supplier), ("status.in", "Approved,Paid")])
    latest = await lists.page(view, lists.Question(resource, "invoiceDate", True, filters, MOST_LATEST))
    said = (jsontext.decode(one.text).get("payeeIban") for one in latest.items)
    return frozenset(one for one in said if isinstance(one, str))


def _plain(name: str) -> str:
    """A name without regard to capitals, accents' encoding and signs between words."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", name).casefold()))
