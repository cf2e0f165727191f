"""What processes load: a large library comes in when it is needed, and not with the first import. Each of
these was in memory of every process once, and all of them together were more than a small machine has.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import ROOT

SERVER = """
from kompass import beside, server
from kompass.cli.starting import readable_errors
with readable_errors(settings):
    pass
others = beside.found(settings)
server.create_search(settings)
assert server.create_meaning(settings)[0] is not None
"""
CONSUMER = """
from kompass.feed import consumer
assert consumer.present(settings)[0].keys() == {"jobs", "readstore", "search", "vectors"}
"""
WORKER = "from kompass.jobs import running"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("process", "without"),
    [
        (
            SERVER,
            [
                "alembic",
                "facturx",
                "icalendar",
                "lxml",
                "numpy",
                "psycopg",
                "sqlalchemy",
                "tokenizers",
                "typst",
            ],
        ),
        (CONSUMER, ["icu", "kompass.search.service", "kompass.sync", "replication.http", "uvicorn"]),
        (WORKER, ["icu", "jwt", "kompass.audit", "numpy", "replication.http", "uvicorn"]),
    ],
    ids=["server", "consumer", "worker"],
)
def test_a_process_loads_no_large_library_before_it_needs_it(
    tmp_path: Path, process: str, without: list[str]
) -> None:
    program = f"""
import sys
import kompass.cli.app
from kompass.cli.errors import read_settings
settings = read_settings(data={str(tmp_path)!r}, demo=False)
{process}
print(*[name for name in {without!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
