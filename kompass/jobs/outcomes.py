"""How work can fail. The texts are for people and quote no document."""

from __future__ import annotations


class NeverError(Exception):
    """However often it is tried, it fails. The text says why."""


class LaterError(Exception):
    """It failed, and may go later: a number of times, then it is left to people."""
