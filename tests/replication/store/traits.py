"""What drivers may do differently, in one place, with the reason. Everything else they all do alike.

The contract leaves these open; the suite expects of each driver what it can promise.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    rounds: int = 30
    """How often a test that lives on chance goes on: each write of a driver over HTTP is a request."""
    keeps_order_of_a_batch: bool = True
    """Documents of one `write` are in the feed in its order. CouchDB spreads them over shards, and which of
    these is told first is left to chance."""
    stores_text_as_given: bool = True
    """Whether to pack text is left to whoever attaches it, which the HTTP layer does by CouchDB's rules.
    CouchDB packs by itself what isn't packed yet."""
    sizes_are_of_texts: bool = True
    """Sizes are those of all texts that are stored. CouchDB packs its files, so what is active may be smaller
    than what it holds, and counts leaves only."""
    numbers_purges: bool = True
    """`purge_seq` counts calls that removed something. CouchDB counts each document of a call, and clients
    only compare the number."""
    orders_purge_requests: bool = True
    """Requests to purge are kept in order, and the limit counts at once. CouchDB keeps them by shard, and
    drops what is too much when it compacts."""
    tells_purge_requests: bool = True
    """What was asked to be purged can be asked for. Of CouchDB since 3.4."""
    compacts_only_when_told: bool = True
    """Ancestors keep their bodies until `compact`. CouchDB compacts by itself when much of a file is out of
    date."""


SQLITE = Traits()
SERVED = Traits(rounds=6, stores_text_as_given=False)
"""The driver for CouchDB before a server of ours."""
COUCHDB = Traits(
    rounds=6,
    keeps_order_of_a_batch=False,
    stores_text_as_given=False,
    sizes_are_of_texts=False,
    numbers_purges=False,
    orders_purge_requests=False,
    compacts_only_when_told=False,
)
