"""What there is only one of, and what looks as if it were there twice.

What must be unique is refused, without saying whose the other one is. Possible duplicates are stored: on the
road nobody can know them all. They are told to the office.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from hashlib import sha256

from kompass.domain import keys
from kompass.domain.changes import Body, Change, Facts
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings
from kompass.domain.storno import is_cancelled, is_storno

MOST_COMPARED = 100
"""Documents that a possible duplicate is compared with."""
MOST_ALIKE = 10
"""Possible duplicates that are named."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something about a stored document that the office should look at."""

    rule: str
    reason: str
    grund: str
    about: tuple[str, ...] = ()
    """Ids of the other documents."""


def check(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Why there can't be this document beside others."""
    doc = change.doc
    if doc is None:
        return None
    if change.returns:  # its values were free for others meanwhile
        change = replace(change, before=None)
    return _by_type(change, doc, facts) or _number(change, doc, facts)


def _by_type(change: Change, doc: Body, facts: Facts) -> Refusal | None:
    match change.type:
        case "customer":
            return _vat(change, doc, facts)
        case "time_entry":
            return _one_running(change, doc, facts)
        case "contract":
            return _one_contract(change, doc, facts)
        case "location":
            return _location_name(change, doc, facts)
        case "project_cost" if not is_storno(doc):
            return _invoice_number(change, doc, facts, keys.COST_INVOICE)
        case "supplier_invoice":
            return _invoice_number(change, doc, facts, keys.SUPPLIER_INVOICE)
        case "invoice":
            return _own_invoice_number(change, doc, facts)
        case "material":
            return _material_code(change, doc, facts)
        case _:
            return None


def check_numbers(change: Change, facts: Facts) -> Refusal | None:
    """The part of `check` that even administrators, imports and replications keep: no number comes twice."""
    doc = change.doc
    if doc is None:
        return None
    if change.changes("type"):
        change = replace(change, before=None)  # what it was called as something else was nobody's number
    if change.type in _WITH_INVOICE_NUMBERS:
        return _by_type(change, doc, facts)
    return _number(change, doc, facts)


_WITH_INVOICE_NUMBERS = frozenset({"project_cost", "supplier_invoice", "invoice"})


def compared(customer: Body) -> str:
    """What possible duplicates are found by, as a digest: while it is the same, nothing new is found."""
    text = f"{keys.name_and_address(customer)}\n{keys.email(customer.get('email'))}"
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def flags(change: Change, facts: Facts) -> tuple[Note, ...]:
    """What the office is told once the change is stored."""
    doc = change.doc
    if doc is None or change.type != "customer" or doc.get("anonymized") is True:
        return ()
    compared = ("companyName", "billingAddress", "email")
    if not (change.is_new or any(change.changes(field) for field in compared)):
        return ()
    mail = keys.email(doc.get("email"))
    same_mail = _others(change, facts, keys.EMAIL, mail, MOST_ALIKE) if mail else []
    found = [
        Note(
            "duplicate.email",
            "Another customer has the same email address.",
            "Ein anderer Kunde hat dieselbe E-Mail-Adresse.",
            tuple(same_mail),
        )
    ]
    found.append(
        Note(
            "duplicate.name",
            "Another customer has nearly the same name and address.",
            "Ein anderer Kunde hat fast denselben Namen und dieselbe Adresse.",
            alike_to(change.id, doc, facts),
        )
    )
    return tuple(note for note in found if note.about)


def alike_to(docid: str, doc: Body, facts: Facts) -> tuple[str, ...]:
    """Customers, but for this one, whose name and address differ from its in two letters at most; the first
    few of them.
    """
    compared = {docid}
    alike: list[str] = []
    for value in keys.pieces_of_alike(doc):
        for docid in facts.sharing(keys.ALIKE, value, MOST_COMPARED):
            if docid in compared:
                continue
            if len(alike) == MOST_ALIKE or len(compared) > MOST_COMPARED:
                return tuple(sorted(alike))
            compared.add(docid)
            other = facts.document(docid)
            if other is None or other.get("anonymized") is True:
                continue  # pseudonyms are like one another
            if keys.alike(doc, other):
                alike.append(docid)
    return tuple(sorted(alike))


def alike_but_for_form(doc: Body, facts: Facts) -> str | None:
    """A customer of the same name but for the legal form, and nearly the same address."""
    name = keys.bare_name(doc)
    compared: set[str] = set()
    for value in (name, *(f"{name} {form}" for form in keys.LEGAL_FORMS)) if name else ():
        for docid in facts.sharing(keys.NAME, value, MOST_COMPARED - len(compared)):
            compared.add(docid)
            other = facts.document(docid)
            if other is None or other.get("anonymized") is True:
                continue
            if keys.alike_but_for_form(doc, other):
                return docid
        if len(compared) >= MOST_COMPARED:
            break
    return None


def _others(change: Change, facts: Facts, key: str, value: str, most: int = MOST_COMPARED) -> list[str]:
    """Some other documents with that value, if there are any."""
    return sorted(docid for docid in facts.sharing(key, value, most + 1) if docid != change.id)[:most]


def _vat(change: Change, doc: Body, facts: Facts) -> Refusal | None:
    value = keys.compact(doc.get("vatNumber"))
    if not value or not change.changes("vatNumber") or not _others(change, facts, keys.VAT, value):
        return None
    return Refusal(
        "unique.vat",
        "This VAT number is in use already. Ask the office, or leave it out.",
        "Diese USt-IdNr. ist schon vergeben. Fragen Sie im Büro nach oder lassen Sie sie weg.",
        ("vatNumber",),
    )


def _one_running(change: Change, doc: Body, facts: Facts) -> Refusal | None:
    mine = [value for key, value in keys.keys_of(doc) if key == keys.RUNNING]
    if not mine or not _others(change, facts, keys.RUNNING, mine[0]):
        return None
    return Refusal(
        "unique.running",
        "One time entry runs already: end it (endTime) before another one begins.",
        "Es läuft schon eine Zeitbuchung: Beenden Sie sie (endTime), bevor eine andere beginnt.",
        ("endTime",),
    )


def _one_contract(change: Change, doc: Body, facts: Facts) -> Refusal | None:
    offer = doc.get("offerId")
    if not change.changes("offerId") or not isinstance(offer, str):
        return None
    others = facts.referring("contract", "offerId", offer)
    if all(other.get("_id") == change.id or other.get("status") == "terminated" for other in others):
        return None
    return Refusal(
        "unique.contract",
        "There is one contract for each offer, and this offer has it.",
        "Zu jedem Angebot gibt es einen Vertrag, und dieses hat ihn schon.",
        ("offerId",),
    )


def _location_name(change: Change, doc: Body, facts: Facts) -> Refusal | None:
    name, customer = keys.plain(doc.get("locationName")), doc.get("customerId")
    if not (change.changes("locationName") or change.changes("customerId")):
        return None
    value = keys.pair(keys.exactly(customer), name)
    if not value or not _others(change, facts, keys.LOCATION_NAME, value, 1):
        return None
    return Refusal(
        "unique.location_name",
        "The customer has a location of this name already.",
        "Der Kunde hat schon einen Standort mit diesem Namen.",
        ("locationName",),
    )


def _invoice_number(change: Change, doc: Body, facts: Facts, key: str) -> Refusal | None:
    mine = [value for name, value in keys.keys_of(doc) if name == key]
    fields = ("invoiceNumber", "supplierName", "supplierId")
    if not mine or not any(change.changes(field) for field in fields):
        return None
    for docid in _others(change, facts, key, mine[0]):
        other = facts.document(docid)
        if other is None or is_storno(other) or is_cancelled(other, facts):
            continue  # it is out of the books, and the right one has the same number
        return Refusal(
            "unique.invoice_number",
            "An invoice of this supplier with this number is here already.",
            "Eine Rechnung dieses Lieferanten mit dieser Nummer ist schon erfasst.",
            ("invoiceNumber",),
        )
    return None


def _own_invoice_number(change: Change, doc: Body, facts: Facts) -> Refusal | None:
    mine = [value for name, value in keys.keys_of(doc) if name == keys.INVOICE]
    if not mine or not change.changes("invoiceNumber") or not _others(change, facts, keys.INVOICE, mine[0]):
        return None
    return Refusal(
        "unique.invoice_number",
        "There is an invoice with this number already.",
        "Es gibt schon eine Rechnung mit dieser Nummer.",
        ("invoiceNumber",),
    )


def _number(change: Change, doc: Body, facts: Facts) -> Refusal | None:
    """A number of a series is given once, and stays the document's that has it, even when that is gone."""
    field = keys.NUMBERED.get(change.type)
    if field is None or doc.get(field) is None or not change.changes(field):
        return None
    number = keys.number_of(doc)
    if not number:
        return None
    value = str(doc[field])
    foreign = any(sign.isdecimal() and not sign.isascii() for sign in value)
    if foreign or not value.isprintable() or unicodedata.normalize("NFKC", value).strip() != value:
        return Refusal(
            "number.form",
            f"{field} looks like another number than it is: it has blanks around it, hidden signs, or"
            " digits of another script.",
            f"{field} sieht aus wie eine andere Nummer: Leerzeichen am Rand, unsichtbare Zeichen oder Ziffern"
            " einer anderen Schrift.",
            (field,),
        )
    if not _others(change, facts, keys.NUMBER, number):
        return None
    return Refusal(
        "number.taken",
        f"{field}: {value} was given to another document, and is never given again. Leave it out: the server"
        " gives the next one.",
        f"{field}: {value} ist schon vergeben und wird nie wieder vergeben. Lassen Sie sie weg: Der Server"
        " vergibt die nächste.",
        (field,),
    )


def _material_code(change: Change, doc: Body, facts: Facts) -> Refusal | None:
    value = keys.compact(doc.get("materialCode"))
    if not value or not change.changes("materialCode"):
        return None
    if not _others(change, facts, keys.MATERIAL_CODE, value):
        return None
    return Refusal(
        "unique.material_code",
        "There is a material with this code already.",
        "Es gibt schon ein Material mit diesem Code.",
        ("materialCode",),
    )
