"""What rows name of stored documents and of people, and which documents say the same as they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from kompass.accounting.problems import Problem
from kompass.domain import keys, uniqueness
from kompass.domain.changes import Facts
from kompass.imports.drafts import Draft, Plan, references, with_problem
from kompass.imports.similar import ALIKE, CODE, EMAIL, FORM, NUMBER, VAT, Known, Members, Rule
from kompass.imports.targets import Kind
from kompass.resources import lists
from kompass.resources.catalogue import RESOURCES
from kompass.resources.gathering import STABLE
from kompass.sync.gate.gate import Gate
from kompass.sync.personal import PersonalDatabase

_PAGE = 1000
_MOST_NAMED = 10
_MOST_SIBLINGS = 1000
_PRELOADED = frozenset({"supplier", "material"})
"""Types that have too few keys in the database, and are few."""


@dataclass(frozen=True, slots=True)
class Found:
    """A stored document that says the same."""

    id: str
    rule: Rule


class Lookups:
    """For one run over a file."""

    def __init__(self, view: PersonalDatabase, gate: Callable[[], Gate], doctype: str) -> None:
        self._view = view
        self._gate = gate
        self._type = doctype
        self._people: dict[str, set[str]] = {}
        self._suppliers: dict[str, set[str]] = {}
        self._known: Known | None = None

    async def prepare(self, plan: Plan) -> None:
        """Reads what is asked for by every row."""
        kinds = {one.kind for one in plan.target.fields.values()}
        if Kind.PERSON in kinds:
            async for card in self._all("user-cards"):
                if card.get("active") is not False and isinstance(name := card.get("userName"), str):
                    for said in (name, card.get("displayName"), card.get("email")):
                        self._people.setdefault(keys.plain(said), set()).add(name)
        if Kind.SUPPLIER in kinds:
            async for supplier in self._all("suppliers"):
                name = keys.plain(supplier.get("companyName"))
                self._suppliers.setdefault(name, set()).add(supplier["_id"])
        if self._type in _PRELOADED:
            self._known = Known(self._type)
            async for document in self._all(f"{self._type}s"):
                self._known.add(document["_id"], document)

    async def _all(self, resource: str) -> Any:
        """The documents of a type that he sees."""
        question = lists.Question(RESOURCES[resource], STABLE, False, (), _PAGE)
        cursor = None
        while True:
            page = await lists.page(self._view, question, cursor)
            for document in page.items:
                yield orjson.loads(document.text)
            if page.following is None:
                return
            cursor = page.following

    # -- what rows name ------------------------------------------------------------------------

    async def resolve(self, plan: Plan, drafts: Sequence[Draft]) -> None:
        """Puts ids in place of what rows say of others; what isn't there, or is several, is a problem."""
        await self._customers(plan, drafts)
        await self._contacts(plan, drafts)
        for draft in drafts:
            for one, said in list(references(draft, plan.target)):
                if one.kind is Kind.PERSON:
                    self._put(plan, draft, one.path, self._people.get(keys.plain(said), set()), _PERSON)
                elif one.kind is Kind.SUPPLIER:
                    ids = self._suppliers.get(keys.plain(said), set())
                    self._put(plan, draft, one.path, ids | ({said} & self._ids_of_suppliers()), _SUPPLIER)

    def _ids_of_suppliers(self) -> set[str]:
        return set().union(*self._suppliers.values()) if len(self._suppliers) < _MOST_SIBLINGS else set()

    def _put(self, plan: Plan, draft: Draft, path: str, ids: Iterable[str], what: tuple[str, str]) -> None:
        found = sorted(ids)
        if len(found) == 1:
            draft.said[path] = found[0]
            return
        reason, grund = what
        if found:
            problem = Problem(
                "reference.several", f"means several {reason}s", f"ist nicht eindeutig: mehrere ({grund})"
            )
        else:
            problem = Problem(
                "reference.none",
                f"names no {reason} that there is, or that you may read",
                f"gibt es nicht oder dürfen Sie nicht sehen ({grund})",
            )
        with_problem(draft, plan, path, problem)

    async def _customers(self, plan: Plan, drafts: Sequence[Draft]) -> None:
        asked: dict[str, set[str]] = {}
        wanted = [
            (draft, one.path, said)
            for draft in drafts
            for one, said in references(draft, plan.target)
            if one.kind is Kind.CUSTOMER
        ]
        gate = self._gate()
        with gate.database.reading() as reading:
            facts = gate.facts(reading)
            for _, _, said in wanted:
                if said not in asked:
                    ids = facts.sharing(keys.NUMBER, keys.folded(said), _MOST_NAMED)
                    ids = ids or facts.sharing(keys.NAME, keys.plain(said), _MOST_NAMED)
                    asked[said] = {*ids, said} if said.startswith("customer-") else set(ids)
        seen = await self.visible({docid for ids in asked.values() for docid in ids}, "customer")
        for draft, path, said in wanted:
            self._put(plan, draft, path, asked[said] & seen.keys(), _CUSTOMER)

    async def _contacts(self, plan: Plan, drafts: Sequence[Draft]) -> None:
        """By email address or name, of the row's customer."""
        wanted = [
            (draft, one.path, said)
            for draft in drafts
            for one, said in references(draft, plan.target)
            if one.kind is Kind.CONTACT and not draft.problems
        ]
        if not wanted:
            return
        found: dict[tuple[str, str], set[str]] = {}
        gate = self._gate()
        with gate.database.reading() as reading:
            facts = gate.facts(reading)
            for draft, _, said in wanted:
                customer = str(draft.said.get("customerId"))
                ids = found.setdefault((customer, said), set())
                for contact in _some(facts.referring("contact", "customerId", customer)):
                    name = f"{contact.get('firstName')} {contact.get('lastName')}"
                    turned = f"{contact.get('lastName')} {contact.get('firstName')}"
                    plain = keys.plain(said)
                    if plain in (keys.plain(name), keys.plain(turned), keys.plain(contact.get("email"))):
                        ids.add(str(contact["_id"]))
        seen = await self.visible({docid for ids in found.values() for docid in ids}, "contact")
        for draft, path, said in wanted:
            ids = found[str(draft.said.get("customerId")), said]
            self._put(plan, draft, path, ids & seen.keys(), _CONTACT)

    async def visible(self, docids: Iterable[str], doctype: str) -> dict[str, dict[str, Any]]:
        """Those of that type that are there and that he reads, with what they say."""
        winners = await self._view.winners(sorted(docids))
        bodies = {docid: orjson.loads(one.text) for docid, one in winners.items() if not one.deleted}
        return {
            docid: body
            for docid, body in bodies.items()
            if body.get("type") == doctype and body.get("anonymized") is not True
        }

    # -- what says the same --------------------------------------------------------------------

    def duplicates(self, rows: Sequence[tuple[Draft, Members]]) -> Mapping[int, Found]:
        """Line -> a stored document that says the same, whoever may read it."""
        gate = self._gate()
        found: dict[int, Found] = {}
        siblings: dict[str, Known] = {}
        with gate.database.reading() as reading:
            facts = gate.facts(reading)
            for draft, members in rows:
                number = draft.said.get("customerNumber")
                one = self._stored(facts, members, number, siblings)
                if one is not None:
                    found[draft.line] = one
        return found

    def _stored(
        self, facts: Facts, members: Members, number: Any, siblings: dict[str, Known]
    ) -> Found | None:
        match self._type:
            case "customer":
                return _customer(facts, members, number)
            case "contact" | "opportunity":
                customer = str(members.get("customerId"))
                if customer not in siblings:
                    siblings[customer] = Known(self._type)
                    for other in _some(facts.referring(self._type, "customerId", customer)):
                        siblings[customer].add(str(other["_id"]), other)
                same = siblings[customer].find(members)
            case "material" if code := keys.compact(members.get("materialCode")):
                ids = facts.sharing(keys.MATERIAL_CODE, code, 1)
                return Found(ids[0], CODE) if ids else None
            case _:
                assert self._known is not None
                same = self._known.find(members) or self._known.find_but_for_form(members)
        return None if same is None else Found(*same)


def _customer(facts: Facts, members: Members, number: Any) -> Found | None:
    exact = (
        (NUMBER, keys.NUMBER, keys.folded(number) if isinstance(number, str) else ""),
        (VAT, keys.VAT, keys.compact(members.get("vatNumber"))),
        (EMAIL, keys.EMAIL, keys.email(members.get("email"))),
    )
    for rule, key, value in exact:
        ids = facts.sharing(key, value, 1) if value else ()
        if ids:
            return Found(ids[0], rule)
    alike = uniqueness.alike_to("", members, facts)
    if alike:
        return Found(alike[0], ALIKE)
    perhaps = uniqueness.alike_but_for_form(members, facts)
    return Found(perhaps, FORM) if perhaps is not None else None


def _some(bodies: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    for place, body in enumerate(bodies):
        if place >= _MOST_SIBLINGS:
            return
        yield body


_PERSON = ("person", "Person")
_CUSTOMER = ("customer", "Kunde")
_CONTACT = ("contact", "Ansprechpartner")
_SUPPLIER = ("supplier", "Lieferant")
