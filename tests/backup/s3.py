"""A server that speaks S3: the one that KOMPASS_TEST_S3_URL names, or else moto's, as a process of its own.

`http://KEY:SECRET@HOST:PORT/BUCKET?region=REGION`; the bucket is there, and what the tests put into it stays.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import obstore
from obstore.store import S3Store

from kompass.backup.s3 import Access, S3Target
from tests.needs import ROOT
from tests.servers import free_port
from tests.serving import until

URL = "KOMPASS_TEST_S3_URL"


class S3:
    """A bucket."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = str(parts.hostname), int(parts.port or 80)
        self.url = f"http://{self.host}:{self.port}"
        self.bucket = parts.path.strip("/")
        region = parts.query.partition("region=")[2] or "us-east-1"
        self.access = Access(self.url, region, unquote(parts.username or ""), unquote(parts.password or ""))

    def place(self) -> str:
        """A new one, where nothing is."""
        return f"s3://{self.bucket}/{secrets.token_hex(6)}/kompass"

    def target(self) -> S3Target:
        """At a new place."""
        return S3Target(self.place(), self.access)

    def objects(self, prefix: str) -> set[str]:
        """Everything below it, with its whole name."""
        store = S3Store(
            self.bucket,
            endpoint=self.url,
            region=self.access.region,
            access_key_id=self.access.access_key,
            secret_access_key=self.access.secret_key,
            client_options={"allow_http": True},
        )
        return {one["path"] for page in obstore.list(store, prefix) for one in page}


@contextmanager
def s3(directory: Path) -> Iterator[S3]:
    if url := os.environ.get(URL):
        yield S3(url)
        return
    server = S3(f"http://name-of-a-key:its-secret@127.0.0.1:{free_port()}/backups")
    log = directory / "s3.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "moto.server", "-H", server.host, "-p", str(server.port)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)

    def has_bucket() -> bool:
        try:
            return httpx.put(f"{server.url}/{server.bucket}", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    try:
        until(has_bucket, 60, log.read_text)
        yield server
    finally:
        process.kill()
        process.wait()
