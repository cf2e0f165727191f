"""Small files that are there whole or not at all, also after a loss of power: written as the store does."""

from replication.store.files import PRIVATE, replace_file, sync_directory

__all__ = ["PRIVATE", "replace_file", "sync_directory"]
