"""Why a write was refused, as a problem: its status says whose turn it is, its text is in one's language."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from kompass.api.language import german
from kompass.api.problems import Problem, pointer, problem_of
from kompass.domain.refusals import Refusal
from kompass.sync.refusals import RefusedError
from replication.protocol.errors import ProtocolError

_STATUS: Mapping[str, int] = {
    # What was sent is wrong whoever sends it.
    **dict.fromkeys(("model", "shape", "reference", "companion", "type", "total"), 422),
    **dict.fromkeys(("number.form", "field.misplaced", "status.unknown", "status.needs"), 422),
    # It doesn't go with what is stored.
    **dict.fromkeys(("status", "unique", "number", "deletion", "frozen", "storno", "document"), 409),
    **dict.fromkeys(("tour", "meeting", "contract", "contact", "project", "privacy"), 409),
    # Somebody else may.
    **dict.fromkeys(("status.role", "status.own", "type.server_written"), 403),
}
"""By a rule's name, or the first part of it. Everything else is a matter of rights: 403."""

_ACTIONS = frozenset({"create", "read", "update", "delete"})


def problem(request: Request, error: ProtocolError) -> Problem:
    """What is answered to a write that failed."""
    if not isinstance(error, RefusedError):
        return problem_of(error)
    refusal = error.refusal
    is_german = german(request)
    said = refusal.grund if is_german else refusal.reason
    members: dict[str, object] = {"rule": refusal.rule}
    if refusal.faults:
        members["errors"] = [
            {"pointer": pointer_of(one.path), "detail": one.grund if is_german else one.reason}
            for one in refusal.faults
        ]
    elif refusal.fields:
        members["errors"] = [{"pointer": pointer_of(field), "detail": said} for field in refusal.fields]
    return Problem(_status(refusal), said, members=members)


def pointer_of(path: str, *within: str) -> str:
    """A path like `lineItems[3].quantity` as a JSON Pointer."""
    return pointer(*within, *path.replace("]", "").replace("[", ".").split("."))


def _status(refusal: Refusal) -> int:
    first, _, rest = refusal.rule.partition(".")
    if rest.partition(".")[0] in _ACTIONS:
        return 403  # `contract.update.ADM…`: the access rules', named by type
    return _STATUS.get(refusal.rule) or _STATUS.get(first, 403)
