"""What values of settings look like: the choices, and types that say what is wrong with a value.

Libraries that only one of them needs are imported where it is looked at: every command reads the settings.
"""

from __future__ import annotations

import re
from enum import StrEnum
from importlib.util import find_spec
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

NEVER = "never"
"""Instead of a cron line: by hand only."""

_REALM = re.compile(r"/realms/[^/]+/?$")


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


class EmbedderKind(StrEnum):
    PACKAGED = "packaged"
    OPENAI = "openai"
    TRANSFORMERS = "sentence-transformers"


class FeedMode(StrEnum):
    AUTO = "auto"
    OFF = "off"


class SameSite(StrEnum):
    STRICT = "strict"
    LAX = "lax"
    NONE = "none"


# -- several values, separated by commas -------------------------------------------------------------


def _split_at_commas(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        # `*` and `null` would let any page act as whoever looks at it.
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/*@?#]+", origin) is None:
            raise ValueError(f"{origin} is no origin: name each as https://HOST or https://HOST:PORT")
    return origins


def _hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    from replication.replicator.hosts import AllowedHosts

    AllowedHosts(hosts)  # raises ValueError for what is none
    return hosts


Several = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_at_commas)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_at_commas)]
Origins = Annotated[Several, AfterValidator(_origins)]
Hosts = Annotated[Several, AfterValidator(_hosts)]


# -- addresses ---------------------------------------------------------------------------------------


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"{value!r} is no http or https address")
    return value.rstrip("/")


def _of_a_realm(value: str) -> str:
    if not _REALM.search(urlsplit(value).path):
        raise ValueError("give it as the tokens have it: https://HOST/realms/REALM")
    return value


def _server(*schemes: str) -> AfterValidator:
    def checked(value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in schemes or not (parts.hostname or parts.path):
            raise ValueError(f"give an address that begins with {' or '.join(schemes)}://")
        return value

    return AfterValidator(checked)


def _sftp(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "sftp" or not parts.hostname or not parts.username or parts.password:
        raise ValueError("give it as sftp://NAME@HOST/FOLDER, without a password: a key logs in")
    return value


WebAddress = Annotated[str, AfterValidator(_web_address)]
Issuer = Annotated[WebAddress, AfterValidator(_of_a_realm)]
SftpAddress = Annotated[str, AfterValidator(_sftp)]
# With a password in them.
RedisAddress = Annotated[SecretStr, _server("redis", "rediss", "unix")]
MailAddress = Annotated[SecretStr, _server("smtp", "smtps")]
CouchAddress = Annotated[SecretStr, _server("https", "http")]


# -- others ------------------------------------------------------------------------------------------


def _name_and_password(value: SecretStr) -> SecretStr:
    name, _, password = value.get_secret_value().partition(":")
    if not name or name.startswith("_") or not password:
        raise ValueError("give NAME:PASSWORD; a name doesn't start with an underscore")
    return value


def _land(value: str) -> str:
    from kompass.readstore.calendar import STATES

    if value not in STATES:
        raise ValueError(f"{value} is no German Land; known: {', '.join(STATES)}")
    return value


def _cron_line(value: str) -> str:
    if value == NEVER:
        return value
    if re.fullmatch(r"[0-9a-z*/,#-]+( [0-9a-z*/,#-]+){4}", value) is None:
        raise ValueError(f"{value!r} is no cron line of five parts, as 0 2 * * *, and not {NEVER}")
    if find_spec("croniter") is not None:
        from croniter import croniter

        if not croniter.is_valid(value):
            raise ValueError(f"{value!r} is no time that ever comes")
    return value


NameAndPassword = Annotated[SecretStr, AfterValidator(_name_and_password)]
Land = Annotated[str, AfterValidator(_land)]
CronLine = Annotated[str, AfterValidator(_cron_line)]
