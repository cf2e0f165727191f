"""The process that reads files, started by `kompass.extraction.extractor` as a module.

It reads jobs from standard input and answers on standard output. A job is a line of JSON (`size`, `plain`,
`seconds`) and so many bytes; an answer is a line of JSON: `{"text": …}`, null for a kind of file that has no
text, or `{"problem": …}`. Its memory, the time of each job and its files are limited by the system; what it
doesn't survive its parent notices.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

from kompass.extraction.readers import UnreadableError, text_of

MEMORY = 768 * 1024 * 1024
"""Bytes of address space."""

NO_MEMORY = "it needs too much memory"


def answer(data: bytes, plain: bool) -> dict[str, Any]:
    try:
        return {"text": text_of(data, plain=plain)}
    except UnreadableError as error:
        return {"problem": str(error)}
    except MemoryError:
        return {"problem": NO_MEMORY, "end": True}
    except RecursionError:
        return {"problem": "it is built too deep", "end": True}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
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
        found = answer(data, job["plain"])
        answers.write(json.dumps(found).encode("ascii") + b"\n")
        answers.flush()
        if found.get("end"):
            break


if __name__ == "__main__":
    main()
