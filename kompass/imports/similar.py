"""Which documents say the same as a row: by keys of the business, and by nearly the same name and address.

The same keys find a row that stands twice in the file and a document that is stored already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kompass.accounting.problems import Problem
from kompass.domain import keys

Members = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """Why two are taken for the same."""

    name: str
    reason: str
    grund: str


NUMBER = Rule("number", "the number", "Nummer")
VAT = Rule("vat", "the VAT number", "USt-IdNr.")
EMAIL = Rule("email", "the email address", "E-Mail-Adresse")
ALIKE = Rule("alike", "nearly the same name and address", "fast gleicher Name und Adresse")
FORM = Rule(
    "form",
    "the same name but for its legal form, and nearly the same address",
    "gleicher Name bis auf die Rechtsform, und fast gleiche Adresse",
)
"""Perhaps it is the same: that is for a person to say."""
NAME = Rule("name", "the name", "Name")
CODE = Rule("code", "the code", "Materialnummer")
TITLE = Rule("title", "customer and title", "Kunde und Titel")


def exact_keys(doctype: str, members: Members, number: str | None) -> Iterator[tuple[Rule, str]]:
    """What a document is known by. `number`: what the row says of the server's own number."""
    match doctype:
        case "customer":
            yield NUMBER, keys.folded(number or "")
            yield VAT, keys.compact(members.get("vatNumber"))
            yield EMAIL, keys.email(members.get("email"))
        case "supplier":
            yield VAT, keys.compact(members.get("vatNumber"))
            yield EMAIL, keys.email(members.get("email"))
        case "contact":
            customer = keys.exactly(members.get("customerId"))
            name = f"{keys.plain(members.get('firstName'))} {keys.plain(members.get('lastName'))}"
            yield EMAIL, keys.pair(customer, keys.email(members.get("email")))
            yield NAME, keys.pair(customer, name.strip())
        case "material":
            code = keys.compact(members.get("materialCode"))
            yield CODE, code
            if not code:
                yield NAME, keys.plain(members.get("materialName"))
        case "opportunity":
            yield TITLE, keys.pair(keys.exactly(members.get("customerId")), keys.plain(members.get("title")))
        case _:
            return


HAS_ADDRESS = frozenset({"customer", "supplier"})
"""Types that are compared by name and address as well."""


@dataclass(slots=True)
class Known:
    """Documents or rows by their keys, and the first that says the same as another."""

    doctype: str
    exact: dict[tuple[str, str], str] = field(default_factory=dict)
    alike: dict[str, list[tuple[str, Members]]] = field(default_factory=dict)
    names: dict[str, list[tuple[str, Members]]] = field(default_factory=dict)

    def add(self, name: str, members: Members, number: str | None = None) -> None:
        """`name`: an id, or a line."""
        for rule, key in exact_keys(self.doctype, members, number):
            if key:
                self.exact.setdefault((rule.name, key), name)
        if self.doctype in HAS_ADDRESS:
            bare = {key: members[key] for key in ("companyName", "billingAddress") if key in members}
            for piece in keys.pieces(bare):
                self.alike.setdefault(piece, []).append((name, bare))
            self.names.setdefault(keys.bare_name(bare), []).append((name, bare))

    def find(self, members: Members, number: str | None = None) -> tuple[str, Rule] | None:
        for rule, key in exact_keys(self.doctype, members, number):
            if key and (found := self.exact.get((rule.name, key))) is not None:
                return found, rule
        if self.doctype not in HAS_ADDRESS:
            return None
        compared: set[str] = set()
        for piece in keys.pieces_of_alike(members):
            for name, other in self.alike.get(piece, ()):
                if name not in compared and len(compared) < _MOST_COMPARED:
                    compared.add(name)
                    if keys.alike(members, other):
                        return name, ALIKE
        return None

    def find_but_for_form(self, members: Members) -> tuple[str, Rule] | None:
        """Where nothing says the same: what perhaps does."""
        if self.doctype not in HAS_ADDRESS:
            return None
        for name, other in self.names.get(keys.bare_name(members), ())[:_MOST_COMPARED]:
            if keys.alike_but_for_form(members, other):
                return name, FORM
        return None


_MOST_COMPARED = 100


def told(rule: Rule, *, line: int | None = None) -> Problem:
    """What a person is told of a duplicate."""
    perhaps, vielleicht = (" perhaps", " vielleicht") if rule is FORM else ("", "")
    if line is not None:
        return Problem(
            "duplicate.file",
            f"says{perhaps} the same as line {line} of the file: {rule.reason}",
            f"sagt{vielleicht} dasselbe wie Zeile {line} der Datei: {rule.grund}",
        )
    return Problem(
        f"duplicate.{rule.name}",
        f"is{perhaps} there already: {rule.reason}",
        f"ist{vielleicht} schon vorhanden: {rule.grund}",
    )
