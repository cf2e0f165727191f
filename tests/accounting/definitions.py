"""Checks a document against its definition: expat reads both, the content models become patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, fromstring
from xml.parsers import expat

_QUANTIFIERS = {0: "", 1: "?", 2: "*", 3: "+"}
_MIXED, _NAME, _CHOICE, _SEQUENCE = 3, 4, 5, 6
"""Kinds of content models, as expat numbers them."""


def models(dtd: bytes) -> dict[str, tuple[Any, ...]]:
    """Element -> its content model."""
    found: dict[str, tuple[Any, ...]] = {}
    parser = expat.ParserCreate()
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_ALWAYS)

    def external(context: str, base: str | None, system: str | None, public: str | None) -> int:
        inner = parser.ExternalEntityParserCreate(context)
        inner.ElementDeclHandler = found.__setitem__
        inner.Parse(dtd, True)
        return 1

    parser.ExternalEntityRefHandler = external
    parser.Parse(b'<!DOCTYPE any SYSTEM "any.dtd"><any/>', True)
    return found


def _pattern(model: tuple[Any, ...]) -> str:
    kind, quantifier, name, children = model
    if kind == _NAME:
        inner = f"{name},"
    elif kind == _CHOICE:
        inner = "|".join(_pattern(child) for child in children)
    elif kind == _SEQUENCE:
        inner = "".join(_pattern(child) for child in children)
    else:
        inner = ""
    return f"(?:{inner}){_QUANTIFIERS[quantifier]}"


def errors(xml: bytes, dtd: bytes) -> list[str]:
    """Elements that aren't as the definition says; none for a valid document."""
    return list(_errors(fromstring(xml), models(dtd)))


def _errors(element: Element, known: dict[str, tuple[Any, ...]]) -> Iterator[str]:
    model = known.get(element.tag)
    children = "".join(f"{child.tag}," for child in element)
    if model is None:
        yield f"{element.tag} is not defined"
    elif not re.fullmatch(_pattern(model), children):
        yield f"{element.tag} has {children}"
    elif model[0] != _MIXED and (element.text or "").strip():
        yield f"{element.tag} has text"
    for child in element:
        yield from _errors(child, known)
