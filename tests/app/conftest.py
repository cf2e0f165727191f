from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from kompass.demo import PASSWORD
from tests.needs import ROOT, require

AUTHORITIES = httpx.create_ssl_context()
"""Read once: it takes 25 ms, and each look at the server is a client of its own."""
PATIENCE = 20_000
"""Milliseconds within which whatever is awaited has to happen."""


@dataclass
class Demo:
    """A demo server as a process of its own."""

    url: str
    process: subprocess.Popen[str]

    def client(self, login: str) -> httpx.Client:
        """A colleague at a desk: works on the server directly."""
        return httpx.Client(base_url=f"{self.url}kompass/", auth=(login, PASSWORD), verify=AUTHORITIES)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


@contextmanager
def start_demo(data: Path, **environment: str) -> Iterator[Demo]:
    command = [sys.executable, "-m", "kompass", "serve", "--demo", "--port", "0", "--data", str(data)]
    log = (data.parent / "server.log").open("w")
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=log, text=True
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"page +(http://\S+)app/", line):
                yield Demo(found[1], process)
                break
        else:
            pytest.fail(f"the server did not start: {(data.parent / 'server.log').read_text()}")
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()
        log.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with start_demo(tmp_path_factory.mktemp("demo") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = require("chromium")
    with sync_playwright() as playwright:
        arguments = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
        ]
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A tablet of its own: nothing stored, nobody logged in."""
    context = browser.new_context(locale="de-DE", viewport={"width": 1180, "height": 820})
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """Fails the test when the page throws, or does what its own content policy forbids."""
    page = context.new_page()
    faults: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            faults.append(message.text)

    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", note)
    yield page
    assert faults == []


def send_login(page: Page, demo: Demo, login: str = "adm1") -> None:
    page.goto(f"{demo.url}app/")
    page.get_by_label("Name").fill(login)
    page.get_by_label("Passwort").fill(PASSWORD)
    page.get_by_role("button", name="Anmelden").click()


def log_in(page: Page, demo: Demo, login: str = "adm1") -> None:
    send_login(page, demo, login)
    expect(page.locator("#state")).to_contain_text("Abgeglichen", timeout=PATIENCE)
