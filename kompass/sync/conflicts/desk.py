"""What people do with conflicts: look at them, settle them field by field, look back.

A decision is an ordinary edit of the document by the one who decides, judged as any other: nobody gets
anything written thereby that he could not write. In the transaction that stores it the conflict is closed,
and with it everything that anybody was told of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from kompass.access import Principal, Role
from kompass.domain import listing
from kompass.domain.merge_results import FieldConflict
from kompass.domain.paths import ABSENT, changed_at, value_at
from kompass.domain.stamps import timestamp
from kompass.domain.upcasting import alike
from kompass.domain.versions import ATTACHMENT, applied, canonical, differs, signed
from kompass.sync.admitting import admitted
from kompass.sync.conflicts import shown, store
from kompass.sync.conflicts.keeping import Keeping
from kompass.sync.conflicts.record import Conflict, State, notice_id
from kompass.sync.gate import attachments
from kompass.sync.gate.batch import Resolution
from kompass.sync.gate.gate import Gate
from kompass.sync.gate.stored import form_of, members_of, members_today
from replication.protocol import errors, jsontext
from replication.protocol.attachments import AttachmentWrite
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.sqlite import Reading, Writing
from replication.store.values import AttachmentInfo, Document

MINE, THEIRS, MERGE = "mine", "theirs", "merge"

_TRIES = 3
"""How often a decision is made anew because the document has changed meanwhile."""


class ConflictError(Exception):
    """What was asked can't be done with this conflict. The text is for a person."""


class ChoiceError(ConflictError):
    """A choice that isn't one of those there are."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value that somebody has put in place of both."""

    value: Any


Choice = str | Value


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody has decided."""

    strategy: str
    """`local`, `server`, `newest` or `manual`."""
    choices: Mapping[str, Choice]
    """Path -> what shall be there. With `manual` every path needs one; otherwise they are exceptions."""
    data: Mapping[str, Any]
    """Top-level field -> its whole new value."""


class ConflictDesk:
    """The conflicts of one gate, for people. Whoever asks needs an active record."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    # -- looking -------------------------------------------------------------------------------

    def page(
        self,
        principal: Principal,
        *,
        everybody: bool,
        states: Sequence[State],
        doctype: str | None,
        docid: str | None,
        escalated: bool | None,
        before: int | None,
        limit: int,
    ) -> tuple[list[dict[str, Any]], int | None]:
        """At most `limit`, the latest first, and where to go on; None at the end.

        `everybody`: also those of others, for GF; for anybody else it changes nothing. A page may have fewer
        than asked for and not be the last.
        """
        with self._gate.database.reading() as reading:
            principal = admitted(self._gate.index, reading, principal)
            of_all = everybody and Role.GF in principal.roles
            found = store.page(
                reading,
                user=None if of_all else principal.name,
                states=states,
                doctype=doctype,
                docid=docid,
                escalated=escalated,
                before=before,
                limit=limit,
            )
            listed = [self._shown(reading, principal, one) for one in found]
        following = found[-1].number if len(found) == limit else None
        return [one for one in listed if one is not None], following

    def find(self, principal: Principal, conflict: str) -> dict[str, Any] | None:
        """One conflict as it is now. None if there is none that he may see."""
        with self._gate.database.reading() as reading:
            principal = admitted(self._gate.index, reading, principal)
            found = store.find(reading, conflict)
            if found is None:
                return None
            body = self._shown(reading, principal, found)
            if body is not None:
                body["localDocument"] = found.text
            return body

    def _shown(self, reading: Reading, principal: Principal, conflict: Conflict) -> dict[str, Any] | None:
        told = (conflict.author, *store.readers(reading, conflict.id))
        if principal.name not in told and Role.GF not in principal.roles:
            return None
        rights = shown.Rights(reading, self._gate.index)
        is_open = conflict.state is State.OPEN
        body = shown.contract(rights, conflict, principal.name, fresh=is_open)
        if body is None:
            return None
        body |= shown.history(conflict)
        body["mayResolve"] = is_open and self._may_decide(reading, principal, conflict)
        body["decided"] = [] if body["restricted"] else list(conflict.decided)
        return body

    def _may_decide(self, reading: Reading, principal: Principal, conflict: Conflict) -> bool:
        if Role.GF in principal.roles:
            return True
        if shown.managed(shown.Rights(reading, self._gate.index), conflict):
            return False
        return principal.name in (conflict.author, *store.readers(reading, conflict.id))

    # -- deciding ------------------------------------------------------------------------------

    async def resolve(self, principal: Principal, conflict: str, answer: Answer) -> str | None:
        """Settles it; the document's revision, None if its author gave up what he can't see any more.

        Raises `not_found`; `forbidden` where management decides or the edit isn't allowed; `ChoiceError`,
        `ConflictError` if it is settled already, and `conflict` if the document keeps changing.
        """
        for _ in range(_TRIES - 1):
            try:
                return await self._resolve(principal, conflict, answer)
            except ProtocolError as error:
                if error.status != 409:
                    raise
        return await self._resolve(principal, conflict, answer)

    async def _resolve(self, principal: Principal, conflict: str, answer: Answer) -> str | None:
        with self._gate.database.reading() as reading:
            principal = admitted(self._gate.index, reading, principal)
            found = store.find(reading, conflict)
            if found is None or self._shown(reading, principal, found) is None:
                raise errors.missing()
            if found.state is not State.OPEN:
                raise ConflictError("This conflict is settled already.")
            if not self._may_decide(reading, principal, found):
                raise errors.forbidden("So much money is involved that management (GF) decides.")
            rights = shown.Rights(reading, self._gate.index)
            winner = rights.sees(principal.name, found.docid)
            choices = _chosen(found, answer)
            returns = (
                found.was_gone and MINE in choices.values() and shown.there(rights, found, principal.name)
            )
            resolution = Resolution(found.id, answer.strategy, _told(choices))
            wanted = None
            if returns:
                wanted = self._returning(reading, principal, found, winner)
            elif winner is not None:
                wanted = self._wanted(reading, principal, found, winner, choices, answer)
        if winner is None and not returns and set(choices.values()) - {THEIRS}:
            raise ConflictError("You can't see the document any more: ask somebody who can.")
        if wanted is not None:
            return await self._gate.resolve(principal, wanted, resolution, restores=winner is None)
        rev = None if winner is None else winner.rev
        await self._gate.database.transact(lambda writing: self._close(writing, principal, resolution, rev))
        return rev

    def _close(self, writing: Writing, principal: Principal, resolution: Resolution, rev: str | None) -> None:
        """What stayed stays."""
        found = store.find(writing, resolution.conflict)
        if found is None or found.state is not State.OPEN:
            return
        keeping = Keeping(writing, self._gate.index)
        keeping.settle(
            found,
            by=principal.name,
            at=self._gate.now(),
            strategy=resolution.strategy,
            choices=resolution.choices,
            rev=rev,
        )
        keeping.write()

    def _wanted(
        self,
        reading: Reading,
        principal: Principal,
        conflict: Conflict,
        winner: Document,
        choices: Mapping[str, Choice],
        answer: Answer,
    ) -> DocumentWrite | None:
        """The edit that makes it so; None if nothing has to be written."""
        parent = parse_rev(winner.rev)
        if conflict.was_gone:
            return None
        if conflict.deleted:
            gone = MINE in choices.values()
            return DocumentWrite(conflict.docid, True, b"{}", parent) if gone else None
        now = members_today(winner)
        wanted: dict[str, Any] = dict(now)
        for one in conflict.fields:
            value = _value(one, choices[shown.public_path(one)], now)
            if value is not _STAYS:
                wanted = changed_at(wanted, one.steps, value)
        wanted |= answer.data
        if not differs(wanted, now):
            return None
        return self._edit(
            reading, principal, conflict, signed_by(principal, wanted, now, self._gate.now()), winner
        )

    def _returning(
        self, reading: Reading, principal: Principal, conflict: Conflict, winner: Document | None
    ) -> DocumentWrite | None:
        """The sender's text for a document that was deleted, with what others had changed until then. If
        somebody has brought it back already it is put onto that; None if it is there.
        """
        docid = conflict.docid
        assert conflict.text is not None
        theirs = winner or reading.revision(docid, parse_rev(conflict.server))
        base = None if conflict.base is None else reading.revision(docid, parse_rev(conflict.base))
        infos = self._of_branch(reading, conflict)
        sides = [form_of(conflict.text, {name: info.digest for name, info in infos.items()})]
        sides += [members_of(one) for one in (theirs, base) if one is not None]
        wanted, *others = alike(*sides)
        if theirs is not None and base is not None:
            wanted = applied(others[1], wanted, others[0])
        now = others[0] if theirs is not None else {}
        if winner is not None and not differs(wanted, now):
            return None
        wanted = signed_by(principal, wanted, now, self._gate.now())
        return self._edit(reading, principal, conflict, wanted, winner)

    def _edit(
        self,
        reading: Reading,
        principal: Principal,
        conflict: Conflict,
        wanted: Mapping[str, Any],
        winner: Document | None,
    ) -> DocumentWrite:
        """`winner` is None for a document that comes back."""
        if winner is None:
            state = reading.revisions(conflict.docid)
            assert state is not None
            parent = state.winner
        else:
            parent = parse_rev(winner.rev)
        kept = self._attachments(reading, conflict, winner, wanted)
        body = {name: value for name, value in wanted.items() if not name.startswith(ATTACHMENT)}
        return DocumentWrite(conflict.docid, False, jsontext.encode(body), parent, attachments=kept)

    def _of_branch(self, reading: Reading, conflict: Conflict) -> dict[str, AttachmentInfo]:
        found: dict[str, AttachmentInfo] = {}
        notice = notice_id(conflict.id, conflict.author)
        told = reading.winner(notice)
        if told is not None and not told.deleted:
            found.update(reading.attachments(notice, parse_rev(told.rev)))
        found.update(reading.attachments(conflict.docid, parse_rev(conflict.branch)))
        return found

    def _attachments(
        self, reading: Reading, conflict: Conflict, winner: Document | None, wanted: Mapping[str, Any]
    ) -> dict[str, AttachmentWrite]:
        stored = {} if winner is None else reading.attachments(conflict.docid, parse_rev(winner.rev))
        of_branch = self._of_branch(reading, conflict)
        if winner is None:
            of_branch = {**reading.attachments(conflict.docid, parse_rev(conflict.server)), **of_branch}
        kept: dict[str, AttachmentWrite] = {}
        for member, digest in wanted.items():
            if not member.startswith(ATTACHMENT):
                continue
            name = member.removeprefix(ATTACHMENT)
            here = stored.get(name)
            if here is not None and here.digest == digest:
                kept[name] = attachments.stub(here)
            elif name in of_branch and of_branch[name].digest == digest:
                kept[name] = replace(attachments.again(of_branch[name]), revpos=None)
            else:
                raise ConflictError(f"The bytes of the attachment {name} are no longer stored.")
        return kept


def signed_by(
    principal: Principal, wanted: dict[str, Any], now: Mapping[str, Any], at: datetime
) -> dict[str, Any]:
    """What somebody has decided, as his edit of what is there now."""
    return signed(wanted, {"modifiedBy": principal.name, "modifiedAt": timestamp(at)}, now)


_STAYS = object()


def _chosen(conflict: Conflict, answer: Answer) -> dict[str, Choice]:
    """Path -> what was decided about it. Raises `ChoiceError`."""
    paths = {shown.public_path(one): one for one in conflict.fields}
    unknown = sorted(answer.choices.keys() - paths.keys())
    if unknown:
        raise ChoiceError(f"The conflict isn't about {', '.join(unknown)}, but {', '.join(paths)}.")
    names = {one.name for one in conflict.fields}
    strange = sorted(answer.data.keys() - names)
    if strange:
        raise ChoiceError(f"resolvedData has {', '.join(strange)}, which the conflict isn't about.")
    chosen: dict[str, Choice] = {}
    for path, one in paths.items():
        if path in answer.choices:
            chosen[path] = answer.choices[path]
        elif one.name in answer.data:
            chosen[path] = Value(answer.data[one.name])
        elif answer.strategy == "manual":
            raise ChoiceError(f"Nothing is decided about {path}: choose mine, theirs, merge or a value.")
        elif answer.strategy == "newest":
            chosen[path] = one.newer
        else:
            chosen[path] = MINE if answer.strategy == "local" else THEIRS
        if conflict.deleted and chosen[path] not in (MINE, THEIRS):
            raise ChoiceError("A deletion is accepted (mine) or not (theirs).")
        if conflict.was_gone and chosen[path] not in (MINE, THEIRS):
            raise ChoiceError("A document comes back as its sender had it (mine) or stays deleted (theirs).")
    return chosen


def _told(choices: Mapping[str, Choice]) -> dict[str, str]:
    """Without values: those are in the document's own history."""
    return {path: "value" if isinstance(one, Value) else one for path, one in choices.items()}


def _value(one: FieldConflict, choice: Choice, now: Mapping[str, Any]) -> Any:
    """What shall be there; `_STAYS` for what is there."""
    if isinstance(choice, Value):
        return choice.value
    if choice == THEIRS:
        return _STAYS
    if choice == MINE:
        return one.mine
    stored = value_at(now, one.steps)
    if isinstance(one.mine, str) and isinstance(stored, str):
        base = one.base if isinstance(one.base, str) else ""
        return listing.appended(base, stored, one.mine)
    sides = [listing.items(side) for side in (one.base, one.mine, stored)]
    if one.mine is ABSENT or stored is ABSENT or None in sides:
        raise ChoiceError(f"{shown.public_path(one)} is no text and no list: choose mine, theirs or a value.")
    return listing.united(sides[0] or [], sides[1] or [], sides[2] or [], canonical)
