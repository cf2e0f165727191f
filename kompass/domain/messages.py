"""What is wrong with the shape of a document, as a refusal in two languages.

The first few errors are named with their path and with what is allowed. A value is quoted so far as it
helps, never more than 80 characters, and what can't be seen in it (control characters, marks of writing
direction) is written as its number.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from kompass.access.fields import BELONGS
from kompass.domain.refusals import Fault, Refusal
from kompass.domain.registry import LABELS, MODELS
from kompass.domain.values import FORMATS, Words

NAMED = 5
"""Errors that are named; of the others only the number."""

PLACES = 100
"""Errors that are told place by place."""

QUOTED = 80
"""Characters of a value that are shown at most."""

_PATH = 120
_MANY = 2000
"""Errors beyond which nobody looks at each."""

_Error = Mapping[str, Any]


def refusal(doctype: str, error: ValidationError) -> Refusal:
    """Why a document of that type has the wrong shape."""
    count = error.error_count()
    if count > _MANY:
        return Refusal(
            "model.many",
            f"{doctype}: {count} errors; this is no {doctype}.",
            f"{LABELS[doctype]}: {count} Fehler; das ist kein solches Dokument.",
        )
    found = [_told(doctype, one) for one in error.errors(include_url=False)[:PLACES]]
    named = found[:NAMED]
    english = [f"{path} {words.reason}".strip() for _, path, words in named]
    german = [f"{path} {words.grund}".strip() for _, path, words in named]
    if count > NAMED:
        english.append(f"and {count - NAMED} more")
        german.append(f"und {count - NAMED} weitere")
    return Refusal(
        f"model.{found[0][0]}",
        f"{doctype}: {'; '.join(english)}.",
        f"{LABELS[doctype]}: {'; '.join(german)}.",
        tuple(dict.fromkeys(path for _, path, _ in named)),
        tuple(Fault(path, words.reason, words.grund) for _, path, words in found),
    )


def faults(doctype: str, error: ValidationError) -> list[tuple[str, Words]]:
    """Path and words of each error, of the first many."""
    return [_told(doctype, one)[1:] for one in error.errors(include_url=False)[:_MANY]]


def _told(doctype: str, error: _Error) -> tuple[str, str, Words]:
    """Kind, path and words of one error."""
    kind = error["type"]
    loc: tuple[str | int, ...] = error["loc"]
    context: Mapping[str, Any] = error.get("ctx", {})
    if "grund" in context:
        fields: Sequence[str] = context["fields"]
        words = Words(context["reason"], context["grund"])
        if not fields:
            words = _not(words, error["input"])
        return kind, path((*loc, *fields[:1])), words
    if kind == "extra_forbidden":
        return "unknown", path(loc), _unknown(doctype, loc)
    known = _WORDS.get(kind)
    if known is None:
        text = str(error["msg"])
        return "invalid", path(loc), Words(f"is wrong: {text}", f"ist ungültig: {text}")
    name, words_of = known
    return name, path(loc), words_of(context, error["input"])


def wrong_total(doctype: str, field: str, said: Decimal, expected: Decimal, of: str) -> Refusal:
    """Why an amount isn't what it is made of."""
    return Refusal(
        "model.total",
        f"{doctype}: {field} must be {of} = {expected:.2f}, give or take 0.01, not {said}.",
        f"{LABELS[doctype]}: {field} muss {of} = {expected:.2f} sein, auf 0,01 genau, nicht {said}.",
        (field,),
    )


def path(loc: Iterable[str | int]) -> str:
    """`lineItems[3].quantity`; names that were pushed are cut and made visible."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{visible(part, 60)}" if text else visible(part, 60)
    return text if len(text) <= _PATH else text[: _PATH - 1] + "…"


# -- values ----------------------------------------------------------------------------------------


def visible(text: str, most: int = QUOTED) -> str:
    """A text of at most so many characters, in which nothing hides."""
    shown = "".join(
        f"<{ord(each):04X}>" if unicodedata.category(each) in _HIDDEN else each for each in text[:most]
    )
    return shown if len(shown) <= most and len(text) <= most else shown[: most - 1] + "…"


_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def quoted(value: object) -> Words:
    """A value for a sentence, in both languages."""
    if isinstance(value, str):
        text = f'"{visible(value, QUOTED - 2)}"'
        return Words(text, text)
    if value is None:
        return Words("null", "null")
    if isinstance(value, bool):
        text = "true" if value else "false"
        return Words(text, text)
    if isinstance(value, int):
        text = str(value) if value.bit_length() <= 128 else ""
        return Words(text, text) if text else Words("a huge number", "eine riesige Zahl")
    if isinstance(value, float):
        return Words(repr(value), repr(value))
    if isinstance(value, list | tuple):
        return Words("a list", "eine Liste")
    if isinstance(value, Mapping):
        return Words("an object", "ein Objekt")
    return Words("something else", "etwas anderes")


def _not(words: Words, value: object) -> Words:
    said = quoted(value)
    return Words(f"{words.reason}, not {said.reason}", f"{words.grund}, nicht {said.grund}")


# -- names -----------------------------------------------------------------------------------------


def _unknown(doctype: str, loc: tuple[str | int, ...]) -> Words:
    name = str(loc[-1])
    elsewhere = BELONGS.get(doctype, {}).get(name) if len(loc) == 1 else None
    if elsewhere is not None:
        return Words(f"belongs to {elsewhere}", f"gehört in {elsewhere} ({LABELS[elsewhere]})")
    near = get_close_matches(name[:60], _names_at(doctype, loc[:-1]), 1, 0.6)
    if near:
        return Words(f"is unknown; did you mean {near[0]}?", f"ist unbekannt; gemeint ist wohl {near[0]}")
    return Words("is unknown", "ist unbekannt")


def _names_at(doctype: str, loc: tuple[str | int, ...]) -> tuple[str, ...]:
    """The names that are known in that place."""
    model: type[BaseModel] | None = MODELS[doctype]
    for part in loc:
        if isinstance(part, int) or model is None:
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        field = fields.get(part)
        model = next(_models_in(field.annotation), None) if field is not None else None
    return _names_of(model) if model is not None else ()


@cache
def _names_of(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


# -- what pydantic says ----------------------------------------------------------------------------

_Said = Callable[[Mapping[str, Any], object], Words]


def _fixed(reason: str, grund: str) -> _Said:
    return lambda context, value: _not(Words(reason, grund), value)


def _pattern(context: Mapping[str, Any], value: object) -> Words:
    return _not(FORMATS.get(context["pattern"], Words("is malformed", "ist falsch geschrieben")), value)


def _choice(context: Mapping[str, Any], value: object) -> Words:
    allowed = context["expected"].replace("'", "")
    return _not(Words(f"must be {allowed}", f"muss {allowed.replace(' or ', ' oder ')} sein"), value)


def _length(word: str, wort: str, unit: str, einheit: str, key: str) -> _Said:
    def words(context: Mapping[str, Any], value: object) -> Words:
        limit = context[key]
        actual = context.get("actual_length")
        if actual is None:
            actual = len(value) if isinstance(value, str | list | dict) else "?"
        return Words(
            f"must have {word} {limit} {unit}, not {actual}",
            f"muss {wort} {limit} {einheit} haben, nicht {actual}",
        )

    return words


def _bound(word: str, wort: str, key: str) -> _Said:
    return lambda context, value: _not(
        Words(f"must be {word} {context[key]}", f"muss {wort} {context[key]} sein"), value
    )


_WORDS: Mapping[str, tuple[str, _Said]] = {
    "missing": ("missing", lambda context, value: Words("is missing", "fehlt")),
    "string_type": ("type", _fixed("must be a text", "muss ein Text sein")),
    "string_unicode": ("format", _fixed("must be Unicode text", "muss ein Text in Unicode sein")),
    "int_type": ("type", _fixed("must be a whole number", "muss eine ganze Zahl sein")),
    "float_type": ("type", _fixed("must be a number", "muss eine Zahl sein")),
    "bool_type": ("type", _fixed("must be true or false", "muss true oder false sein")),
    "list_type": ("type", _fixed("must be a list", "muss eine Liste sein")),
    "dict_type": ("type", _fixed("must be an object", "muss ein Objekt sein")),
    "model_type": ("type", _fixed("must be an object", "muss ein Objekt sein")),
    "model_attributes_type": ("type", _fixed("must be an object", "muss ein Objekt sein")),
    "literal_error": ("choice", _choice),
    "string_pattern_mismatch": ("format", _pattern),
    "string_too_short": ("length", _length("at least", "mindestens", "characters", "Zeichen", "min_length")),
    "string_too_long": ("length", _length("at most", "höchstens", "characters", "Zeichen", "max_length")),
    "too_short": ("length", _length("at least", "mindestens", "entries", "Einträge", "min_length")),
    "too_long": ("length", _length("at most", "höchstens", "entries", "Einträge", "max_length")),
    "greater_than_equal": ("range", _bound("at least", "mindestens", "ge")),
    "less_than_equal": ("range", _bound("at most", "höchstens", "le")),
    "greater_than": ("range", _bound("above", "größer als", "gt")),
    "less_than": ("range", _bound("below", "kleiner als", "lt")),
    "int_parsing_size": (
        "range",
        _fixed("must be a number of usual size", "muss eine Zahl üblicher Größe sein"),
    ),
}
"""Kind of pydantic's -> ours, and how to say it."""
