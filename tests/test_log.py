"""What is in the log, and what mustn't be."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kompass.settings_values import LogFormat
from tests.needs import ROOT

_FAILS = """
import logging, sys
import structlog
from kompass import log
from kompass.settings_values import LogFormat, LogLevel

log.configure(LogLevel.INFO, LogFormat(sys.argv[1]))

def opens(password):
    document = {"text": password * 2}
    raise ValueError("the reason")

try:
    opens("hunter2")
except ValueError:
    structlog.get_logger("ours").exception("failed")
    logging.getLogger("another").exception("failed, too")
logging.getLogger("another").info("%s %s %d", "GET", "/api/v1/calendars/0123456789abcdef.ics?a=b", 200)
"""


@pytest.mark.slow
@pytest.mark.parametrize("format", LogFormat)
def test_it_tells_where_and_why_and_neither_values_of_variables_nor_secret_addresses(
    format: LogFormat,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FAILS, format.value],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for told in ("failed", "failed, too", "the reason", "opens"):
        assert told in done.stderr
    assert "hunter2" not in done.stderr
    assert "GET /api/v1/calendars/….ics?a=b 200" in done.stderr
    assert "0123456789abcdef" not in done.stderr
