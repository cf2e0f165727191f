"""Everything that can be set, in one class.

A value comes from, in this order: the command line, a `KOMPASS_…` environment variable or the file that
`KOMPASS_…_FILE` names, `kompass.toml` in the working directory (or the file named by `KOMPASS_CONFIG`), the
default. An unknown name in the file is an
error: a misspelt setting would silently do nothing. `docs/settings.md` lists them; a test compares the two.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from kompass.settings_files import FilesSource
from kompass.settings_values import (
    CouchAddress,
    CronLine,
    DemoSize,
    EmbedderKind,
    FeedMode,
    Hosts,
    Issuer,
    Land,
    LogFormat,
    LogLevel,
    MailAddress,
    NameAndPassword,
    Origins,
    RedisAddress,
    SameSite,
    Secrets,
    Several,
    SftpAddress,
    WebAddress,
)
from replication.loopback import is_loopback

if TYPE_CHECKING:
    from kompass.domain.series import SeriesTable
    from replication.accounts.tokens import TokenSettings


class Settings(BaseSettings):
    """The product's settings. Times are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="KOMPASS_",
        env_ignore_empty=True,  # what starts containers can set a variable to nothing, but not leave it out
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # the input may be a secret
    )

    host: str = Field(default="127.0.0.1", description="Address to listen on")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    data: Path | None = Field(
        default=None,
        description="Directory for everything the server keeps; default `data`, for demo data `data/demo`",
    )
    admin: NameAndPassword | None = Field(
        default=None,
        description="`NAME:PASSWORD` of the server's administrator; needed except for demo data",
    )
    demo: bool = Field(
        default=False, description="Serve generated data to demo users; on the loopback address only"
    )
    demo_size: DemoSize = Field(
        default=DemoSize.SMALL, description="`small`, `medium` or `large`: 50, 500 or 5,000 customers"
    )
    cors_origins: Origins = Field(
        default=(),
        description="Other origins whose pages may use the server with credentials; comma-separated",
    )
    log_level: LogLevel = Field(default=LogLevel.INFO, description="`debug`, `info`, `warning` or `error`")
    log_format: LogFormat = Field(
        default=LogFormat.CONSOLE, description="`console` for people, `json` for machines"
    )
    log_requests: bool = Field(default=False, description="Log a line for every request")
    session_timeout: int = Field(
        default=1800, ge=60, description="Seconds a login lasts while it isn't used; using it renews it"
    )
    replication_hosts: Several = Field(
        default=(),
        description="Hosts, addresses and networks beside this machine that the server's own replications"
        " may reach; comma-separated",
    )
    replication_proxies: Several = Field(
        default=(),
        description="HTTP proxies, as URLs without credentials, that those replications may go through;"
        " comma-separated",
    )
    quarantine_entries: int = Field(
        default=1000, ge=1, description="Refused or waiting documents that are kept for each person"
    )
    quarantine_bytes: int = Field(
        default=200_000_000, ge=1_000_000, description="Bytes of them, attachments included"
    )
    audit_anchor: Path | None = Field(
        default=None,
        description="File, best on another machine, to which each signed checkpoint of the chain of writes is"
        " added",
    )
    backup_repository: str | None = Field(
        default=None,
        description="Directory with the backups of this server, or `s3://BUCKET/PREFIX`, for `kompass backup`"
        " and its like",
    )
    backup_s3_endpoint: str | None = Field(
        default=None, description="URL of the S3 server, if it isn't Amazon's"
    )
    backup_s3_region: str | None = Field(default=None, description="Region of the bucket")
    backup_s3_access_key: SecretStr | None = Field(
        default=None,
        description="Name of the key for it; without one, what AWS's own variables or the machine's role say",
    )
    backup_s3_secret_key: SecretStr | None = Field(default=None, description="The key's secret")
    backup_key_file: Path | None = Field(
        default=None, description="File with the secret that opens it; see docs/backup.md"
    )
    same_site: SameSite = Field(
        default=SameSite.STRICT,
        description="`strict`, `lax` or `none`: whether the session cookie goes along with what other sites"
        " begin; `none` needs https",
    )
    trusted_proxies: Several = Field(
        default=(),
        description="Addresses of reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count;"
        " comma-separated",
    )
    lockout_threshold: int = Field(
        default=5, ge=0, description="Wrong passwords for a name from one address that lock it; 0 for never"
    )
    lockout_seconds: int = Field(default=300, ge=1, description="How long that lasts, from the first failure")
    lockout_address_threshold: int = Field(
        default=50,
        ge=0,
        description="Wrong passwords and forged tokens from an address that lock it altogether; 0 for never",
    )
    lockout_name_threshold: int = Field(
        default=100,
        ge=0,
        description="Wrong passwords for one name from all addresses that lock the name; 0 for never",
    )
    offline_lease: int = Field(
        default=604_800,
        ge=3600,
        description="Seconds that a device may be used without reaching the server, told to it at login",
    )
    keycloak_issuer: Issuer | None = Field(
        default=None,
        description="Issuer of access tokens, as `https://HOST/realms/REALM`; without it no Keycloak is used",
    )
    keycloak_url: WebAddress | None = Field(
        default=None,
        description="Where this server reaches Keycloak, if not at the issuer's address: `http://HOST:PORT`",
    )
    keycloak_client: str = Field(
        default="kompass-server",
        description="Client that this server is: the audience of tokens, whose client roles count, and whose"
        " service account reads users",
    )
    keycloak_parties: Several = Field(
        default=("kompass-pwa",),
        description="Clients that tokens may have been issued to (`azp`), the page's first; comma-separated",
    )
    keycloak_client_secret: SecretStr | None = Field(
        default=None,
        description="Secret of `keycloak_client`; with it users and roles are followed",
    )
    keycloak_sync_interval: float = Field(
        default=3.0, ge=0.5, le=3600, description="How often Keycloak is asked for changes"
    )
    keycloak_trust_roles: bool = Field(
        default=True,
        description="Whether a token newer than a user's record may add roles, or make the record",
    )
    keycloak_clock_skew: float = Field(
        default=30.0, ge=0, le=300, description="How far the clocks of Keycloak and server may differ"
    )
    jwt_keys: Secrets = Field(
        default=(),
        description="Keys of JSON Web Tokens as CouchDB takes them: `hmac:KID=BASE64`, `rsa:KID=PEM`,"
        " `ec:KID=PEM`, or `KIND:KID=@FILE`; comma-separated",
    )
    jwt_required_claims: str = Field(
        default="exp",
        description='What such a token must have: `exp, {iss, "https://issuer"}, {aud, "name"}`',
    )
    jwt_roles_claim_name: str = Field(
        default="_couchdb.roles", description="Claim that holds the roles of such a token"
    )
    jwt_roles_claim_path: str | None = Field(
        default=None, description="The same for a deeper one: `realm_access.roles`"
    )
    proxy_secret: SecretStr | None = Field(
        default=None,
        description="Secret of a proxy that says in `X-Auth-CouchDB-…` headers who asks; it drops those of"
        " its clients",
    )
    numbers: Several = Field(
        default=(),
        description="Other forms of numbers, as `SERIES=PATTERN`: `offer=AN-{year}-{number:04}`;"
        " comma-separated",
    )
    feed: FeedMode = Field(
        default=FeedMode.AUTO,
        description="`auto`: `kompass serve` runs `kompass feed` beside itself if there is a sink; `off`: it"
        " doesn't",
    )
    feed_secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="What a `kompass feed` on another machine shows the server instead of a login, at least"
        " 32 characters, the same on both; without it only the one that `kompass serve` starts is let in",
    )
    feed_server: WebAddress | None = Field(
        default=None,
        description="Where `kompass feed` reaches the server; default: this machine, at `port`",
    )
    feed_attempts: int = Field(
        default=5, ge=1, le=100, description="How often a document that a sink can't store is tried"
    )
    journal_dsn: SecretStr | None = Field(
        default=None,
        description="PostgreSQL in which the processes of a cluster have their journal, as"
        " `postgresql://NAME:PASSWORD@HOST/DATABASE`; see docs/operations",
    )
    couchdb_url: CouchAddress | None = Field(
        default=None,
        description="CouchDB that has a cluster's documents, as `https://NAME:PASSWORD@HOST:6984`",
    )
    couchdb_admin: SecretStr | None = Field(
        default=None,
        description="`NAME:PASSWORD` of an administrator of that CouchDB, for `kompass init` and"
        " `kompass index`: nobody else may purge there, and see that an erasure has reached every node",
    )
    couchdb_prefix: str = Field(
        default="",
        pattern="^([a-z][a-z0-9_$()+/-]*)?$",
        description="What the databases there begin with, if several clusters have one CouchDB",
    )
    readstore: bool = Field(
        default=True,
        description="Whether there is a read store, if its libraries are there; see docs/readstore.md",
    )
    readstore_dsn: SecretStr | None = Field(
        default=None,
        description="PostgreSQL for the read store, as `postgresql://NAME:PASSWORD@HOST/DATABASE`; without it"
        " one is started below `data`",
    )
    readstore_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port on the loopback address where that one also listens, for tools on this machine;"
        " without it on a socket in its directory only",
    )
    readstore_holidays: Land = Field(
        default="BY",
        description="Land whose public holidays the calendar of the read store has, by its letters",
    )
    readstore_refresh: float = Field(
        default=300.0, ge=1, description="How often its figures over everything are worked out anew"
    )
    meilisearch_url: WebAddress | None = Field(
        default=None,
        description="MeiliSearch (1.50) that searches the full text; without it the embedded index does",
    )
    meilisearch_key: SecretStr | None = Field(
        default=None, description="Key for it that may do everything with the indexes named here"
    )
    meilisearch_index: str = Field(
        default="kompass",
        pattern=r"^[A-Za-z0-9_-]{1,100}$",
        description="Its index; a new generation is built in one with `-next` behind the name",
    )
    jobs: bool = Field(
        default=True,
        description="Whether jobs follow from changes (reminders, mails, webhooks), if the libraries are"
        " there; see docs/jobs.md",
    )
    vectors: bool = Field(
        default=True,
        description="Whether there is search by meaning, if its libraries are there; see docs/vectors.md",
    )
    vectors_embedder: EmbedderKind = Field(
        default=EmbedderKind.PACKAGED,
        description="What makes the vectors: `packaged`, `openai` (a service), or `sentence-transformers`",
    )
    vectors_model: str = Field(
        default="intfloat/multilingual-e5-large",
        min_length=1,
        max_length=300,
        description="Model of the latter two; a folder is one, too, for the last",
    )
    vectors_url: WebAddress | None = Field(
        default=None,
        description="The service, up to what comes before `/embeddings`: `https://HOST/v1`",
    )
    vectors_key: SecretStr | None = Field(default=None, description="Key for the service")
    vectors_weight: float | None = Field(
        default=None,
        ge=0,
        le=10,
        description="How much the order by meaning counts against that of the full text; default: 0.1 for"
        " `packaged`, else 1",
    )
    jobs_secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="What a `kompass worker` on another machine shows the server, like `feed_secret`; without"
        " it only those that `kompass serve` starts are let in",
    )
    jobs_workers: int = Field(
        default=1, ge=1, le=32, description="Workers that `kompass serve` runs beside itself"
    )
    redis_url: RedisAddress | None = Field(
        default=None,
        description="Redis (6.2 or newer) for the queues, as `redis://…`, `rediss://…` or `unix://…`; without"
        " it `kompass serve` runs one of its own. Processes of a cluster count requests there, too",
    )
    rate_limit: int = Field(
        default=100,
        ge=0,
        description="Requests below `/api/v1` that one person, or one address without a login, may make in a"
        " minute; 0 for any number. See docs/rest.md",
    )
    mail_server: MailAddress | None = Field(
        default=None,
        description="Where mails are sent through: `smtp://HOST:PORT` or `smtps://…`, with `NAME:PASSWORD@`"
        " before the host if it asks for a login; without it none are sent",
    )
    mail_from: str = Field(
        default="KOMPASS <kompass@example.invalid>", description="Address that mails come from"
    )
    webhook_hosts: Hosts = Field(
        default=(),
        description="Hosts, addresses and networks that webhooks may call although they are not public;"
        " comma-separated",
    )
    weaviate_url: WebAddress | None = Field(
        default=None,
        description="Weaviate (1.33) that keeps the vectors; without it they are in files of the server",
    )
    weaviate_grpc_port: int = Field(
        default=50051, ge=1, le=65535, description="Its port for gRPC, on the same host"
    )
    weaviate_key: SecretStr | None = Field(
        default=None, description="Key for it that may do everything with the collections named here"
    )
    weaviate_prefix: str = Field(
        default="Kompass",
        pattern=r"^[A-Z][A-Za-z0-9]{0,50}$",
        description="What the names of its collections begin with",
    )
    weaviate_tenant: str = Field(
        default="kompass",
        pattern=r"^[a-z0-9]{1,32}$",
        description="What the names of its tenants begin with: another one for each company on one Weaviate",
    )
    books_file: Path | None = Field(
        default=None,
        description="TOML file that says whose books files for DATEV and tax audits are about; see"
        " docs/accounting/datev.md",
    )
    letterhead: Path | None = Field(
        default=None,
        description="TOML file with what stands on printed documents: the company, its address, bank and"
        " logo; see docs/printing.md",
    )
    templates: Path | None = Field(
        default=None,
        description="Directory with templates that stand in for the packaged ones, and `fonts/`",
    )
    lexware_directory: Path | None = Field(
        default=None,
        description="Folder that Lexware and this server share: `exports` and `imports` below it; every"
        " process of a cluster names the same. See docs/accounting/lexware.md",
    )
    lexware_export: CronLine = Field(
        default="0 2 * * *",
        description="When contracts and customers go to Lexware: a cron line, in Germany's time; `never` for"
        " by hand only",
    )
    lexware_import: CronLine = Field(
        default="*/15 8-17 * * mon-fri",
        description="When that folder is looked into for payments and invoices; likewise",
    )
    lexware_sftp: SftpAddress | None = Field(
        default=None,
        description="Where files go instead of `exports`: `sftp://NAME@HOST:PORT/FOLDER`",
    )
    lexware_sftp_key_file: Path | None = Field(
        default=None, description="File with the private key that logs in there"
    )
    lexware_sftp_host_key: str | None = Field(
        default=None, description="Public key that server has to show, as `ssh-ed25519 AAAA…`"
    )
    pouchdb_file: Path | None = Field(
        default=None,
        description="PouchDB's browser build for the page; default: what `./scripts/run` fetched from npm",
    )

    @model_validator(mode="after")
    def _what_belongs_together(self) -> Settings:
        if self.keycloak_client_secret is not None and self.keycloak_issuer is None:
            raise ValueError("keycloak_client_secret needs keycloak_issuer: whose users are to be followed?")
        if self.lexware_sftp is not None and not (self.lexware_sftp_key_file and self.lexware_sftp_host_key):
            raise ValueError("lexware_sftp needs lexware_sftp_key_file and lexware_sftp_host_key")
        # Imported here as below: they bring libraries along.
        from replication.accounts.proxies import check_secret

        if self.proxy_secret is not None:
            check_secret(self.proxy_secret.get_secret_value())
        _ = self.tokens  # raises ValueError for keys that can't be
        _ = self.series  # and for forms of numbers
        return self

    @model_validator(mode="after")
    def _demo_stays_here(self) -> Settings:
        if self.demo and not is_loopback(self.host):
            raise ValueError(
                f"demo data is served on the loopback address only, not on {self.host}: "
                "its password is public. Leave out --host, or leave out --demo"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        named = os.environ.get("KOMPASS_CONFIG")
        if named and not Path(named).is_file():
            raise FileNotFoundError(f"KOMPASS_CONFIG names {named}, which is not a file")
        file = TomlConfigSettingsSource(settings_cls, Path(named or "kompass.toml"))
        return init_settings, env_settings, FilesSource(settings_cls), file

    @property
    def admins(self) -> dict[str, str]:
        """The administrator's name and password; empty if none is set."""
        if self.admin is None:
            return {}
        name, _, password = self.admin.get_secret_value().partition(":")
        return {name: password}

    @property
    def tokens(self) -> TokenSettings | None:
        """Which tokens with keys of the settings are believed. Raises ValueError for keys that can't be."""
        if not self.jwt_keys:
            return None
        from replication.accounts.tokens import TokenSettings

        keys: dict[str, str] = {}
        for each in self.jwt_keys:
            name, equals, key = each.get_secret_value().partition("=")
            if not equals:
                raise ValueError("jwt_keys are written KIND:KID=KEY or KIND:KID=@FILE")
            if key.startswith("@"):
                try:
                    key = Path(key[1:]).read_text("utf-8")
                except OSError as error:
                    raise ValueError(f"the file of the key {name} can't be read: {error.strerror}") from None
            keys[name] = key
        return TokenSettings(
            keys, self.jwt_required_claims, self.jwt_roles_claim_name, self.jwt_roles_claim_path
        )

    @property
    def series(self) -> SeriesTable:
        """The series of numbers. Raises ValueError for forms that can't be."""
        from kompass.domain.series import SeriesTable, configured

        patterns: dict[str, str] = {}
        for each in self.numbers:
            name, equals, pattern = each.partition("=")
            if not equals:
                raise ValueError("numbers are written SERIES=PATTERN, as in offer=AN-{year}-{number:04}")
            patterns[name.strip()] = pattern.strip()
        return SeriesTable(configured(patterns))

    def needs_service(self, setting: str) -> str | None:
        """Why a process can't have in its own directory what this setting would name a service for; None if
        it can.
        """
        if self.journal_dsn is None:
            return None
        return (
            f"the processes of a cluster have no directory in common: name one for all of them by {setting}"
        )

    @property
    def directory(self) -> Path:
        """Where the server keeps its data."""
        return self.data or Path("data/demo" if self.demo else "data")
