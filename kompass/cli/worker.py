"""`kompass worker`: does jobs."""

from __future__ import annotations

import sys

from kompass.cli.errors import UsableError, read_settings
from kompass.cli.options import Child, Data, Followed


def worker(
    data: Data = None,
    server: Followed = None,
    child: Child = False,
) -> None:
    """Do jobs from the queues until stopped: reminders, mails, webhooks.

    `kompass serve` runs workers by itself. Others need its jobs_secret and redis_url. The first one on the
    data directory of `kompass feed` also hands the jobs out.
    """
    from kompass import log
    from kompass.jobs.desk import missing

    settings = read_settings(data=data)
    why = missing()
    if why is not None:
        raise UsableError(why)
    if settings.jobs_secret is None or settings.redis_url is None:
        raise UsableError(
            "give this process the server's secret and its Redis, KOMPASS_JOBS_SECRET and KOMPASS_REDIS_URL. "
            "(kompass serve on this machine runs workers by itself.)"
        )
    from kompass.jobs.running import run, stop_this_process
    from kompass.supervisor import watch_parent

    log.configure(settings.log_level, settings.log_format)
    if child:
        watch_parent(stop_this_process)
    stopped = run(
        settings,
        url=settings.redis_url.get_secret_value(),
        server=server or settings.feed_server or f"http://127.0.0.1:{settings.port}",
        secret=settings.jobs_secret.get_secret_value(),
    )
    sys.exit(0 if stopped else 1)
