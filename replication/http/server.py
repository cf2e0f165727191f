"""What all handlers share: the store and how the server is set up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from replication.accounts.directory import Accounts
from replication.accounts.lockout import Lockout
from replication.accounts.tokens import Tokens
from replication.http.access import DEFAULT_SECURITY
from replication.http.changed_settings import ChangedSettings
from replication.http.config import ServerConfig
from replication.http.config_keys import LOG_LEVELS
from replication.http.identity import Identity
from replication.http.job_rules import ServerRules
from replication.http.live_feeds import LiveFeeds
from replication.http.metrics import Metrics
from replication.http.principal import Principal
from replication.http.workers import Workers
from replication.javascript.engine import Engine
from replication.replicator.documents import ReplicatorDocuments
from replication.replicator.hosts import AllowedHosts
from replication.replicator.jobs import Jobs
from replication.store.interface import Database, Store

__all__ = ["Server", "ServerConfig", "View"]

View = Callable[[Database, Principal], Database]
"""What somebody who is no server administrator may use of a database. Raises why he may use nothing of it."""


@dataclass(slots=True)
class Server:
    store: Store
    config: ServerConfig
    """As it is now: see `changes`."""
    identity: Identity = field(default_factory=Identity)
    """Has the last word about who asks."""
    view: View | None = None
    """None: everybody whom a database's `_security` lets in may use all of it."""
    replicates: bool = True
    """Whether it runs what `_replicator` describes."""
    changes: ChangedSettings = field(init=False)
    """What was set while the server ran, now or before its last start."""
    lockout: Lockout = field(init=False)
    metrics: Metrics = field(default_factory=Metrics)
    accounts: Accounts = field(init=False)
    tokens: Tokens | None = field(init=False)
    javascript: Engine = field(init=False)
    """Runs the functions of design documents. Starts nothing before there is one to run."""
    jobs: Jobs = field(init=False)
    """Replications that run here."""
    replications: ReplicatorDocuments = field(init=False)
    """The database that describes them."""
    workers: Workers = field(default_factory=Workers)
    """How many requests of each person are worked on."""
    feeds: LiveFeeds = field(init=False)
    """Those that wait for changes."""
    _log_level: int = field(init=False)
    """What it was before it was set here."""

    def __post_init__(self) -> None:
        self._log_level = logging.getLogger("replication").level
        self.javascript = Engine()
        config = self.config
        self.tokens = None if config.tokens is None else Tokens(config.tokens)
        self.lockout = Lockout(
            threshold=config.lockout_threshold,
            seconds=config.lockout_seconds,
            address_threshold=config.lockout_address_threshold,
            name_threshold=config.lockout_name_threshold,
        )
        self.feeds = LiveFeeds(self.store)
        self.identity.attach(self)
        self.changes = ChangedSettings(self.store, config, self._reconfigure)
        self.accounts = Accounts(
            self.store, admins=config.admins, iterations=config.password_iterations, lockout=self.lockout
        )
        self.jobs = Jobs(
            self.store,
            allowed=AllowedHosts(config.replication_hosts, config.replication_proxies),
            rules=ServerRules(self),
            security=DEFAULT_SECURITY,
        )
        self.replications = ReplicatorDocuments(self.store, self.jobs, self.accounts.is_admin)

    async def prepare(self) -> None:
        """Makes the databases a server has from its first start, and begins what `_replicator` describes."""
        await self.changes.load()
        await self.accounts.prepare()
        await self.replications.prepare(follow=self.replicates)

    def _reconfigure(self, config: ServerConfig) -> None:
        self.config = config
        self.lockout.set_limits(threshold=config.lockout_threshold, seconds=config.lockout_seconds)
        level = self._log_level if config.log_level is None else LOG_LEVELS[config.log_level]
        logging.getLogger("replication").setLevel(level)

    async def close(self) -> None:
        self.feeds.close()
        await self.replications.close()
        await self.jobs.close()
        self.javascript.close()
        self.accounts.close()
        await self.store.close()

    def database(self, principal: Principal, name: str) -> Database:
        """The database `name` as `principal` may use it. Raises `database_missing`."""
        database = self.store.get(name)
        if self.view is None or principal.is_server_admin:
            return database
        return self.view(database, principal)
