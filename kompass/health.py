"""Asks a server on this machine whether it is well: `python -m kompass.health [URL]`, for containers.

Ends with 0 if the answer is 200, with 1 and the answer on stderr if not. Imports nothing but the standard
library: it runs every few seconds.
"""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

SECONDS = 4.0
"""It says no after that: who asks waits for five."""


def ask(url: str) -> str | None:
    """None if `url`, of http, answers 200; else what it says instead."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        text = answer.read(500).decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        return f"{url}: {str(error) or type(error).__name__}"
    finally:
        connection.close()
    return None if answer.status == 200 else f"{url}: {answer.status} {text}"


def main(arguments: list[str]) -> int:
    """`arguments`: at most the URL; default: readiness at the port of the settings' variable."""
    port = os.environ.get("KOMPASS_PORT", "8080")
    why = ask(arguments[0] if arguments else f"http://127.0.0.1:{port}/readyz")
    if why is not None:
        sys.stderr.write(why + "\n")
    return 0 if why is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
