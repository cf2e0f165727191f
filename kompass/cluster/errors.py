"""What keeps a process from being one of a cluster. Here, because every server knows these, also one without
the libraries that a cluster needs.
"""

from __future__ import annotations


class NoClusterError(Exception):
    """The settings don't name a cluster. The text says what is missing, for people."""


class ClusterSchemaError(Exception):
    """The tables aren't those that this program knows. The text says what to do, for people."""
