"""The server's settings under CouchDB's names: one table of what can be seen, and what can be set.

Values are text, as in CouchDB's configuration file. What isn't marked as settable is decided when the
server starts. Secrets and password hashes are in no row.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from replication.accounts.users import USERS_DATABASE
from replication.http import root
from replication.http.admin import MAX_PURGED_DOCUMENTS, MAX_PURGED_REVISIONS
from replication.http.call import MAX_JSON_BODY
from replication.http.changes_options import DEFAULT_TIMEOUT
from replication.http.config import LOCKOUT_THRESHOLD, ServerConfig
from replication.http.cors import METHODS
from replication.javascript.engine import CALL_SECONDS
from replication.protocol.documents import MAX_DOCUMENT_SIZE
from replication.replicator.jobs import MAX_RUNNING

HIDDEN = "(hidden)"
"""What is shown of a key or a password."""

LOG_LEVELS: Mapping[str, str] = {
    "debug": "DEBUG",
    "info": "INFO",
    "notice": "INFO",
    "warning": "WARNING",
    "warn": "WARNING",
    "error": "ERROR",
    "err": "ERROR",
}
"""CouchDB's names and Python's."""

REQUIRE_LOGIN = ("chttpd", "require_valid_user")

_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^\s/,?#@]+", re.IGNORECASE | re.ASCII)

Show = Callable[[ServerConfig], str]
Set = Callable[[ServerConfig, str], ServerConfig]


@dataclass(frozen=True, slots=True)
class ConfigKey:
    section: str
    key: str
    show: Show
    set: Set | None = None
    """The configuration with another value; raises ValueError for a bad one. None if it can't be."""

    @property
    def name(self) -> str:
        return f"{self.section}/{self.key}"


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _read_flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("it is true or false")
    return text == "true"


def _read_number(text: str, least: int, most: int = 2**31 - 1) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text[:12]) <= most:
        raise ValueError(f"it is a number from {least} to {most}")
    return int(text)


def _set_origins(config: ServerConfig, text: str) -> ServerConfig:
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        if _ORIGIN.fullmatch(origin) is None:
            raise ValueError("it is a list of origins like https://app.example:8443, with commas, or *")
    return replace(config, cors_origins=tuple(origin.lower() for origin in origins))


def _set_mode(config: ServerConfig, text: str) -> ServerConfig:
    if text not in ("off", "enforce"):
        raise ValueError("it is off or enforce")
    threshold = (config.lockout_threshold or LOCKOUT_THRESHOLD) if text == "enforce" else 0
    return replace(config, lockout_threshold=threshold)


def _level() -> str:
    return logging.getLevelName(logging.getLogger("replication").getEffectiveLevel()).lower()


def _set_level(config: ServerConfig, text: str) -> ServerConfig:
    if text not in LOG_LEVELS:
        raise ValueError(f"it is one of {', '.join(LOG_LEVELS)}")
    return replace(config, log_level=text)


KEYS = (
    # Set at run time. A later row may build upon the rows before.
    ConfigKey(
        *REQUIRE_LOGIN,
        lambda config: _flag(config.require_valid_user),
        lambda config, text: replace(config, require_valid_user=_read_flag(text)),
    ),
    ConfigKey(
        "chttpd_auth",
        "timeout",
        lambda config: str(config.session_timeout),
        lambda config, text: replace(config, session_timeout=_read_number(text, 10)),
    ),
    ConfigKey(
        "chttpd_auth_lockout",
        "threshold",
        lambda config: str(config.lockout_threshold or LOCKOUT_THRESHOLD),
        lambda config, text: replace(config, lockout_threshold=_read_number(text, 1)),
    ),
    ConfigKey(
        "chttpd_auth_lockout",
        "max_lifetime",
        lambda config: str(config.lockout_seconds * 1000),
        lambda config, text: replace(config, lockout_seconds=-(-_read_number(text, 1) // 1000)),
    ),
    ConfigKey(
        "chttpd_auth_lockout",
        "mode",
        lambda config: "enforce" if config.lockout_threshold else "off",
        _set_mode,
    ),
    ConfigKey("cors", "origins", lambda config: ", ".join(config.cors_origins), _set_origins),
    ConfigKey(
        "cors",
        "credentials",
        lambda config: _flag(config.cors_credentials),
        lambda config, text: replace(config, cors_credentials=_read_flag(text)),
    ),
    ConfigKey("log", "level", lambda _: _level(), _set_level),
    # Set at the start, or not at all.
    ConfigKey("chttpd", "enable_cors", lambda config: _flag(bool(config.cors_origins))),
    ConfigKey("chttpd", "max_http_request_size", lambda _: str(MAX_JSON_BODY)),
    ConfigKey("chttpd", "changes_timeout", lambda _: str(int(DEFAULT_TIMEOUT * 1000))),
    ConfigKey("chttpd_auth", "authentication_db", lambda _: USERS_DATABASE),
    ConfigKey("chttpd_auth", "iterations", lambda config: str(config.password_iterations)),
    ConfigKey("chttpd_auth", "same_site", lambda config: config.same_site),
    ConfigKey("chttpd_auth", "proxy_use_secret", lambda _: "true"),
    ConfigKey("cors", "methods", lambda _: ", ".join(METHODS)),
    ConfigKey("couchdb", "max_document_size", lambda _: str(MAX_DOCUMENT_SIZE)),
    ConfigKey("couchdb", "os_process_timeout", lambda _: str(int(CALL_SECONDS * 1000))),
    ConfigKey("couchdb", "single_node", lambda _: "true"),
    ConfigKey("purge", "max_document_id_number", lambda _: str(MAX_PURGED_DOCUMENTS)),
    ConfigKey("purge", "max_revisions_number", lambda _: str(MAX_PURGED_REVISIONS)),
    ConfigKey("replicator", "max_jobs", lambda _: str(MAX_RUNNING)),
    ConfigKey("uuids", "algorithm", lambda _: "random"),
    ConfigKey("uuids", "max_count", lambda _: str(root.MAX_UUIDS)),
    ConfigKey("vendor", "name", lambda _: root.VENDOR),
)

BY_NAME: Mapping[str, ConfigKey] = {each.name: each for each in KEYS}
SETTABLE = tuple(each.name for each in KEYS if each.set is not None)

_OLD_SECTIONS = {"couch_httpd_auth": "chttpd_auth"}
"""Names that CouchDB still understands."""


def section_name(section: str) -> str:
    return _OLD_SECTIONS.get(section, section)


def shown(config: ServerConfig) -> dict[str, dict[str, str]]:
    """All that may be seen, by section and key."""
    sections: dict[str, dict[str, str]] = {}
    for each in KEYS:
        sections.setdefault(each.section, {})[each.key] = each.show(config)
    sections["admins"] = dict.fromkeys(config.admins, HIDDEN)
    tokens = config.tokens
    if tokens is not None:
        sections["jwt_keys"] = dict.fromkeys(tokens.keys, HIDDEN)
        sections["jwt_auth"] = {
            "required_claims": tokens.required_claims,
            "roles_claim_name": tokens.roles_claim_name,
        }
        if tokens.roles_claim_path is not None:
            sections["jwt_auth"]["roles_claim_path"] = tokens.roles_claim_path
    return sections


def configured(start: ServerConfig, changes: Mapping[str, str]) -> ServerConfig:
    """`start` with `changes` by name. Raises ValueError for one that can't be, naming it."""
    config = start
    for each in KEYS:
        if each.set is not None and each.name in changes:
            try:
                config = each.set(config, changes[each.name])
            except ValueError as error:
                raise ValueError(f"{each.name}: {error}") from None
    return config
