"""The process that runs JavaScript. Started by `engine` as a script; it imports nothing of this program.

It reads jobs from standard input and answers on standard output. A frame is a length in four bytes, big
endian, and that many bytes. A job is two frames: a JSON object (`kind`, `source`, `modules`, `shared`,
`seconds`, `sizes`) and the items that the function is called with one after the other: JSON texts of these
sizes in bytes, which are never decoded here. The answer is a byte, 1 if this process ends after it, and one
frame: `{"results": […], "log": {…}}`, or `{"failed": reason, "limit": whether a limit was the reason}`.
There is a result per item: `{"value": …}`, or `{"error": …, "reason": …}` if something was thrown. When
they take long or are a lot, there are results for the first items only, at least for one.
"""

from __future__ import annotations

import json
import re
import signal
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

sys.path.extend(sys.argv[1:])  # where the engine is installed: this process looks nowhere else

import quickjs

HEAP = 64 << 20
"""Bytes of one engine's heap, not counting what it was given."""
EXPANSION = 80
"""Bytes of heap for each byte that it was given: so many are needed for `[[],[],[]]`, frozen."""
LARGEST_HEAP = 768 << 20
STACK = 1 << 20
PROCESS = 1 << 30
"""Bytes of address space of this process, should the engine's own count be wrong."""
LARGEST_ANSWER = 32 << 20
"""Characters of the results of one job, at most."""
ENOUGH = 4 << 20
"""Characters after which a job ends early. The caller asks again for the other items."""
TURN = 1.0
"""Seconds after which it ends early, too: others wait."""
RESIDENT = 64 << 20
"""Bytes of memory in use, at some time, after which the process makes place for a fresh one."""
GRACE = 1.0
"""Seconds of processor time beyond a call's limit until the process is ended by the system."""

_NULL_THROWN = '{"error":"unknown_error","reason":"null"}'
_ESCAPE = re.compile(r"\\(?:u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.DOTALL)
_LENGTH = struct.Struct(">I")
_ENVIRONMENT = Path(__file__).with_name("environment.js").read_text("utf-8")


class FailedError(Exception):
    def __init__(self, reason: str, limit: bool = True) -> None:
        super().__init__(reason)
        self.limit = limit


def run(job: dict[str, Any], body: bytes) -> str:
    """The answer to one job, as JSON. Raises `FailedError` if there is none for the job as a whole."""
    seconds = job["seconds"]
    given = len(job["source"]) + len(job["modules"]) + len(job["shared"])
    context = quickjs.Context()
    context.set_memory_limit(heap(given))
    context.set_max_stack_size(STACK)
    context.set_time_limit(seconds)
    context.eval(_ENVIRONMENT)
    load, step, messages = (context.eval(f"$harness.{name}") for name in ("load", "step", "messages"))
    context.eval("delete globalThis.$harness")
    try:
        begin_call(seconds)
        loaded = json.loads(well_formed(load(job["kind"], job["source"], job["modules"], job["shared"])))
        if "failed" in loaded:
            raise FailedError(loaded["failed"], limit=False)
        results = []
        size = 0
        start = 0
        end_of_turn = time.monotonic() + TURN
        for length in job["sizes"]:
            context.set_memory_limit(heap(given + length))
            begin_call(seconds)
            result = step(body[start : start + length].decode("utf-8"))
            start += length
            if result == _NULL_THROWN and peak() > RESIDENT:
                # With no memory left for an error, the engine throws null.
                raise FailedError(explained("out of memory", seconds))
            size += len(result)
            if size > LARGEST_ANSWER:
                raise FailedError("The function made more than can be taken at once.")
            results.append(well_formed(result))
            if size > ENOUGH or time.monotonic() > end_of_turn:
                break
        return f'{{"results":[{",".join(results)}],"log":{well_formed(messages())}}}'
    except (quickjs.JSException, quickjs.StackOverflow) as error:
        raise FailedError(explained(str(error), seconds)) from None


def heap(given: int) -> int:
    return min(HEAP + EXPANSION * given, LARGEST_HEAP)


def well_formed(text: str) -> str:
    """JSON text without lone surrogates, which the engine escapes but nobody could store."""
    if "\\ud" not in text:
        return text
    return _ESCAPE.sub(lambda escape: "\ufffd" if len(escape[0]) == 6 else escape[0], text)


def explained(message: str, seconds: float) -> str:
    first = message.partition("\n")[0]
    if "interrupted" in first:
        return f"The function ran for more than {seconds:g} seconds."
    if "out of memory" in first or first == "null":
        return f"The function needed more than {HEAP >> 20} MB of memory beside what it was given."
    return first[:1000]


def begin_call(seconds: float) -> None:
    # Sorting a huge array, for one, is nothing the engine can interrupt; then the system ends this process.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds + GRACE)


def bound_process() -> None:
    try:
        import resource
    except ImportError:
        return
    for kind, limit in ((resource.RLIMIT_AS, PROCESS), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (limit, limit))


def peak() -> int:
    """Bytes of memory this process had in use at most."""
    # Linux counts in `ru_maxrss` what the parent had in use when it started this process.
    with suppress(OSError):
        for line in Path("/proc/self/status").read_bytes().splitlines():
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) << 10
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def read_frame(stream: BinaryIO) -> bytes:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (size,) = _LENGTH.unpack(head)
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def main() -> None:
    bound_process()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            job = json.loads(read_frame(source))
            body = read_frame(source)
        except EOFError:
            return
        try:
            answer = run(job, body)
        except FailedError as error:
            answer = json.dumps({"failed": str(error), "limit": error.limit})
        except (TypeError, ValueError):
            answer = json.dumps({"failed": "The function spoilt its own results.", "limit": True})
        except MemoryError:
            answer = json.dumps({"failed": "There was not enough memory to run the function.", "limit": True})
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        del body
        data = answer.encode("utf-8", "replace")
        last = peak() > RESIDENT
        sink.write(bytes([last]) + _LENGTH.pack(len(data)) + data)
        sink.flush()
        if last:
            return


if __name__ == "__main__":
    main()
