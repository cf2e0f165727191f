"""docs/business.md says what the code does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta

from kompass.domain import checks
from kompass.domain.approvals import SIGNATURES
from kompass.domain.corrections import MONEY
from kompass.domain.freezing import FREEZES, Freeze
from kompass.domain.guards import GUARDS, Guard
from kompass.domain.machines import MACHINES
from kompass.domain.machines.graph import Edge, Need
from kompass.domain.machines.transitions import takers
from kompass.domain.references import REFERENCES, Reference
from kompass.domain.settings import BusinessSettings
from kompass.domain.storno import COPIED
from tests.needs import ROOT

TEXT = (ROOT / "docs" / "business.md").read_text()


def rows(*heading: str) -> list[list[str]]:
    """The cells of the table whose head is this."""
    lines = iter(TEXT.splitlines())
    for line in lines:
        if cells(line) == list(heading):
            next(lines)
            found = []
            for row in lines:
                if not row.startswith("|"):
                    break
                found.append(cells(row))
            return found
    raise AssertionError(f"docs/business.md has no table {heading}")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


# -- what the tables say, from the code ----------------------------------------------------------


def need(one: Need) -> str:
    text = one.field
    if one.positive:
        text += " > 0"
    elif one.length > 1:
        text += f" ({one.length} characters)"
    if one.attachment is not None:
        text += f" or an attached {one.attachment or 'file'}"
    return text + (f" {one.when.english}" if one.when is not None else "")


def asks(edge: Edge) -> str:
    parts = [need(one) for one in edge.needs]
    parts += ["limits"] if edge.approval is not None else []
    parts += ["not one's own"] if edge.others else []
    return "; ".join(parts)


def machine_rows() -> Iterator[list[str]]:
    for doctype, machine in MACHINES.items():
        for edge in machine.edges:
            who = ", ".join(takers(edge)) or "the server"
            yield [doctype, edge.start, edge.to, who, asks(edge), "yes" if edge.passing else ""]


def life_rows() -> Iterator[list[str]]:
    for doctype, machine in MACHINES.items():
        deletable = ", ".join(state for state in machine.states if state in machine.deletable)
        ends = ", ".join(state for state in machine.states if state in machine.terminal())
        yield [doctype, ", ".join(machine.initial), ends or "none", deletable or "never"]


def since(freeze: Freeze) -> str:
    parts = [", ".join(sorted(freeze.states))] if freeze.states else []
    for use in freeze.uses:
        but = f" that isn't {', '.join(sorted(use.except_in))}" if use.except_in else ""
        parts.append(f"named by {use.type}.{use.field}{but}")
    parts += [f"has {freeze.link}"] if freeze.link else []
    return "; ".join(parts)


def freeze_rows() -> Iterator[list[str]]:
    for doctype, found in FREEZES.items():
        for freeze in found:
            locked = "all" if freeze.locked is None else ", ".join(sorted(freeze.locked))
            yield [
                doctype,
                since(freeze),
                locked,
                ", ".join(sorted(freeze.allowed)),
                ", ".join(sorted(freeze.once)),
                freeze.attached.value,
                "GoBD" if freeze.gobd else "approved",
            ]


def reference(one: Reference) -> str:
    text = f"{one.field} → {one.to}"
    same = [own if own == there else f"{own} = {there}" for own, there in one.same]
    text += f" of the same {', '.join(same)}" if same else ""
    text += f" that is {' or '.join(sorted(one.states))}" if one.states else ""
    return text + (" (may come later)" if one.later else "")


def reference_rows() -> Iterator[list[str]]:
    for doctype, found in REFERENCES.items():
        yield [doctype, "; ".join(map(reference, found))]


def guard(one: Guard) -> str:
    return f"{one.type}.{one.field}" + (f" ({', '.join(sorted(one.states))})" if one.states else "")


def guard_rows() -> Iterator[list[str]]:
    for doctype, found in GUARDS.items():
        yield [doctype, ", ".join(map(guard, found))]


def signature_rows() -> Iterator[list[str]]:
    for (doctype, field), one in SIGNATURES.items():
        yield [f"{doctype}.{field}", ", ".join(sorted(one.roles)), ", ".join(one.covers)]


def money_rows() -> Iterator[list[str]]:
    for doctype, found in MONEY.items():
        yield [doctype, ", ".join(sorted(found))]


def storno_rows() -> Iterator[list[str]]:
    for doctype, found in COPIED.items():
        yield [doctype, ", ".join(found)]


def default(value: object) -> str:
    return f"{value.total_seconds() / 3600:.0f} h" if isinstance(value, timedelta) else str(value)


def setting_rows() -> Iterator[tuple[str, str]]:
    settings = BusinessSettings()
    for field in fields(settings):
        yield field.name, default(getattr(settings, field.name))


TABLES = {
    ("type", "from", "to", "who", "asks for", "passed over"): machine_rows,
    ("type", "begins as", "ends as", "is deleted as"): life_rows,
    ("type", "final since", "locked", "free", "once", "files", "because of"): freeze_rows,
    ("type", "names"): reference_rows,
    ("type", "is kept by"): guard_rows,
    ("signature", "by", "covers"): signature_rows,
    ("type", "amounts"): money_rows,
    ("type", "a Storno repeats"): storno_rows,
}


def test_tables() -> None:
    for heading, made in TABLES.items():
        assert rows(*heading) == list(made()), heading


def test_settings() -> None:
    documented = {name: value for name, value, _ in rows("setting", "default", "meaning")}
    in_code = dict(setting_rows())
    assert documented.items() <= in_code.items()
    assert all(meaning for _, _, meaning in rows("setting", "default", "meaning"))
    assert {"offer_value_above", "cost_planner_below", "clock_skew", "retention_years"} <= documented.keys()


def test_every_rule_is_documented() -> None:
    names = set()
    for module in ("freezing", "corrections", "storno", "retention", "times", "references", "guards"):
        names |= _rules(f"{module}.py")
    for module in ("crossing", "uniqueness", "approvals", "machines/transitions"):
        names |= _rules(f"{module}.py")
    assert len(names) > 40
    assert [name for name in sorted(names) if f"`{name}`" not in TEXT] == []


def _rules(file: str) -> set[str]:
    source = (ROOT / "kompass" / "domain" / file).read_text()
    pattern = (
        r'"((?:status|approval|frozen|correction|storno|retention|time|reference|deletion|unique|duplicate'
        r'|contract|contact|meeting|tour|project)\.[a-z_]+)"'
    )
    return {name for name in re.findall(pattern, source) if not name.endswith(".py")}


def test_the_order_of_the_stages_is_documented() -> None:
    order = [stage.__module__.rpartition(".")[2] for stage in checks.STAGES]
    found = re.search(r"In this order: (.*?)\.\n", TEXT, re.DOTALL)
    assert found is not None
    assert re.findall(r"`(\w+)`", found[1]) == order
