"""Rows on their way to documents: what is remembered of each, and what a stored document says with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from kompass.accounting.problems import Problem
from kompass.domain.changes import Body
from kompass.imports.drafts import Draft
from kompass.imports.states import Import, Kind, Outcome
from replication.protocol.documents import DocumentWrite
from replication.store.values import Document

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:kompass:import")


def docid_of(one: Import, line: int) -> str:
    """The id of the document that a row becomes."""
    return f"{one.type.replace('_', '-')}-{uuid5(_NAMESPACE, f'{one.id} {line}')}"


@dataclass(slots=True)
class Row:
    """A row on its way."""

    draft: Draft
    members: dict[str, Any] = field(default_factory=dict)
    kind: Kind | None = None
    docs: list[dict[str, Any]] = field(default_factory=list)
    """What was written: `id`, `type`, `mark`, and of updates `before`."""
    duplicate: dict[str, Any] | None = None
    target: Document | None = None
    """What it updates."""
    docid: str = ""
    write: DocumentWrite | None = None

    def take(self, doc: dict[str, Any]) -> None:
        """A companion was written for it."""
        self.docs.append(doc)
        if self.kind is Kind.UNCHANGED:
            self.kind = Kind.UPDATED

    def outcome(self) -> Outcome:
        told: dict[str, Any] = {"docs": self.docs}
        if self.draft.problems:
            told["problems"] = [asdict(one) for one in self.draft.problems]
        if self.draft.notes:
            told["notes"] = [asdict(one) for one in self.draft.notes]
        if self.duplicate is not None:
            told["duplicate"] = self.duplicate
        assert self.kind is not None
        return Outcome(self.draft.line, self.kind, told)


@dataclass(frozen=True, slots=True)
class Part:
    """A document that belongs to that of a row."""

    row: Row
    write: DocumentWrite
    doc: dict[str, Any]


def is_missing(one: Problem) -> bool:
    return one.rule == "cell.value" and not one.value and one.reason == "is missing"


def written_doc(docid: str, doctype: str, body: Body) -> dict[str, Any]:
    """How a written document is recognised: whether anybody has changed it since."""
    return {"id": docid, "type": doctype, "mark": [body.get("version"), body.get("modifiedAt")]}


def noted_doc(planned: Outcome | None, docid: str) -> dict[str, Any] | None:
    """What a process that died has noted of a document before it wrote it."""
    docs = planned.told["docs"] if planned is not None else ()
    return next((doc for doc in docs if doc["id"] == docid), None)


def united(stored: Body, patch: Mapping[str, Any]) -> dict[str, Any]:
    """What a document says with the members of a row put onto it. A price goes to its supplier."""
    merged = {name: value for name, value in stored.items() if name[:1] != "_"}
    for name, value in patch.items():
        before = merged.get(name)
        if name == "supplierPrices" and isinstance(before, list):
            new = value[0]
            others = [one for one in before if one.get("supplierId") != new.get("supplierId")]
            same = [one for one in before if one.get("supplierId") == new.get("supplierId")]
            merged[name] = (
                before
                if same and {**same[0], **new} == same[0]
                else [*others, {**(same[0] if same else {}), **new}]
            )
        elif isinstance(value, dict) and isinstance(before, dict):
            merged[name] = {**before, **value}
        else:
            merged[name] = value
    return merged
