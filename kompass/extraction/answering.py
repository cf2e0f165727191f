"""The other end of `kompass.extraction.isolated`: a process with limits, which does one job after the other.

It reads jobs from standard input and answers on standard output. A job is a line of JSON (`size`, `seconds`
and whatever the work needs) and so many bytes; an answer is a line of JSON. Its memory, the time of each job
and its files are limited by the system; what it doesn't survive its parent notices.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from typing import Any

MEMORY = 768 * 1024 * 1024
"""Bytes of address space."""

Answer = dict[str, Any]
"""With `end` the process is done: a fresh one takes its place."""


def serve(answer: Callable[[bytes, Answer], Answer], memory: int = MEMORY) -> None:
    """Answers jobs until there are no more."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    jobs, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what a library prints is no answer
    while line := jobs.readline():
        job = json.loads(line)
        data = jobs.read(job["size"])
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime + job["seconds"]) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        found = answer(data, job)
        answers.write(json.dumps(found).encode("ascii") + b"\n")
        answers.flush()
        if found.get("end"):
            break
