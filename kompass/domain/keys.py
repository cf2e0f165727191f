"""Keys by which documents are found that say the same: what must be unique, and what may be a duplicate.

The store keeps them for each live document (`Facts.sharing`). Values are normalised here, both when a
document is stored and when one is looked for.
"""

from __future__ import annotations

import re
import unicodedata

from kompass.domain.changes import Body

VAT = "customer.vatNumber"
EMAIL = "customer.email"
NAME = "customer.name"
ZIP_CODE = "customer.zipCode"
RUNNING = "time_entry.running"
COST_INVOICE = "project_cost.invoice"
SUPPLIER_INVOICE = "supplier_invoice.number"
MATERIAL_CODE = "material.materialCode"
USER_NAME = "user.userName"
ROLE = "user.role"
"""Of who works here."""
OFFERED_UNTIL = "offer.validUntil"
"""Of offers that may still be accepted."""

LONGEST = 200
"""Characters of a value that count."""

_PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_NOT_WORD = re.compile(r"[^0-9a-z]+")


def plain(value: object) -> str:
    """Letters and digits of a text in lower case, umlauts and accents written out; empty if it is no text."""
    if not isinstance(value, str):
        return ""
    text = unicodedata.normalize("NFC", value[: 4 * LONGEST]).casefold().translate(_PLAIN)
    text = unicodedata.normalize("NFKD", text)
    return _NOT_WORD.sub(" ", "".join(one for one in text if not unicodedata.combining(one))).strip()[
        :LONGEST
    ]


def compact(value: object) -> str:
    """A number or code without what people write between its characters, in upper case."""
    return plain(value).replace(" ", "").upper()


def street(value: str) -> str:
    """A plain street with its usual abbreviations written out."""
    return re.sub(r"str\b", "strasse", value)


def name_and_address(customer: Body) -> str:
    """What possible duplicates of a customer are compared by."""
    address = customer.get("billingAddress")
    parts = [plain(customer.get("companyName"))]
    if isinstance(address, dict):
        parts += [street(plain(address.get("street"))), plain(address.get("streetNumber"))]
        parts += [plain(address.get("zipCode")), plain(address.get("city"))]
    return " ".join(part for part in parts if part)


def keys_of(body: Body) -> list[tuple[str, str]]:
    """The keys of a document and their normalised values; nothing for a value that is empty or malformed."""
    found: list[tuple[str, str]] = []
    match body.get("type"):
        case "customer":
            found = [
                (VAT, compact(body.get("vatNumber"))),
                (EMAIL, email(body.get("email"))),
                (NAME, plain(body.get("companyName"))),
            ]
            address = body.get("billingAddress")
            if isinstance(address, dict):
                found.append((ZIP_CODE, compact(address.get("zipCode"))))
        case "time_entry" if body.get("endTime") is None and body.get("status") == "in_progress":
            found = [(RUNNING, exactly(body.get("userId")))]
        case "project_cost":
            found = [
                (COST_INVOICE, pair(plain(body.get("supplierName")), compact(body.get("invoiceNumber"))))
            ]
        case "supplier_invoice":
            found = [
                (SUPPLIER_INVOICE, pair(exactly(body.get("supplierId")), compact(body.get("invoiceNumber"))))
            ]
        case "offer" if is_open(body):
            found = [(OFFERED_UNTIL, exactly(body.get("validUntil")))]
        case "material":
            found = [(MATERIAL_CODE, compact(body.get("materialCode")))]
        case "user":
            found = [(USER_NAME, exactly(body.get("userName") or body.get("name")))]
            roles = body.get("roles")
            if body.get("active") is True and isinstance(roles, list):
                found += [(ROLE, exactly(role)) for role in roles]
        case _:
            pass
    return [(key, value) for key, value in found if value]


def is_open(offer: Body) -> bool:
    """Whether an offer waits for its answer."""
    return offer.get("status") in ("sent", "viewed")


def email(value: object) -> str:
    return value.strip().casefold()[:LONGEST] if isinstance(value, str) else ""


def exactly(value: object) -> str:
    """An id or a name, as it is."""
    return value if isinstance(value, str) and len(value) <= 512 else ""


def pair(one: str, other: str) -> str:
    """A number that is unique for somebody; empty unless both are there."""
    return f"{one}|{other}" if one and other else ""


def distance(one: str, other: str, most: int) -> int:
    """Levenshtein's: letters added, left out or replaced; `most + 1` if there are more than `most`."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        above, row[0] = row[0], place
        for at, letter_there in enumerate(other, 1):
            above, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, above + (letter != letter_there))
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)
