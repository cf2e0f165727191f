"""Keys by which documents are found that say the same: what must be unique, and what may be a duplicate.

The store keeps them for each live document (`Facts.sharing`). Values are normalised here, both when a
document is stored and when one is looked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from kompass.domain.changes import Body
from kompass.domain.series import MAX_NUMBER, SERIES

VAT = "customer.vatNumber"
EMAIL = "customer.email"
NAME = "customer.name"
ALIKE = "customer.alike"
"""Of name and address: customers in which they differ in `CLOSE` letters at most share one of these; see
`pieces`.
"""
LOCATION_NAME = "location.name"
"""Of a customer's."""
RUNNING = "time_entry.running"
COST_INVOICE = "project_cost.invoice"
SUPPLIER_INVOICE = "supplier_invoice.number"
MATERIAL_CODE = "material.materialCode"
USER_NAME = "user.userName"
ROLE = "user.role"
"""Of who works here."""
INVOICE = "invoice.invoiceNumber"
NUMBER = "number"
"""A number of any series. It belongs for good to the document that was given it, which may be gone by now."""
OFFERED_UNTIL = "offer.validUntil"
"""Of offers that may still be accepted."""

NUMBERED: Mapping[str, str] = {one.type: one.field for one in SERIES if one.type}
"""Type -> the field that has a number of a series."""

LONGEST = 200
"""Characters of a value that count."""
CLOSE = 2
"""Letters in which name and address of possible duplicates differ at most."""

_PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NOT_WORD = re.compile(r"[^0-9a-z]+")


def plain(value: object) -> str:
    """Letters and digits of a text in lower case, umlauts and accents written out; empty if it is no text."""
    if not isinstance(value, str):
        return ""
    text = value[: 4 * LONGEST]
    if text.isascii():
        return _NOT_WORD.sub(" ", text.lower()).strip()[:LONGEST]
    text = unicodedata.normalize("NFC", text).casefold().translate(_PLAIN)
    text = unicodedata.normalize("NFKD", text)
    return _NOT_WORD.sub(" ", "".join(one for one in text if not unicodedata.combining(one))).strip()[
        :LONGEST
    ]


def compact(value: object) -> str:
    """A number or code without what people write between its characters, in upper case."""
    return plain(value).replace(" ", "").upper()


def number_of(body: Body) -> str:
    """The number of a series that a document has, in upper case; empty if it has none."""
    value = body.get(NUMBERED.get(str(body.get("type")), ""))
    return folded(value) if isinstance(value, str) and 0 < len(value) <= MAX_NUMBER else ""


def folded(number: str) -> str:
    """A to Z in upper case, as SQLite's `upper` does it."""
    return number.translate(_UPPER)


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


_WITH_PARTNERS = ("gmbh", "ug", "ug haftungsbeschraenkt", "ag")
_PARTNERS = ("co kg", "und co kg", "u co kg", "co ohg", "co kgaa")
_FORMS = (
    *(
        "gmbh",
        "ggmbh",
        "mbh",
        "gesmbh",
        "ug",
        "ug haftungsbeschraenkt",
        "ag",
        "se",
        "kg",
        "kgaa",
        "ohg",
        "gbr",
    ),
    *("e k", "ek", "e kfm", "e kfr", "eg", "e g", "ev", "e v", "partg", "partg mbb", "partgmbb"),
    *("ltd", "limited", "inc", "bv", "b v", "nv", "n v", "sarl", "srl", "sas"),
    *(f"{form} {partners}" for form in _WITH_PARTNERS for partners in _PARTNERS),
)
LEGAL_FORMS = tuple(sorted(_FORMS, key=len, reverse=True))
"""As they end a plain name, longer ones first."""


def bare_name(customer: Body) -> str:
    """The plain name without its legal form."""
    name = plain(customer.get("companyName"))
    return next((name[: -len(form) - 1] for form in LEGAL_FORMS if name.endswith(f" {form}")), name)


def alike_but_for_form(one: Body, other: Body) -> bool:
    """Whether two customers have the same name but for the legal form, and addresses that differ in `CLOSE`
    letters at most.
    """
    name = bare_name(one)
    if not name or name != bare_name(other):
        return False
    here, there = ({**each, "companyName": ""} for each in (one, other))
    return distance(name_and_address(here), name_and_address(there), CLOSE) <= CLOSE


def _blocks(customer: Body) -> list[tuple[str, str]]:
    """(block, text): possible duplicates have a block in common, and nearly the same text in it."""
    address = customer.get("billingAddress")
    whole, name = name_and_address(customer), plain(customer.get("companyName"))
    zip_code = compact(address.get("zipCode")) if isinstance(address, dict) else ""
    blocks = [(f"zip {zip_code}", whole)] if zip_code else []
    return [*blocks, (f"name {name}", whole[len(name) :])] if name else blocks


def pieces(customer: Body) -> list[str]:
    """The values of `ALIKE` that a customer has.

    The text is cut in three. Where two letters differ, one of the pieces at least is the same in the other
    text, moved by as many letters as were put in or left out before it.
    """
    found = []
    for block, text in _blocks(customer):
        first, second = _cuts(len(text))
        cut = enumerate((text[:first], text[first:second], text[second:]))
        found += [f"{place} {len(text)} {block} {piece}" for place, piece in cut]
    return found


def pieces_of_alike(customer: Body) -> list[str]:
    """The values of `ALIKE` of which every possible duplicate of a customer has one at least."""
    found: dict[str, None] = {}
    for block, text in _blocks(customer):
        for length in range(max(0, len(text) - CLOSE), len(text) + CLOSE + 1):
            first, second = _cuts(length)
            longer = len(text) - length
            found[f"0 {length} {block} {text[:first]}"] = None
            # Two letters that differ before it leave the third piece whole, and two behind it the first.
            for moved in (-1, 0, 1):
                if abs(longer - moved) <= 1 and first + moved >= 0:
                    found[f"1 {length} {block} {text[first + moved : second + moved]}"] = None
            if second + longer >= 0:
                found[f"2 {length} {block} {text[second + longer :]}"] = None
    return list(found)


def _cuts(length: int) -> tuple[int, int]:
    return length // 3, 2 * length // 3


def alike(one: Body, other: Body) -> bool:
    """Whether two customers may be the same: they have the same name or ZIP code, and name and address differ
    in `CLOSE` letters at most.
    """
    shared = dict(_blocks(one)).keys() & dict(_blocks(other)).keys()
    return bool(shared) and distance(name_and_address(one), name_and_address(other), CLOSE) <= CLOSE


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
            found += [(ALIKE, piece) for piece in pieces(body)]
        case "location":
            found = [(LOCATION_NAME, pair(exactly(body.get("customerId")), plain(body.get("locationName"))))]
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
        case "invoice":
            found = [(INVOICE, compact(body.get("invoiceNumber")))]
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
    more = most + 1
    if one == other:
        return 0
    if abs(len(one) - len(other)) > most:
        return more
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        # What is further from the diagonal than `most` is more than `most` letters away.
        first, last = max(1, place - most), min(len(other), place + most)
        above, row[first - 1] = row[first - 1], place if first == 1 else more
        for at in range(first, last + 1):
            beside = row[at] if at < place + most else more
            above, row[at] = row[at], min(beside + 1, row[at - 1] + 1, above + (letter != other[at - 1]))
        if min(row[first - 1 : last + 1]) > most:
            return more
    return min(row[-1], more)
