"""The one node there is: its name, figures and versions, under `/_node/{name}/`."""

from __future__ import annotations

import asyncio
import gc
import mmap
import platform
import sys
import threading
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import apsw
from starlette.responses import Response

from replication.http import statistics
from replication.http.call import Call
from replication.http.responses import json_response
from replication.protocol import errors
from replication.protocol.collation import COLLATION
from replication.replicator.jobs import NODE

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

NAMES = frozenset({"_local", NODE})


async def incomplete(call: Call) -> Response:
    raise errors.bad_request("Incomplete path to _node request")


async def unknown(call: Call) -> Response:
    raise errors.not_found(f"no such node: {call.segments[1]}")


async def missing(call: Call) -> Response:
    raise errors.missing()


async def name(call: Call) -> Response:
    return json_response({"name": NODE})


async def restart(call: Call) -> Response:
    raise errors.not_implemented("A server is restarted by what started it: systemd, a container, a shell.")


async def stats(call: Call) -> Response:
    """`GET …/_stats[/section[/name…]]`: figures since the start; `null` for what isn't counted."""
    return json_response(statistics.below(statistics.as_tree(call.server), call.rest))


async def prometheus(call: Call) -> Response:
    """`GET …/_prometheus`: the same figures for Prometheus to scrape."""
    text = statistics.as_prometheus(call.server, _uptime(call), memory())
    return Response(text, headers={"content-type": statistics.PROMETHEUS_TYPE})


def _uptime(call: Call) -> float:
    return time.time() - call.server.metrics.started


def memory() -> dict[str, int]:
    """Bytes of this process: `resident` now and `peak`, as far as the system tells."""
    sizes = {}
    statm = Path("/proc/self/statm")
    if statm.exists():
        sizes["resident"] = int(statm.read_text("ascii").split()[1]) * mmap.PAGESIZE
    if resource is not None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sizes["peak"] = peak if sys.platform == "darwin" else peak * 1024
    return sizes


async def system(call: Call) -> Response:
    """`GET …/_system`: how the process is. Of CouchDB's members those that mean something here."""
    answer: dict[str, object] = {
        "uptime": int(_uptime(call)),
        "memory": memory(),
        "garbage_collection_count": sum(generation["collections"] for generation in gc.get_stats()),
        "process_count": len(asyncio.all_tasks()),
        "thread_count": threading.active_count(),
        "os_file_count": statistics.open_files(),
        "internal_replication_jobs": 0,
        "message_queues": {},
        "distribution": {},
    }
    if resource is not None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        answer["context_switches"] = usage.ru_nvcsw + usage.ru_nivcsw
        answer["processor_seconds"] = round(usage.ru_utime + usage.ru_stime, 3)
    return json_response(answer)


async def versions(call: Call) -> Response:
    """`GET …/_versions`: what the server is made of."""
    collation, _, collation_version = COLLATION.partition("-")
    return json_response(
        {
            "javascript_engine": {"name": "quickjs", "version": _installed("quickjs-ng")},
            "python": {"name": platform.python_implementation(), "version": platform.python_version()},
            "sqlite": {"version": apsw.sqlite_lib_version()},
            "collation_driver": {
                "name": "libicu" if collation == "icu" else collation,
                "library_version": collation_version,
            },
        }
    )


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
