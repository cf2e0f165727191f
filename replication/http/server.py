"""What all handlers share: the store and how the server is set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from replication.accounts.directory import Accounts
from replication.accounts.lockout import Lockout
from replication.accounts.passwords import ITERATIONS
from replication.accounts.proxies import check_secret
from replication.accounts.tokens import Tokens, TokenSettings
from replication.http.access import DEFAULT_SECURITY
from replication.http.call import Call
from replication.http.job_rules import ServerRules
from replication.http.metrics import Metrics
from replication.javascript.engine import Engine
from replication.replicator.documents import ReplicatorDocuments
from replication.replicator.hosts import LOOPBACK, AllowedHosts
from replication.replicator.jobs import Jobs
from replication.store.interface import Database, Store

LOCKOUT_THRESHOLD = 5


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Settings of the HTTP side. Times in seconds."""

    admins: Mapping[str, str] = field(default_factory=dict)
    """Server administrators: name to plain or hashed password."""
    require_valid_user: bool = False
    """Refuse requests without a login, but for `/`, `/_up` and `/_session`."""
    session_timeout: int = 600
    """Seconds a login lasts; cookies are renewed while they are used."""
    same_site: str = "lax"
    """`SameSite` of the session cookie: `strict`, `lax`, `none` or empty. Pages of another site that use
    the cookie need `none` and https."""
    password_iterations: int = ITERATIONS
    """Rounds of PBKDF2 for new password hashes."""
    lockout_threshold: int = LOCKOUT_THRESHOLD
    """Wrong passwords for a name from one address after which it is locked; 0 for never."""
    lockout_seconds: int = 300
    cors_origins: tuple[str, ...] = ()
    """Origins that browsers may call from; `*` for any."""
    cors_credentials: bool = True
    access_log: bool = True
    max_feed_seconds: int = 3600
    """A live feed is ended after this time; clients reconnect by themselves."""
    gzip_responses: bool = True
    gzip_minimum: int = 1000
    """Smallest response in bytes that is compressed."""
    replication_hosts: tuple[str, ...] = LOOPBACK
    """Names, addresses and networks that replications run by this server may reach; `*` for any."""
    tokens: TokenSettings | None = None
    """Which JSON Web Tokens are believed; None for none."""
    proxy_secret: str = field(default="", repr=False)
    """Shared with a proxy that says in headers who asks; empty for no such proxy."""

    def __post_init__(self) -> None:
        if self.proxy_secret:
            check_secret(self.proxy_secret)
        if self.same_site not in ("", "strict", "lax", "none"):
            raise ValueError(f"same_site must be strict, lax, none or empty, not {self.same_site!r}")
        AllowedHosts(self.replication_hosts)  # raises ValueError for what is none


@dataclass(slots=True)
class Server:
    store: Store
    config: ServerConfig
    metrics: Metrics = field(default_factory=Metrics)
    accounts: Accounts = field(init=False)
    tokens: Tokens | None = field(init=False)
    javascript: Engine = field(init=False)
    """Runs the functions of design documents. Starts nothing before there is one to run."""
    jobs: Jobs = field(init=False)
    """Replications that run here."""
    replications: ReplicatorDocuments = field(init=False)
    """The database that describes them."""

    def __post_init__(self) -> None:
        self.javascript = Engine()
        config = self.config
        self.tokens = None if config.tokens is None else Tokens(config.tokens)
        self.accounts = Accounts(
            self.store,
            admins=config.admins,
            iterations=config.password_iterations,
            lockout=Lockout(threshold=config.lockout_threshold, seconds=config.lockout_seconds),
        )

        self.jobs = Jobs(
            self.store,
            allowed=AllowedHosts(config.replication_hosts),
            rules=ServerRules(self),
            security=DEFAULT_SECURITY,
        )
        self.replications = ReplicatorDocuments(self.store, self.jobs, self.accounts.is_admin)

    async def prepare(self) -> None:
        """Makes the databases a server has from its first start, and begins what `_replicator` describes."""
        await self.accounts.prepare()
        await self.replications.prepare()

    async def close(self) -> None:
        await self.replications.close()
        await self.jobs.close()
        self.javascript.close()
        self.accounts.close()
        await self.store.close()

    def database(self, call: Call, name: str) -> Database:
        """The database `name` as this caller may use it. Raises `database_missing`."""
        return self.store.get(name)
