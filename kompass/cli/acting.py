"""Who is at work when somebody runs a command: his name on this machine."""

from __future__ import annotations

import getpass

from kompass.audit import Actor, Door, acting_as


def act_here() -> None:
    """What this command writes is written by whoever runs it."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "somebody"
    acting_as(Actor(f"{name} (command line)", door=Door.CLI))
