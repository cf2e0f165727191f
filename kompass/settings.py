"""Everything that can be set, in one class.

A value comes from, in this order: the command line, a `KOMPASS_…` environment variable, `kompass.toml` in
the working directory (or the file named by `KOMPASS_CONFIG`), the default. An unknown name in the file is an
error: a misspelt setting would silently do nothing. `docs/settings.md` lists them; a test compares the two.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class DemoSize(StrEnum):
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


class Settings(BaseSettings):
    """The product's settings. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="KOMPASS_", extra="forbid", frozen=True)

    host: str = Field(default="127.0.0.1", description="Address to listen on")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    data: Path | None = Field(
        default=None,
        description="Directory for everything the server keeps; default `data`, for demo data `data/demo`",
    )
    admin: SecretStr | None = Field(
        default=None,
        description="`NAME:PASSWORD` of the server's administrator; needed except for demo data",
    )
    demo: bool = Field(
        default=False, description="Serve generated data to demo users; on the loopback address only"
    )
    demo_size: DemoSize = Field(
        default=DemoSize.SMALL, description="`small`, `medium` or `large`: 50, 500 or 5,000 customers"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
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
    replication_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Hosts, addresses and networks beside this machine that the server's own replications"
        " may reach; comma-separated",
    )
    replication_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
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
    pouchdb_file: Path | None = Field(
        default=None,
        description="PouchDB's browser build for the page; default: what `./scripts/run` fetched from npm",
    )

    @field_validator("admin")
    @classmethod
    def _name_and_password(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            name, _, password = value.get_secret_value().partition(":")
            if not name or name.startswith("_") or not password:
                raise ValueError("give NAME:PASSWORD; a name doesn't start with an underscore")
        return value

    @field_validator("cors_origins", "replication_hosts", "replication_proxies", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @model_validator(mode="after")
    def _demo_stays_here(self) -> Settings:
        # Imported here: it brings the whole server along, which `kompass --version` needn't wait for.
        from replication.server import is_loopback

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
        return init_settings, env_settings, file

    @property
    def admins(self) -> dict[str, str]:
        """The administrator's name and password; empty if none is set."""
        if self.admin is None:
            return {}
        name, _, password = self.admin.get_secret_value().partition(":")
        return {name: password}

    @property
    def directory(self) -> Path:
        """Where the server keeps its data."""
        return self.data or Path("data/demo" if self.demo else "data")
