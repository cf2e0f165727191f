"""How a server is set up: everything that is decided when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from replication.accounts.passwords import ITERATIONS
from replication.accounts.proxies import check_secret
from replication.accounts.tokens import TokenSettings
from replication.replicator.hosts import LOOPBACK, AllowedHosts

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
    lockout_address_threshold: int = 0
    """The same for all that fails from one address, whatever the name; 0 for never."""
    lockout_name_threshold: int = 0
    """The same for all wrong passwords for one name, whatever the address; 0 for never."""
    same_origin: bool = False
    """Refuse what pages of other origins than `cors_origins` make browsers send, unless it only reads."""
    reserved_user_members: tuple[str, ...] = ()
    """Members of user documents that only administrators may set; if any, only they may delete users."""
    cors_origins: tuple[str, ...] = ()
    """Origins that browsers may call from; `*` for any."""
    cors_headers: tuple[str, ...] = ()
    """Headers, in small letters, that those may send beside the usual ones."""
    cors_credentials: bool = True
    access_log: bool = True
    max_feed_seconds: int = 3600
    """A live feed is ended after this time; clients reconnect by themselves."""
    gzip_responses: bool = True
    gzip_minimum: int = 1000
    """Smallest response in bytes that is compressed."""
    replication_hosts: tuple[str, ...] = LOOPBACK
    """Names, addresses and networks that replications run by this server may reach; `*` for any."""
    replication_proxies: tuple[str, ...] = ()
    """URLs of HTTP proxies that those replications may go through; hosts behind them are listed by name."""
    tokens: TokenSettings | None = None
    """Which JSON Web Tokens are believed; None for none."""
    proxy_secret: str = field(default="", repr=False)
    """Shared with a proxy that says in headers who asks; empty for no such proxy."""

    log_level: str | None = None
    """Level of the server's loggers under CouchDB's name; None leaves them as they are."""

    def __post_init__(self) -> None:
        if self.proxy_secret:
            check_secret(self.proxy_secret)
        if self.same_site not in ("", "strict", "lax", "none"):
            raise ValueError(f"same_site must be strict, lax, none or empty, not {self.same_site!r}")
        AllowedHosts(self.replication_hosts, self.replication_proxies)  # raises ValueError for what is none
