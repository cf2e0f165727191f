"""A conflict as people are shown it: what each of them may read of it, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kompass.access import Action, Principal, Role, decide
from kompass.domain.field_names import FIELDS
from kompass.domain.labels import label, name_of
from kompass.domain.merge_results import FieldConflict
from kompass.domain.paths import ABSENT, value_at
from kompass.domain.registry import LABELS
from kompass.domain.stamps import moment, timestamp
from kompass.domain.versions import ATTACHMENT
from kompass.sync.conflicts.record import MANAGEMENT, Conflict, State
from kompass.sync.gate.ports import Index
from kompass.sync.gate.stored import bare, members_today
from kompass.sync.notices import encoded
from replication.protocol.revisions import format_rev, parse_rev
from replication.store.sqlite import Reading
from replication.store.values import Document

OWNERS = ("owner", "assignedTo", "ownerId", "userId", "projectManagerId")
"""Fields that name whose a document is."""

ATTACHED = "_attachments/"
"""Before an attachment's name, as a path."""


class Rights:
    """Who may read what, in one state of the database."""

    def __init__(self, reading: Reading, index: Index) -> None:
        self._reading = reading
        self._index = index

    def principal(self, reader: str) -> Principal | None:
        """None for somebody without a record in force."""
        if reader == MANAGEMENT:
            return Principal(MANAGEMENT, frozenset({Role.GF}))
        roles = self._index.roles(self._reading, reader)
        return None if roles is None else Principal(reader, roles)

    def sees(self, reader: str, docid: str) -> Document | None:
        """The winner, if it lives and he may read it."""
        winner = self._reading.winner(docid)
        if winner is None or winner.deleted:
            return None
        if reader == MANAGEMENT:
            return winner if self.reads(reader, bare(winner)) else None
        return winner if self._index.sees(self._reading, reader, [docid]) else None

    def holds(self, reader: str, docid: str) -> bool:
        """Whether he may know of a document, if only that it was deleted. Management may of all."""
        return reader == MANAGEMENT or docid in self._index.sees(self._reading, reader, [docid])

    def is_gone(self, docid: str) -> bool:
        """Whether the document is deleted."""
        winner = self._reading.winner(docid)
        return winner is not None and winner.deleted

    def reads(self, reader: str, body: Mapping[str, Any]) -> bool:
        """Whether the rules give him such a document."""
        principal = self.principal(reader)
        if principal is None:
            return False
        return decide(
            principal,
            Action.READ,
            body,
            relations=self._index.relations(self._reading, reader),
            parents=self._index.parents(self._reading),
            matrix=self._index.matrix(self._reading),
        ).allowed

    def reads_revision(self, reader: str, docid: str, rev: str | None) -> bool:
        """Whether a revision's text is stored and the rules give it to him."""
        found = None if rev is None else self._reading.revision(docid, parse_rev(rev))
        return found is not None and not found.deleted and self.reads(reader, bare(found))


def concerned(rights: Rights, conflict: Conflict, winner: Mapping[str, Any]) -> list[str]:
    """Whom it is told: its author, whose document it is, and management from a certain amount on."""
    found = {conflict.author: None}
    for name in OWNERS:
        person = winner.get(name)
        if isinstance(person, str) and person not in found and may_be_told(rights, conflict, person):
            found[person] = None
    if managed(rights, conflict):
        found[MANAGEMENT] = None
    return list(found)


def managed(rights: Rights, conflict: Conflict) -> bool:
    """Whether management decides, or has: so much is involved, and it may read both versions.

    A matrix may take a type from it. It can't decide then about what it doesn't see, and those who are told
    decide as about any other.
    """
    if conflict.state is not State.OPEN:
        return conflict.escalated
    return conflict.escalated and may_be_told(rights, conflict, MANAGEMENT)


def may_be_told(rights: Rights, conflict: Conflict, reader: str) -> bool:
    """Whether somebody else may read both versions."""
    if reader == MANAGEMENT or rights.principal(reader) is not None:
        mine = {} if conflict.text is None else {**conflict.text, "_id": conflict.docid}
        return there(rights, conflict, reader) and (not mine or rights.reads(reader, mine))
    return False


def there(rights: Rights, conflict: Conflict, reader: str) -> bool:
    """Whether he sees the document; of one that was deleted before the branch came, whether he held it."""
    if rights.sees(reader, conflict.docid) is not None:
        return True
    return conflict.was_gone and rights.is_gone(conflict.docid) and rights.holds(reader, conflict.docid)


def contract(
    rights: Rights, conflict: Conflict, reader: str, *, fresh: bool = False
) -> dict[str, Any] | None:
    """What a reader is shown; None if that is nothing.

    Whoever may not read the document any more is shown his own text alone. `fresh`: the server's values are
    those of now.
    """
    winner = rights.sees(reader, conflict.docid)
    whole = there(rights, conflict, reader) and (
        reader == conflict.author or may_be_told(rights, conflict, reader)
    )
    if not whole and reader != conflict.author:
        return None
    with_base = whole and rights.reads_revision(reader, conflict.docid, conflict.base)
    now = members_today(winner) if fresh and winner is not None and whole else None
    return {
        "id": conflict.id,
        "entityType": conflict.doctype,
        "entityId": conflict.docid,
        "entityName": _name(conflict, winner if whole else None),
        "baseVersion": conflict.base,
        "localVersion": conflict.branch,
        "serverVersion": _server_version(conflict, winner, fresh=now is not None),
        "localTimestamp": timestamp(conflict.mine_at),
        "serverTimestamp": timestamp(conflict.theirs_at) if whole else None,
        "localUser": conflict.author,
        "serverUser": conflict.other if whole else None,
        "escalated": managed(rights, conflict),
        "restricted": not whole,
        "deleted": conflict.deleted,
        "serverDeleted": conflict.was_gone and (winner is None or not fresh),
        "createdAt": timestamp(conflict.opened),
        "fields": [_field(one, whole, with_base, now) for one in conflict.fields],
    }


def _server_version(conflict: Conflict, winner: Document | None, *, fresh: bool) -> str:
    if fresh and winner is not None:
        return winner.rev
    return format_rev(conflict.stayed) if conflict.was_gone else conflict.server


def notice(rights: Rights, conflict: Conflict, reader: str) -> tuple[bytes, bool] | None:
    """The document on a reader's feed, and whether it shows what others wrote; None if he gets none."""
    shown = contract(rights, conflict, reader)
    if shown is None:
        return None
    about = {"docId": conflict.docid, "docType": conflict.doctype}  # as in a `rejected_change`
    body: dict[str, Any] = {"type": "conflict", **about, **shown, "localDocument": conflict.text}
    if reader == MANAGEMENT:
        body["status"] = "escalated"
    else:
        body |= {"user": reader, "status": "open"}
    return encoded(body, ("localDocument",), lists=("fields",)), not shown["restricted"]


def public_path(one: FieldConflict) -> str:
    return one.path.replace(ATTACHMENT, ATTACHED, 1) if one.name.startswith(ATTACHMENT) else one.path


def _field(one: FieldConflict, whole: bool, with_base: bool, now: Mapping[str, Any] | None) -> dict[str, Any]:
    theirs = one.theirs if now is None or not one.steps else value_at(now, one.steps)
    path = public_path(one)
    return {
        "path": path,
        "label": f"Anhang {path.removeprefix(ATTACHED)}" if path.startswith(ATTACHED) else label(one.steps),
        "base": _plain(one.base) if with_base else None,
        "local": _plain(one.mine),
        "server": _plain(theirs) if whole else None,
        "type": one.kind,
        "recommendation": one.recommendation if whole else None,
        "confidence": one.confidence if whole else None,
    }


def _plain(value: Any) -> Any:
    return None if value is ABSENT else value


def _name(conflict: Conflict, winner: Document | None) -> str:
    if winner is not None:
        return name_of(bare(winner))
    if conflict.text is not None:
        return name_of(conflict.text)
    return LABELS.get(conflict.doctype, FIELDS[""])


def history(conflict: Conflict) -> dict[str, Any]:
    """What became of it, without any values."""
    resolution = conflict.resolution
    if resolution is None:
        return {"state": conflict.state.value}
    return {
        "state": conflict.state.value,
        "resolvedBy": resolution["by"],
        "resolvedAt": timestamp(moment(resolution["at"])),
        "strategy": resolution["strategy"],
        "choices": resolution["choices"],
        "rev": resolution["rev"],
    }
