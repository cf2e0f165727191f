"""Replication between any two databases, here or behind a URL.

    from replication.replicator import replicate

    result = await replicate("http://127.0.0.1:5984/shop", database)

pulls a URL into a database of an open store. Ends may be URLs, `LocalPeer`s or anything else that is a
`Peer`. `docs/replicator.md` describes the options and what is promised.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replication.replicator.api import connect, replicate
    from replication.replicator.failures import ReplicationError
    from replication.replicator.local_peer import LocalPeer
    from replication.replicator.options import Options
    from replication.replicator.run import Progress, Result

__all__ = ["LocalPeer", "Options", "Progress", "ReplicationError", "Result", "connect", "replicate"]

_PLACES = {
    "LocalPeer": "local_peer",
    "Options": "options",
    "Progress": "run",
    "ReplicationError": "failures",
    "Result": "run",
    "connect": "api",
    "replicate": "api",
}
"""Loaded when they are asked for: processes that need a pause between attempts, or to judge a host, have no
replicator in memory (14 MB)."""


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{place}"), name)
