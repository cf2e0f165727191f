"""What can go wrong between two peers, sorted by what is to be done about it.

The texts are shown to people and stored in documents: they name the peer by its address without
credentials, say what was wrong, and never quote more than a line of what a peer sent.
"""

from __future__ import annotations

_LONGEST_QUOTE = 200


def quoted(text: object) -> str:
    """Something a peer sent, fit for one line of a message."""
    line = "".join(char if char.isprintable() else " " for char in str(text)[: _LONGEST_QUOTE + 1])
    return line if len(line) <= _LONGEST_QUOTE else line[:_LONGEST_QUOTE] + "…"


class ReplicationError(Exception):
    """A replication can't go on. `kind` is the word CouchDB uses for it in `error`."""

    kind = "replication_error"


class PeerUnavailable(ReplicationError):
    """No answer, or one that says to try later: worth another attempt."""

    kind = "peer_unavailable"

    def __init__(
        self, message: str, *, wait: float | None = None, undone: bool = False, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        """Of the peer's answer, if there was one."""
        self.wait = wait
        """Seconds that the peer asked to wait."""
        self.undone = undone
        """Whether it is certain that the peer has done nothing of what it was asked."""


class PeerRefused(ReplicationError):
    """The peer understood and said no; asking again gets the same answer."""

    kind = "peer_refused"

    def __init__(self, message: str, *, status: int, error: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.reason = reason


class DatabaseMissing(PeerRefused):
    kind = "db_not_found"

    def __init__(self, where: str) -> None:
        super().__init__(f"could not open {where}", status=404, error="not_found", reason="missing")


class TooLarge(ReplicationError):
    """A request that is too large for the peer, or an answer that is too large for us: ask for less."""

    kind = "too_large"


class MissingStub(ReplicationError):
    """The target lacks an attachment that it was thought to have: it wants the bytes."""

    kind = "missing_stub"


class AttachmentGone(ReplicationError):
    """The source told of an attachment that it no longer has, as a rule because the document was changed."""

    kind = "attachment_gone"


class PeerLied(ReplicationError):
    """What came isn't what was asked for: nothing of it is kept."""

    kind = "bad_peer"


class OddDocument(PeerLied):
    """A single document is such that no database of ours has its like. Of a peer that is trusted, it is no
    lie."""


class HostForbidden(ReplicationError):
    """The address leads somewhere the server may not go."""

    kind = "host_forbidden"


class InvalidReplication(ReplicationError):
    """The replication is described wrongly; nothing was tried."""

    kind = "bad_request"
