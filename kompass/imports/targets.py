"""What can be imported, and which fields columns can be mapped to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kompass.access.fields import BELONGS, DEFAULTS
from kompass.domain import kinds
from kompass.domain.keys import plain
from kompass.domain.labels import label
from kompass.domain.registry import LABELS, MODELS
from kompass.imports.synonyms import SYNONYMS, WORDS


class Kind(StrEnum):
    """What a field holds, and with it how its cells are understood."""

    LINE = "line"
    TEXT = "text"
    """Several lines."""
    PHONE = "phone"
    VAT = "vat"
    ZIP = "zip"
    WEBSITE = "website"
    EMAIL = "email"
    CODE = "code"
    NUMBER = "number"
    INTEGER = "integer"
    PERCENT = "percent"
    BOOLEAN = "boolean"
    DAY = "day"
    WORD = "word"
    WORDS = "words"
    TEXTS = "texts"
    PERSON = "person"
    CUSTOMER = "customer"
    CONTACT = "contact"
    SUPPLIER = "supplier"
    KEY = "key"
    """The server's own number: it finds a document, and is never written."""


_BY_NAME: Mapping[str, Kind] = {
    "phone": Kind.PHONE,
    "mobile": Kind.PHONE,
    "vatNumber": Kind.VAT,
    "zipCode": Kind.ZIP,
    "website": Kind.WEBSITE,
    "email": Kind.EMAIL,
    "materialCode": Kind.CODE,
    "supplierArticleNumber": Kind.CODE,
    "probability": Kind.PERCENT,
    "discountPercentage": Kind.PERCENT,
    "owner": Kind.PERSON,
    "accountManagerId": Kind.PERSON,
    "customerId": Kind.CUSTOMER,
    "contactPersonId": Kind.CONTACT,
    "supplierId": Kind.SUPPLIER,
    "customerNumber": Kind.KEY,
}
_TEXTS = frozenset({"notes", "description", "serviceDescription", "nextStep", "lostReason"})
REFERENCES = frozenset({Kind.PERSON, Kind.CUSTOMER, Kind.CONTACT, Kind.SUPPLIER})
"""What names another document, or a person."""

IN_LISTS = frozenset({"supplierPrices"})
"""Members that are lists of parts, of which an import makes the first."""


@dataclass(frozen=True, slots=True)
class Field:
    """One that a column can be mapped to."""

    path: str
    """`billingAddress.city`, as mappings name it."""
    kind: Kind
    document: str
    """The type of the document that it stands in: the target's, or a companion's."""
    label: str
    """In German."""
    names: tuple[str, ...]
    """What columns of it are called."""
    required: bool
    words: Mapping[str, str]
    """What may be said -> the value that it means, of fields with few values."""
    allowed: tuple[str, ...]
    """What people are told that they may say there: German, where there is a word."""
    decimals: int | None = None

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Target:
    """A type of documents that can be imported."""

    type: str
    label: str
    fields: Mapping[str, Field]
    defaults: Mapping[str, Any]
    """What a new document says where no column does."""

    @property
    def companions(self) -> tuple[str, ...]:
        """Types of documents that are made beside it, if the file has something for them."""
        return tuple(dict.fromkeys(one.document for one in self.fields.values() if one.document != self.type))


_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "customer": {"billingAddress.country": "Deutschland"},
    "contact": {**DEFAULTS, "canApproveOrders": False},
    "supplier": {"billingAddress.country": "Deutschland", "status": "PendingApproval"},
    "material": {"status": "Active"},
    "opportunity": {"status": "new"},
}


@cache
def _targets() -> Mapping[str, Target]:
    return MappingProxyType({doctype: _target(doctype) for doctype in SYNONYMS})


def targets() -> Mapping[str, Target]:
    """By type."""
    return _targets()


def _target(doctype: str) -> Target:
    fields = {path: _field(doctype, path, names) for path, names in SYNONYMS[doctype].items()}
    return Target(doctype, LABELS[doctype], MappingProxyType(fields), _DEFAULTS[doctype])


def _field(doctype: str, path: str, names: tuple[str, ...]) -> Field:
    document = BELONGS.get(doctype, {}).get(path, doctype)
    info, needed = _info(MODELS[document], path)
    name = path.rpartition(".")[2]
    bare = kinds.plain(info.annotation)
    kind = _BY_NAME.get(name) or _kind(name, bare)
    required = needed and path not in _DEFAULTS[doctype]
    decimals = next(
        (one.decimals for one in kinds.markers(info) if hasattr(one, "decimals") and hasattr(one, "low")),
        None,
    )
    few = kind in (Kind.WORD, Kind.WORDS)
    return Field(
        path=path,
        kind=kind,
        document=document,
        label=label(tuple(path.split("."))),
        names=names,
        required=required,
        words=MappingProxyType(dict(_words(doctype, name, bare))) if few else {},
        allowed=tuple(german[0] for _, german in _values(doctype, name, bare)) if few else (),
        decimals=decimals,
    )


def _info(model: type[BaseModel], path: str) -> tuple[FieldInfo, bool]:
    """A field of the model, and whether every document has it."""
    first, _, rest = path.partition(".")
    info = model.model_fields[first]
    if not rest:
        return info, info.is_required()
    inner = kinds.plain(info.annotation)
    if get_origin(inner) is list:
        inner = kinds.plain(get_args(inner)[0])
    found, needed = _info(inner, rest)
    return found, needed and info.is_required()


def _kind(name: str, bare: Any) -> Kind:
    if get_origin(bare) is Literal:
        return Kind.WORD
    match kinds.kind(bare):
        case kinds.Kind.TEXTS:
            return Kind.WORDS if get_origin(kinds.plain(get_args(bare)[0])) is Literal else Kind.TEXTS
        case kinds.Kind.NUMBER:
            return Kind.NUMBER
        case kinds.Kind.INTEGER:
            return Kind.INTEGER
        case kinds.Kind.BOOLEAN:
            return Kind.BOOLEAN
        case kinds.Kind.DAY:
            return Kind.DAY
        case _:
            return Kind.TEXT if name in _TEXTS else Kind.LINE


def _words(doctype: str, name: str, bare: Any) -> Iterator[tuple[str, str]]:
    for value, german in _values(doctype, name, bare):
        for word in (value, *german):
            yield word_key(word), value


def _values(doctype: str, name: str, bare: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each value with its German words, or itself."""
    known = WORDS.get(f"{doctype}.{name}") or WORDS.get(name, {})
    for value in get_args(bare if get_origin(bare) is Literal else kinds.plain(get_args(bare)[0])):
        yield value, known.get(value, (value,))


def word_key(word: str) -> str:
    """What words of few values are compared by. `m²` stays apart from `m`."""
    return plain(word.replace("²", "2").replace("³", "3")).replace(" ", "")


def name_key(name: str) -> str:
    """What headings are compared by: case, blanks and signs don't count, but `%`; umlauts are written out."""
    return plain(name.replace("%", " prozent ")).replace(" ", "")
