"""Replication between any two databases, here or behind a URL.

    from replication.replicator import replicate

    result = await replicate("http://127.0.0.1:5984/shop", database)

pulls a URL into a database of an open store. Ends may be URLs, `LocalPeer`s or anything else that is a
`Peer`. `docs/replicator.md` describes the options and what is promised.
"""

from replication.replicator.api import connect, replicate
from replication.replicator.failures import ReplicationError
from replication.replicator.local_peer import LocalPeer
from replication.replicator.options import Options
from replication.replicator.run import Progress, Result

__all__ = ["LocalPeer", "Options", "Progress", "ReplicationError", "Result", "connect", "replicate"]
