"""The `kompass` command. One file per subcommand; each imports what it needs when it runs."""

from kompass.cli.app import main

__all__ = ["main"]
