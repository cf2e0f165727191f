"""Who is at work when somebody runs a command: his name on this machine."""

from __future__ import annotations

import getpass


def act_here() -> None:
    """What this command writes is written by whoever runs it."""
    # Imported here: most commands, and the processes beside the server, know nothing of the chain.
    from kompass.audit import Actor, Door, acting_as

    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "somebody"
    acting_as(Actor(f"{name} (command line)", door=Door.CLI))
