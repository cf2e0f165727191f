"""A server that speaks S3: moto's, as a process of its own."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import httpx

from kompass.backup.s3 import Access, S3Target
from tests.needs import ROOT
from tests.servers import free_port
from tests.serving import until


class S3:
    """Its address, and what is in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.access = Access(url, "eu-central-1", "name-of-a-key", "its-secret")
        self._client = httpx.Client(base_url=url, timeout=10)

    @property
    def answers(self) -> bool:
        try:
            return self._client.get("/").status_code == 200
        except httpx.TransportError:
            return False

    def bucket(self) -> str:
        """A new one's name."""
        name = f"b{secrets.token_hex(6)}"
        self._client.put(f"/{name}").raise_for_status()
        return name

    def target(self) -> S3Target:
        """A new place."""
        return S3Target(f"s3://{self.bucket()}/of/kompass", self.access)

    def objects(self, bucket: str) -> set[str]:
        listed = ElementTree.fromstring(self._client.get(f"/{bucket}?list-type=2").text)
        return {key.text or "" for key in listed.findall(".//{*}Key")}

    def close(self) -> None:
        self._client.close()


@contextmanager
def s3(directory: Path) -> Iterator[S3]:
    """An empty one."""
    port = free_port()
    log = directory / "s3.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
    server = S3(f"http://127.0.0.1:{port}")
    try:
        until(lambda: server.answers, 60, log.read_text)
        yield server
    finally:
        server.close()
        process.kill()
        process.wait()
