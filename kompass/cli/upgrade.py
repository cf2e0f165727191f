"""`kompass upgrade`: leads a cluster to the version of its tables that this program knows."""

from __future__ import annotations

import asyncio
import shutil
from typing import Annotated

import typer

from kompass.cli.errors import UsableError, read_settings
from kompass.cli.options import Data
from kompass.cli.starting import readable_errors

_DIRECTORY = "upgrade"


def upgrade(
    data: Data = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Even if no API process of this version waits.")
    ] = False,
) -> None:
    """Change the tables of a cluster, once processes of this version wait. Only a restore leads back.

    Processes of the version before serve until then, and no more afterwards. Interrupted, it is run again.
    Copies are made in a directory `upgrade` below `data`, which has to have room for all documents.
    """
    # Imported here: `kompass --help` needn't wait for it.
    from kompass.cluster.upgrading import FAILURES, UpgradeError
    from kompass.cluster.upgrading import upgrade as run

    settings = read_settings(data=read_settings(data=data).directory / _DIRECTORY)
    with readable_errors(settings):
        try:
            asyncio.run(run(settings, typer.echo, anyway=anyway))
        except (UpgradeError, *FAILURES) as error:
            raise UsableError(str(error)) from error
        shutil.rmtree(settings.directory)
