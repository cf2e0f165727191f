"""Who hands out the jobs of a cluster, while PostgreSQL is away."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kompass.cluster.files import ClusterFiles
from kompass.jobs import running
from kompass.jobs.desk import NOTE
from kompass.jobs.store import JobStore
from kompass.settings import Settings
from tests.cluster.harness import cluster
from tests.cluster.relayed import through
from tests.serving import until

pytestmark = [pytest.mark.slow]


def test_jobs_are_handed_out_again_when_postgresql_is_back(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = threading.Event()
    with cluster() as made, through(made.dsn) as (relay, dsn):
        monkeypatch.setenv("KOMPASS_JOURNAL_DSN", dsn)
        looking = JobStore(tmp_path / "looking", shared=ClusterFiles(made.member().catalogue))

        def noted_after(moment: float) -> bool:
            noted = looking.noted(NOTE)
            return noted is not None and noted[0] > moment and noted[1]["state"] == "following"

        arguments = (Settings(data=tmp_path / "leading"), url, "one", stopped)
        leading = threading.Thread(target=running._dispatch, args=arguments)
        leading.start()
        try:
            until(lambda: noted_after(0), 20)
            relay.shut()
            leading.join(1.0)  # it finds that out, and has nowhere to note it
            relay.open()
            last = looking.noted(NOTE)
            assert last is not None
            until(lambda: noted_after(last[0] + 1), 20)
        finally:
            stopped.set()
            leading.join(20)
        assert not leading.is_alive()
        looking.close()
