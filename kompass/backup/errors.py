"""What can go wrong with backups, as one readable line each."""

from __future__ import annotations


class BackupError(Exception):
    """It can't be done; the text says why and what to do."""


class WrongKeyError(BackupError):
    """The key doesn't open this repository."""


class DamagedError(BackupError):
    """Something in the repository isn't what was stored there."""


class InUseError(BackupError):
    """Another backup or restore is at work on the same repository or directory."""
