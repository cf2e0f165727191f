"""The replicator as a function."""

from __future__ import annotations

from contextlib import AsyncExitStack

from replication.replicator.failures import InvalidReplication
from replication.replicator.hosts import ANYWHERE, AllowedHosts
from replication.replicator.http_peer import HttpPeer
from replication.replicator.options import Endpoint, Options, parse_endpoint
from replication.replicator.peer import Peer
from replication.replicator.run import Notify, Replication, Result


def connect(
    endpoint: str | Endpoint, options: Options | None = None, *, allowed: AllowedHosts = ANYWHERE
) -> HttpPeer:
    """A peer behind a URL. Raises `InvalidReplication` for what is none."""
    end = parse_endpoint(endpoint) if isinstance(endpoint, str) else endpoint
    if end.is_local:
        raise InvalidReplication(f"{end.url} is no URL: give a LocalPeer for a database of a store")
    chosen = options or Options()
    return HttpPeer(end, allowed=allowed, retries=chosen.retries, timeout=chosen.timeout)


async def replicate(
    source: str | Endpoint | Peer,
    target: str | Endpoint | Peer,
    options: Options | None = None,
    *,
    notify: Notify | None = None,
) -> Result:
    """Replicates once; a continuous replication runs until it fails or is cancelled.

    A peer given as such stays open. Raises `ReplicationError`.
    """
    chosen = options or Options()
    async with AsyncExitStack() as stack:
        ends: list[Peer] = []
        for end in (source, target):
            if isinstance(end, Peer):
                ends.append(end)
            else:
                peer = connect(end, chosen)
                stack.push_async_callback(peer.close)
                ends.append(peer)
        return await Replication(ends[0], ends[1], chosen, notify=notify).run()
