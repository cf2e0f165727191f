"""Scenarios in JavaScript as tests in Python: each `scenario("title", …)` runs in a Node.js of its own.

Cookies, pinned fallbacks and other things a client remembers for its process don't reach from one into
the next.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

import pytest

from tests.needs import require

TITLE = re.compile(r'^scenario\("([^"]+)"', re.MULTILINE)
SECONDS = 120
"""No scenario takes longer, on a busy machine either."""


def scenarios(paths: Iterable[Path], *, slow: Collection[str] = ()) -> list[object]:
    """All scenarios of these files as pytest parameters: file, title. `slow` names files, without ending."""
    found: list[object] = []
    for path in sorted(paths):
        marks = [pytest.mark.slow] if path.stem in slow else []
        titles = TITLE.findall(path.read_text(encoding="utf-8"))
        found += [pytest.param(path, title, id=f"{path.stem}: {title}", marks=marks) for title in titles]
    return found


class HasUrl(Protocol):
    @property
    def url(self) -> str: ...


def start_scenario(
    path: Path, title: str, server: HasUrl, directory: Path, **environment: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [require("node"), "--test-reporter=spec", str(path)],
        cwd=directory,
        env={
            **os.environ,
            "KOMPASS_TEST_SERVER": server.url,
            "KOMPASS_TEST_SCENARIO": title,
            "TMPDIR": str(directory),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def finish_scenario(scenario: subprocess.Popen[str]) -> None:
    try:
        output, _ = scenario.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        scenario.kill()
        output, _ = scenario.communicate()
        pytest.fail(f"not finished after {SECONDS} seconds\n{output}", pytrace=False)
    if scenario.returncode != 0:
        # Node.js ends with a summary that says everything again.
        pytest.fail(output.partition("✖ failing tests:")[0], pytrace=False)
    # A misspelt title would run nothing and pass.
    assert re.search(r"^. pass 1$", output, re.MULTILINE), output
