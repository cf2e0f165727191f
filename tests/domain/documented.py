"""The tables of docs/domain.md, made from the models: `python -m tests.domain.documented` writes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kompass.access.fields import EVERYWHERE, NOBODY, WRITERS
from kompass.domain.bounds import BOUNDS, Bound
from kompass.domain.registry import LABELS, MODELS
from kompass.domain.values import FILLED_LINE, FORMATS, LINE, TEXT
from tests.needs import ROOT

PAGE = ROOT / "docs" / "domain.md"
BEGIN, END = "<!-- types -->\n", "<!-- /types -->"

Schema = dict[str, Any]


def page() -> str:
    """The page with the tables as they are now."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + "\n".join(tables()) + "\n" + END + after


def tables() -> Iterator[str]:
    schemas = {doctype: model.model_json_schema() for doctype, model in MODELS.items()}
    common = set(schemas["comment"]["properties"]) & set(schemas["customer"]["properties"]) - {"type"}
    yield "### Fields of every document that people write\n"
    yield from _table("comment", schemas["comment"], only=common)
    parts: dict[str, Schema] = {}
    for doctype, told in schemas.items():
        parts |= told.get("$defs", {})
        yield f"\n### {doctype}: {LABELS[doctype]}\n"
        yield from _table(doctype, told, without=common)
    yield "\n### Parts\n"
    for name in sorted(parts):
        yield f"\n#### {name}\n"
        yield from _table(name, parts[name])


def _table(
    name: str, told: Schema, only: set[str] | None = None, without: set[str] | None = None
) -> Iterator[str]:
    served = {field for field, roles in WRITERS.get(name, {}).items() if roles is NOBODY} | set(EVERYWHERE)
    days = {bound.field: bound for bound in BOUNDS.get(name, ())}
    yield "| field | needed | what is allowed |"
    yield "|---|---|---|"
    for field, value in told["properties"].items():
        if field == "type" or (only is not None and field not in only) or (without and field in without):
            continue
        needed = "yes" if field in told.get("required", ()) else "server" if field in served else ""
        allowed = _allowed(value)
        bound = days.get(field)
        if bound is not None:
            allowed += f", {_around(bound)}"
        yield f"| {field} | {needed} | {allowed} |"


def _around(bound: Bound) -> str:
    parts = []
    if bound.back is not None:
        parts.append("not before today" if not bound.back else f"at most {bound.back} days ago")
    if bound.ahead is not None:
        parts.append("not after today" if not bound.ahead else f"at most {bound.ahead} days ahead")
    return ", ".join(parts) + (" (new)" if bound.at_creation else "")


def _allowed(told: Schema) -> str:
    if "anyOf" in told:
        found = [_allowed(one) for one in told["anyOf"] if one != {"type": "null"}]
        return " or ".join(found)
    if "$ref" in told:
        return _link(told["$ref"].rpartition("/")[2])
    if "x-refers-to" in told:
        return "→ " + (" or ".join(told["x-refers-to"]) or "any document")
    if "enum" in told:
        return " \\| ".join(f"`{each}`" for each in told["enum"])
    if "const" in told:
        return f"`{told['const']}`"
    kind = told.get("type")
    if kind == "array":
        low, high = told.get("minItems", 0), told.get("maxItems")
        span = f"{low} to {high}" if low else f"up to {high}" if high else "any number"
        return f"{span}: {_allowed(told.get('items', {}))}"
    if kind == "string":
        return _text(told)
    if kind in ("number", "integer"):
        return _number(told)
    return {"boolean": "true or false", "object": "an object"}.get(str(kind), "anything")


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _text(told: Schema) -> str:
    if "format" in told:
        return {"date": "a day", "date-time": "a time in UTC"}[told["format"]]
    low, high = told.get("minLength", 0), told.get("maxLength")
    span = f"{low} to {high}" if low else f"up to {high}"
    pattern = told.get("pattern")
    if pattern in (LINE, FILLED_LINE):
        return f"line, {span}"
    if pattern == TEXT:
        return f"text, {span}"
    if pattern is None:
        return f"text, {span}" if high else "text"
    if pattern not in FORMATS:
        return "a time of day such as 08:15"
    words = FORMATS[pattern].reason.removeprefix("must be ").removeprefix("made of ").replace("|", "\\|")
    return f"{words}; {span} characters" if high else words


def _number(told: Schema) -> str:
    low, high = told.get("minimum"), told.get("maximum")
    above = told.get("exclusiveMinimum")
    kind = "whole number" if told["type"] == "integer" else "number"
    if "x-decimals" in told:
        kind += f" with up to {told['x-decimals']} decimals"
    if above is not None:
        return f"{kind}, above {above:,.10g} up to {high:,.10g}"
    if low is None and high is None:
        return kind
    return f"{kind}, {low:,.10g} and more" if high is None else f"{kind}, {low:,.10g} to {high:,.10g}"


if __name__ == "__main__":
    PAGE.write_text(page())
