"""How a replication is described, as CouchDB's `_replicate` and `_replicator` have it.

`parse` reads such a JSON object. An endpoint is the name of a database of this server, a URL, or
`{"url", "headers", "auth"}`; credentials are taken out of the URL at once, so that an address may be
shown wherever it turns up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx

from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError
from replication.protocol.mango.selector import compile_selector
from replication.protocol.names import check_database_name
from replication.replicator.failures import InvalidReplication, quoted
from replication.replicator.peer import Feed, Seq
from replication.replicator.proxies import Proxy, read_proxy

_PLAIN_HEADERS = frozenset({"authorization", "cookie", "user-agent", "x-auth-couchdb-token"})
_REFUSED_HEADERS = frozenset({
    "accept", "accept-encoding", "connection", "content-length", "content-type", "expect", "host",
    "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
"""Headers that the transport makes; given ones would change what a request means."""
_PROXIES = frozenset({"proxy", "source_proxy", "target_proxy"})


@dataclass(frozen=True, slots=True)
class Basic:
    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """Name and password exchanged for a cookie."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bearer:
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BearerFile:
    """A token in a file that somebody renews: read again when it is refused."""

    path: Path


Credentials = Basic | Session | Bearer | BearerFile


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a replication."""

    url: str
    """With a slash at its end and without credentials; for a database of this server its name."""
    is_local: bool = False
    credentials: Credentials | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: Proxy | None = None
    """What stands in between; never for a database of this server."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to replicate. Times in seconds."""

    continuous: bool = False
    create_target: bool = False
    create_target_params: Mapping[str, str] = field(default_factory=dict)
    """Query parameters for making the target: `q`, `n`, `partitioned`."""
    feed: Feed = field(default_factory=Feed)
    since_seq: Seq = None
    """Where to begin, whatever the checkpoints say."""
    use_checkpoints: bool = True
    checkpoint_interval: float = 30.0
    batch_size: int = 1000
    """Changes that are looked at together."""
    workers: int = 3
    """Batches under way at the same time."""
    retries: int = 5
    """Attempts after the first for a request that a peer could not answer."""
    timeout: float = 30.0
    """How long a peer may be silent."""


@dataclass(frozen=True, slots=True)
class Description:
    """A whole replication."""

    source: Endpoint
    target: Endpoint
    options: Options


def parse(value: Mapping[str, Any]) -> Description:
    """A replication from its JSON object. Raises `InvalidReplication`."""
    return Description(
        source=parse_endpoint(value.get("source"), _proxy(value, "source_proxy")),
        target=parse_endpoint(value.get("target"), _proxy(value, "target_proxy")),
        options=parse_options(value),
    )


def parse_options(value: Mapping[str, Any]) -> Options:
    """The members beside `source` and `target`."""
    return Options(
        continuous=_flag(value, "continuous"),
        create_target=_flag(value, "create_target"),
        create_target_params=_create_target_params(value),
        feed=_feed(value),
        since_seq=value.get("since_seq"),
        use_checkpoints=_flag(value, "use_checkpoints", True),
        checkpoint_interval=_number(value, "checkpoint_interval", 30_000, 1, 86_400_000) / 1000,
        batch_size=int(_number(value, "worker_batch_size", 1000, 1, 10_000)),
        workers=int(_number(value, "worker_processes", 3, 1, 16)),
        retries=int(_number(value, "retries_per_request", 5, 0, 100)),
        timeout=_number(value, "connection_timeout", 30_000, 100, 3_600_000) / 1000,
    )


def _flag(value: Mapping[str, Any], name: str, default: bool = False) -> bool:
    given = value.get(name, default)
    if not isinstance(given, bool):
        raise InvalidReplication(f"parameter `{name}` must be a boolean")
    return given


def _create_target_params(value: Mapping[str, Any]) -> dict[str, str]:
    given = value.get("create_target_params", {})
    if not isinstance(given, dict):
        raise InvalidReplication("parameter `create_target_params` must be a JSON object")
    params: dict[str, str] = {}
    for name, param in given.items():
        if isinstance(param, bool | int):
            params[name] = jsontext.encode(param).decode()
        elif isinstance(param, str):
            params[name] = param
        else:
            raise InvalidReplication(
                f"{quoted(name)} in `create_target_params` must be a string, a whole number or a boolean"
            )
    return params


def _number(value: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    given = value.get(name, default)
    if type(given) not in (int, float) or not low <= given <= high:
        raise InvalidReplication(f"parameter `{name}` must be a number from {low} to {high}")
    return float(given)


def _feed(value: Mapping[str, Any]) -> Feed:
    given = [name for name in ("doc_ids", "filter", "selector") if value.get(name) is not None]
    if len(given) > 1:
        raise InvalidReplication("`doc_ids`,`filter`,`selector` are mutually exclusive")
    doc_ids, name, selector = (value.get(each) for each in ("doc_ids", "filter", "selector"))
    if doc_ids is not None:
        if not isinstance(doc_ids, list) or not all(isinstance(docid, str) for docid in doc_ids):
            raise InvalidReplication("parameter `doc_ids` must be an array of strings")
        doc_ids = tuple(sorted({_unquoted(docid) for docid in doc_ids}))
    if selector is not None:
        if not isinstance(selector, dict):
            raise InvalidReplication("parameter `selector` must be a JSON object")
        try:
            compile_selector(selector)
        except ProtocolError as error:
            raise InvalidReplication(error.reason) from None
    if name is not None and not isinstance(name, str):
        raise InvalidReplication("parameter `filter` must be a string")
    params = value.get("query_params") or {}
    if not isinstance(params, dict):
        raise InvalidReplication("parameter `query_params` must be a JSON object")
    return Feed(
        doc_ids=doc_ids,
        selector=selector,
        filter=name,
        query_params=params,
        all_leaves=not _flag(value, "winning_revs_only"),
    )


def _unquoted(docid: str) -> str:
    """An id as CouchDB reads it in `doc_ids`: design documents may come with `%2F`."""
    return unquote(docid) if docid.lower().startswith("_design%2f") else docid


# -- endpoints -----------------------------------------------------------------------------------


def _proxy(value: Mapping[str, Any], name: str) -> Proxy | None:
    given = {key: value[key] for key in ("proxy", name) if value.get(key) not in (None, "")}
    if len(given) > 1:
        raise InvalidReplication(f"`proxy` is mutually exclusive with `{name}`")
    for key, url in given.items():
        if not isinstance(url, str):
            raise InvalidReplication(f"`{key}` must be a URL")
        try:
            return read_proxy(url)
        except ValueError as error:
            raise InvalidReplication(f"`{key}`: {error}") from None
    return None


def parse_endpoint(value: Any, proxy: Proxy | None = None) -> Endpoint:
    """One end from its JSON, to be reached through `proxy`. Raises `InvalidReplication`."""
    if isinstance(value, str) and value:
        return _located(value, None, {}, proxy)
    if isinstance(value, dict):
        url = value.get("url")
        if not isinstance(url, str):
            raise InvalidReplication("an endpoint must have a `url`")
        return _located(url, _credentials(value.get("auth")), _headers(value.get("headers")), proxy)
    raise InvalidReplication("Missing replicator database")


def _located(
    text: str, credentials: Credentials | None, headers: dict[str, str], proxy: Proxy | None = None
) -> Endpoint:
    if "://" not in text:
        try:
            return Endpoint(check_database_name(text), is_local=True)
        except ProtocolError:
            # Somebody may have left out the scheme before his name and password.
            shown = text.rpartition("@")[2]
            raise InvalidReplication(
                f"{quoted(shown)} is neither a URL with http:// or https:// nor the name of a database"
            ) from None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidReplication("an endpoint's URL is not a URL") from None
    if parts.scheme not in ("http", "https"):
        raise InvalidReplication("an endpoint's URL must begin with http:// or https://")
    if not host or not text.isprintable() or " " in text or "\\" in text:
        raise InvalidReplication("an endpoint's URL must name a host, and have no blanks in it")
    if parts.query or parts.fragment:
        raise InvalidReplication("an endpoint's URL must not have a query or a fragment")
    path = parts.path.rstrip("/")
    if not path.rpartition("/")[2]:
        raise InvalidReplication(f"the URL of {quoted(host)} must name a database behind the host")
    if parts.username is not None and credentials is None:
        credentials = Basic(unquote(parts.username), unquote(parts.password or ""))
    bracketed = f"[{host}]" if ":" in host else host
    netloc = bracketed if port is None else f"{bracketed}:{port}"
    url = urlunsplit((parts.scheme, netloc, path + "/", "", ""))
    try:
        httpx.URL(url).host  # noqa: B018 - decodes international names
    except (httpx.InvalidURL, UnicodeError):
        raise InvalidReplication(f"{quoted(host)} can't be the name of a host") from None
    return Endpoint(url, credentials=credentials, headers=headers, proxy=proxy)


def _credentials(value: Any) -> Credentials | None:
    """`{"basic": {"username", "password"}}`, the same under `session`, or `{"bearer": {"token"}}`."""
    if value is None:
        return None
    if isinstance(value, dict) and len(value) == 1:
        kind, inner = next(iter(value.items()))
        if kind in ("basic", "session") and isinstance(inner, dict):
            name, password = inner.get("username"), inner.get("password")
            if isinstance(name, str) and isinstance(password, str):
                return Basic(name, password) if kind == "basic" else Session(name, password)
        if kind == "bearer" and isinstance(inner, dict) and isinstance(inner.get("token"), str):
            return Bearer(_header_value(inner["token"], "token"))
    raise InvalidReplication(
        '`auth` must be {"basic": {"username", "password"}}, the same with "session",'
        ' or {"bearer": {"token"}}'
    )


def _headers(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidReplication("`headers` must be a JSON object")
    headers: dict[str, str] = {}
    for name, text in value.items():
        lowered = name.lower()
        plain = lowered in _PLAIN_HEADERS or (lowered.startswith("x-") and lowered.isascii())
        if not plain or lowered in _REFUSED_HEADERS or not lowered.replace("-", "").isalnum():
            raise InvalidReplication(f"the header {quoted(name)} can't be set for an endpoint")
        headers[lowered] = _header_value(text, name)
    return headers


def _header_value(text: Any, name: str) -> str:
    if not isinstance(text, str) or not text.isascii() or not text.isprintable():
        raise InvalidReplication(f"{quoted(name)} must be printable ASCII")
    return text.strip()  # blanks around it are no part of a header's value


def stripped(value: Mapping[str, Any]) -> dict[str, Any]:
    """A replication document for those who may not see its credentials."""
    shown = dict(value)
    for side in ("source", "target"):
        if side not in shown:
            continue
        end = shown[side]
        url = end.get("url") if isinstance(end, dict) else end
        bare = without_credentials(url) if isinstance(url, str) else None
        shown[side] = {"url": bare} if isinstance(end, dict) else bare
    for name in _PROXIES.intersection(shown):
        shown[name] = _proxy_without_credentials(shown[name])
    return shown


def _proxy_without_credentials(url: Any) -> str | None:
    try:
        return read_proxy(url).url if isinstance(url, str) else None
    except ValueError:
        return None


def without_credentials(url: str) -> str:
    """An address as it may be shown, be it a good one or not."""
    if "://" not in url:
        return url.rpartition("@")[2]
    try:
        return _located(url, None, {}).url
    except InvalidReplication:
        scheme, _, rest = url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"


def canonical(value: Any) -> bytes:
    """JSON that is the same for equal values: keys sorted."""
    return jsontext.encode(_sorted(value))


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_sorted(each) for each in value]
    return value
