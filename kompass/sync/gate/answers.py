"""What is said of an outcome: to a device, to somebody online, and to the chain of writes."""

from __future__ import annotations

from kompass.audit import Refused as Refusing
from kompass.audit.recording import conflicting
from kompass.domain.refusals import Refusal
from kompass.sync.gate.pushed import Accepted, Outcome, Pushed, Refused, Waits
from kompass.sync.refusals import RefusedError
from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import format_rev


def to_device(pushed: Pushed, outcome: Outcome) -> str | ProtocolError:
    """The revision, also of what waits: its device has nothing more to do. Or why it is refused."""
    if isinstance(outcome, Refused):
        return errors.forbidden(outcome.refusal.reason)
    return outcome if isinstance(outcome, ProtocolError) else pushed.rev


def online(outcome: Outcome) -> str | ProtocolError:
    """The revision that came of an edit, or why it is refused."""
    if isinstance(outcome, Accepted):
        return outcome.rev
    return outcome if isinstance(outcome, ProtocolError) else RefusedError(outcome.refusal)


def to_chain(pushed: Pushed, outcome: Outcome) -> Refusing | None:
    """The refusal of an online edit as the chain wants it; None for what isn't one. Nobody waits online."""
    if isinstance(outcome, Refused | Waits):
        return refusing(pushed, outcome.refusal)
    if isinstance(outcome, ProtocolError) and outcome.status == 409:
        return conflicting(pushed.doc, outcome)
    if isinstance(outcome, ProtocolError) and outcome.status == 403:
        return _refusing(pushed, outcome.error, outcome.reason)
    return None


def refusing(pushed: Pushed, refusal: Refusal) -> Refusing:
    return _refusing(pushed, refusal.rule, refusal.reason)


def _refusing(pushed: Pushed, rule: str, reason: str) -> Refusing:
    doc = pushed.doc
    rev = format_rev(doc.path.leaf) if doc.path is not None else None
    return Refusing(doc.id, rev, doc.body, doc.deleted, rule, reason)
