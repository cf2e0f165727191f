"""A database as one person may use it.

Everything the document server does for him goes through this class, so no handler can forget to ask. What
he may not see is answered like what isn't there; numbers count what is his; rows come from his feed; what he
writes goes to the gate. Nothing is inherited or passed on by accident: every method of `Database` is written
in this package, and a test sees to that.

Design documents are for those who administrate. One that says `"kompass": {"public": true}` may be read and
used by everybody with a login, but it is in nobody's feed.
"""

from __future__ import annotations

from kompass.sync.personal.documents import Documents
from kompass.sync.personal.feed import Feed
from kompass.sync.personal.indexes import Indexes
from kompass.sync.personal.listings import Listings
from kompass.sync.personal.writes import Writes
from replication.protocol import errors, jsontext
from replication.protocol.sequences import Epochs
from replication.store.values import DatabaseInfo, PartitionInfo


class PersonalDatabase(Documents, Listings, Feed, Indexes, Writes):
    """See the module. Here are the facts about the database itself."""

    async def info(self) -> DatabaseInfo:
        """Counts what he sees. Sizes would tell of what he doesn't."""
        facts = await self._database.info()
        public = await self._public()
        with self._reading() as reading:
            live, deleted = self._index.counts(reading, self._user)
            latest = self._index.latest(reading, self._user)
        return DatabaseInfo(
            name=self.name,
            uuid=facts.uuid,
            doc_count=live + len(public),
            deleted_count=deleted,
            update_seq=latest,
            purge_seq=0,
            created=facts.created,
            file_size=0,
            active_size=0,
            external_size=0,
            compacting=False,
        )

    @property
    def partitioned(self) -> bool:
        return False

    async def partition_info(self, partition: str) -> PartitionInfo:
        raise errors.not_partitioned()

    @property
    def epochs(self) -> Epochs:
        """Of his positions. Asked of nobody: a feed that ends because he isn't let in any more needs it."""
        return self._shared.epochs

    @property
    def update_seq(self) -> int:
        """The end of his feed."""
        with self._reading() as reading:
            return self._index.latest(reading, self._user)

    async def security(self) -> bytes:
        """Which roles may use the database; names are nobody's business."""
        self._admitted()
        value = jsontext.decode(await self._database.security())
        return jsontext.encode(
            {
                circle: {"names": [], "roles": members.get("roles", [])}
                for circle in ("admins", "members")
                if isinstance(members := value.get(circle), dict)
            }
        )

    async def set_security(self, text: bytes) -> None:
        self._refuse()

    async def revs_limit(self) -> int:
        self._admitted()
        return await self._database.revs_limit()

    async def set_revs_limit(self, limit: int) -> None:
        self._refuse()

    async def compact(self) -> None:
        self._refuse()
