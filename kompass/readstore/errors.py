"""What can be wrong with the read store. Texts are for people."""

from __future__ import annotations


class ReadStoreError(Exception):
    """It can't be used as it is set up."""
