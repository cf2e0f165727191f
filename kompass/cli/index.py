"""`kompass index`: what one process does for all of a cluster."""

from __future__ import annotations

import sys

from kompass.cli.errors import read_settings
from kompass.cli.options import Data
from kompass.cli.starting import check_administrator, readable_errors


def index(data: Data = None) -> None:
    """Do what one process does for all of a cluster: housekeeping, signatures, new copies' files.

    Run two: one leads, the other takes over when it ends. `data` is for its copies and nobody else's.
    """
    # Imported here: `kompass --help` needn't wait for the server.
    import asyncio
    import signal

    from kompass import log
    from kompass.cluster.index import run

    settings = read_settings(data=data)
    check_administrator(settings)
    log.configure(settings.log_level, settings.log_format)

    async def main() -> bool:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        return await run(settings, stop)

    with readable_errors(settings):
        ended_well = asyncio.run(main())
    sys.exit(0 if ended_well else 1)
