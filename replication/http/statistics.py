"""The server's figures: one table, shown as CouchDB's `_stats` and as Prometheus' text.

Names, types and descriptions are CouchDB's, so that its dashboards find what they look for. What this
server doesn't measure is left out rather than shown as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replication.http.metrics import CLIENT_LEFT, METHODS, OTHER_METHOD, Distribution
from replication.replicator import jobs

if TYPE_CHECKING:
    from replication.http.server import Server

# fmt: off
STATUS_CODES = (
    200, 201, 202, 204, 206, 301, 302, 304, 400, 401, 403, 404, 405, 406, 409, 412, 413, 414, 415, 416, 417,
    500, 501, 503, 507,
)
# fmt: on
"""Those that are shown from the beginning; others once they occur."""

Value = int | float | Distribution


@dataclass(frozen=True, slots=True)
class Statistic:
    path: tuple[str, ...]
    """Where it is in `_stats`."""
    kind: str
    """`counter`, `gauge` or `histogram`."""
    description: str
    read: Callable[[Server], Value]
    prometheus: str
    """The name there, without `couchdb_` and without its suffix."""
    label: tuple[str, str] | None = None


def _states(*names: str) -> Callable[[Server], int]:
    return lambda server: sum(job.state in names for job in server.jobs.listed())


_FIXED = (
    Statistic(
        ("couchdb", "httpd", "requests"),
        "counter",
        "number of HTTP requests",
        lambda server: server.metrics.requests,
        "httpd_requests",
    ),
    Statistic(
        ("couchdb", "httpd", "requests_in_progress"),
        "gauge",
        "number of HTTP requests that are being answered, feeds included",
        lambda server: server.metrics.in_progress,
        "httpd_requests_in_progress",
    ),
    Statistic(
        ("couchdb", "httpd", "aborted_requests"),
        "counter",
        "number of aborted requests",
        lambda server: server.metrics.by_status()[CLIENT_LEFT],
        "httpd_aborted_requests",
    ),
    Statistic(
        ("couchdb", "request_time"),
        "histogram",
        "milliseconds the latest 1000 requests took",
        lambda server: server.metrics.times(),
        "request_time_seconds",
    ),
    Statistic(
        ("couchdb", "open_databases"),
        "counter",
        "number of open databases",
        lambda server: server.store.counts().open_databases,
        "open_databases",
    ),
    Statistic(
        ("couchdb", "open_os_files"),
        "counter",
        "number of file descriptors the server has open",
        lambda _: open_files(),
        "open_os_files",
    ),
    Statistic(
        ("couchdb", "database_reads"),
        "counter",
        "number of times a document was read from a database",
        lambda server: server.store.counts().document_reads,
        "database_reads",
    ),
    Statistic(
        ("couchdb", "database_writes"),
        "counter",
        "number of times a database was changed",
        lambda server: server.store.counts().commits,
        "database_writes",
    ),
    Statistic(
        ("couchdb", "document_writes"),
        "counter",
        "number of document write operations",
        lambda server: server.store.counts().document_writes,
        "document_writes",
    ),
    Statistic(
        ("couchdb", "commits"),
        "counter",
        "number of commits performed",
        lambda server: server.store.counts().commits,
        "commits",
    ),
    Statistic(
        ("couch_replicator", "jobs", "total"),
        "gauge",
        "total number of replicator scheduler jobs",
        lambda server: len(server.jobs.listed()),
        "couch_replicator_jobs_all",
    ),
    Statistic(
        ("couch_replicator", "jobs", "running"),
        "gauge",
        "replicator scheduler running jobs",
        _states(jobs.RUNNING),
        "couch_replicator_jobs_running",
    ),
    Statistic(
        ("couch_replicator", "jobs", "pending"),
        "gauge",
        "replicator scheduler pending jobs",
        _states(jobs.INITIALIZING, jobs.PENDING),
        "couch_replicator_jobs_pending",
    ),
    Statistic(
        ("couch_replicator", "jobs", "crashed"),
        "gauge",
        "replicator scheduler crashed jobs",
        _states(jobs.CRASHING, jobs.ERROR),
        "couch_replicator_jobs_crashed",
    ),
)


def _of_method(method: str) -> Statistic:
    return Statistic(
        ("couchdb", "httpd_request_methods", method),
        "counter",
        f"number of HTTP {method} requests",
        lambda server: server.metrics.by_method()[method],
        "httpd_request_methods",
        ("method", method),
    )


def _of_status(code: int) -> Statistic:
    known = code in {status.value for status in HTTPStatus}
    return Statistic(
        ("couchdb", "httpd_status_codes", str(code)),
        "counter",
        f"number of HTTP {code} {HTTPStatus(code).phrase if known else 'Other'} responses",
        lambda server: server.metrics.by_status()[code],
        "httpd_status_codes",
        ("code", str(code)),
    )


def statistics(server: Server) -> list[Statistic]:
    """All there are. Which methods and status codes depends on what has been answered."""
    methods = [*METHODS, *([OTHER_METHOD] if server.metrics.by_method()[OTHER_METHOD] else [])]
    codes = sorted({*STATUS_CODES, *server.metrics.by_status()} - {CLIENT_LEFT})
    return [*_FIXED, *map(_of_method, methods), *map(_of_status, codes)]


def open_files() -> int:
    """0 where the system doesn't tell."""
    listing = Path("/proc/self/fd")
    return sum(1 for _ in listing.iterdir()) if listing.exists() else 0


def as_tree(server: Server) -> dict[str, Any]:
    """The figures as `_stats` shows them."""
    tree: dict[str, Any] = {}
    for statistic in statistics(server):
        value = statistic.read(server)
        branch = tree
        for name in statistic.path[:-1]:
            branch = branch.setdefault(name, {})
        branch[statistic.path[-1]] = {
            "value": value.members() if isinstance(value, Distribution) else value,
            "type": statistic.kind,
            "desc": statistic.description,
        }
    return tree


def below(tree: Any, path: tuple[str, ...]) -> Any:
    """The part of `tree` that `path` leads to; None if it leads nowhere, as in CouchDB."""
    for name in path:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


# -- Prometheus ----------------------------------------------------------------------------------

PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def as_prometheus(server: Server, uptime: float, memory: Mapping[str, int]) -> str:
    """The figures in Prometheus' text format. `uptime` in seconds, `memory` in bytes by kind."""
    lines: list[str] = []
    described: set[str] = set()
    for statistic in statistics(server):
        value = statistic.read(server)
        if isinstance(value, Distribution):
            lines += _summary(statistic, value, server)
            continue
        # CouchDB leaves counters with labels without the suffix.
        suffix = "_total" if statistic.kind == "counter" and statistic.label is None else ""
        name = f"couchdb_{statistic.prometheus}{suffix}"
        if name not in described:
            described.add(name)
            lines += _head(name, statistic.kind, statistic.description if statistic.label is None else "")
        label = "" if statistic.label is None else '{{{}="{}"}}'.format(*statistic.label)
        lines.append(f"{name}{label} {value}")
    lines += [
        *_head("couchdb_uptime_seconds", "counter", "couchdb uptime"),
        f"couchdb_uptime_seconds {uptime:.0f}",
    ]
    lines += _head("couchdb_memory_bytes", "gauge", "memory of the server's process")
    lines += [f'couchdb_memory_bytes{{memory_type="{kind}"}} {size}' for kind, size in memory.items()]
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str, description: str) -> list[str]:
    return [*([f"# HELP {name} {description}"] if description else []), f"# TYPE {name} {kind}"]


def _summary(statistic: Statistic, value: Distribution, server: Server) -> list[str]:
    name = f"couchdb_{statistic.prometheus}"
    quantiles = [
        f'{name}{{quantile="{rank / (1000 if rank > 100 else 100):g}"}} {milliseconds / 1000:.6g}'
        for rank, milliseconds in value.percentile
    ]
    total = [f"{name}_sum {server.metrics.seconds:.6g}", f"{name}_count {server.metrics.requests}"]
    return [
        *_head(name, "summary", "seconds requests took; quantiles of the latest ones"),
        *quantiles,
        *total,
    ]
