"""docs/access.md says what the code does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from kompass.access import Role, Rule
from kompass.access.audiences import AUDIENCES, Face
from kompass.access.companions import CARDS
from kompass.access.fields import BELONGS, EVERYWHERE, FIXED, WRITERS
from kompass.access.matrix import load
from kompass.access.table import LIMITS, SERVER_WRITTEN, TABLE, Limit, parse
from tests.needs import ROOT

TEXT = (ROOT / "docs" / "access.md").read_text()


def rows(*heading: str) -> Iterator[list[str]]:
    """The cells of the table whose head begins with these."""
    lines = iter(TEXT.splitlines())
    for line in lines:
        if [cell.strip() for cell in line.strip("|").split("|")][: len(heading)] == list(heading):
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    return
                yield [cell.strip() for cell in row[1:-1].split("|")]
    raise AssertionError(f"docs/access.md has no table {heading}")


def test_rights() -> None:
    documented = {doctype: dict(zip(Role, cells, strict=True)) for doctype, *cells in rows("type", *Role)}
    assert documented.keys() == TABLE.keys()
    for doctype, cells in documented.items():
        in_code = {role: parse(cell) for role, cell in TABLE[doctype].items()}
        assert {role: parse(cell) for role, cell in cells.items() if cell} == in_code, doctype


def test_audiences() -> None:
    def words(face: Face) -> str:
        if face.rule is Rule.ALL:
            return "all" + (f" while {face.status}" if face.status else "")
        text = f"{face.rule}: " + (f"{face.through} → {face.parent}." if face.through else "") + face.key
        text += f", else {face.otherwise}" if face.otherwise else ""
        text += f" while {face.status}" if face.status else ""
        return text + ("" if face.reads else " (writes only)")

    documented = dict(rows("type", "audiences"))
    assert documented == {
        doctype: "; ".join(map(words, faces)) or "nobody" for doctype, faces in AUDIENCES.items()
    }


def test_limits() -> None:
    def words(limit: Limit | None) -> str:
        if limit is None:
            return "none"
        parts = []
        if limit.statuses:
            parts.append(f"status {', '.join(sorted(limit.statuses))}")
        if limit.only:
            parts.append(f"only {', '.join(sorted(limit.only))}")
        if limit.within:
            parts.append(f"within {limit.within.total_seconds() / 3600:.0f} hours of receipt")
        if limit.signed_contract:
            parts.append("from a signed contract")
        return "; ".join(parts)

    documented = {
        (doctype, action, one): text
        for doctype, action, who, text in rows("type", "action", "who", "limit")
        for one in who.replace("everybody else", "everybody").split(", ")
    }
    in_code = {}
    for (doctype, action), limits in LIMITS.items():
        for who, limit in limits.items():
            name = f"{who[0]} ({who[1]})" if isinstance(who, tuple) else who or "everybody"
            in_code[doctype, action, name] = words(limit)
    assert documented == in_code


def test_fields() -> None:
    belongs = {f"{base}.{field}": to for base, fields in BELONGS.items() for field, to in fields.items()}
    assert dict(rows("field", "belongs in")) == belongs
    writers = {
        f"{doctype}.{field}": ", ".join(sorted(roles)) or "the server"
        for doctype, fields in WRITERS.items()
        for field, roles in fields.items()
    }
    writers |= {f"*.{field}": "the server" for field in EVERYWHERE}
    assert dict(rows("field", "written by")) == writers


def test_cards() -> None:
    documented = [(card, base, fields.split(", ")) for card, base, fields in rows("card", "of", "fields")]
    assert documented == [(card.type, base, list(card.fields)) for base, card in CARDS.items()]


def test_server_written_types_and_fixed_references() -> None:
    sentence = re.search(r"Written by the server alone, whatever a role has: (.*)\.", TEXT)
    assert sentence is not None
    assert set(re.findall(r"`(\w+)`", sentence[1])) == SERVER_WRITTEN
    assert all(f"`{field}`" in TEXT for field in FIXED)


def test_the_example_of_a_matrix_is_valid() -> None:
    example = re.search(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    assert load(json.loads(example[1])).version == "1.1.0"


def test_every_refusal_is_documented() -> None:
    source = (ROOT / "kompass" / "access" / "policy.py").read_text()
    names = set(re.findall(r'"((?:type|document|reference|escape|companion|field)\.[a-z_]+)"', source))
    assert len(names) > 10
    assert [name for name in sorted(names) if f"`{name}`" not in TEXT] == []
