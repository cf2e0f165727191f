"""`kompass doctor`: is everything there that was written?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    data: Annotated[Path | None, typer.Option(help="The server's directory.", show_default="data")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Put right what can be put right.")] = False,
) -> None:
    """Check a server's directory while no server uses it."""
