"""Partitions of a database: documents whose ids begin with the same `partition:`.

In a partitioned database every id but those of design and local documents is `partition:key`. A name of a
partition holds no colon, so the ids of one partition lie next to each other, in a range in which there are no
others; keys of partitioned indexes begin with the same bytes for the same reason. The rules and
reasons are CouchDB's.
"""

from __future__ import annotations

from typing import Final

from replication.protocol import errors
from replication.protocol.names import DESIGN_PREFIX, LOCAL_PREFIX

_SEPARATOR: Final = ":"
_BEHIND: Final = ";"
"""The character after the separator: what begins with it is behind all of a partition."""

_RESERVED: Final = (DESIGN_PREFIX, LOCAL_PREFIX)

_WITHOUT_SEPARATOR: Final = "Doc id must be of form partition:id"


def check_partition(name: object) -> str:
    """`name` if a partition may have it, else 400 `illegal_partition`."""
    if not isinstance(name, str):
        raise errors.illegal_partition("Partition must be a string")
    if not name:
        raise errors.illegal_partition("Partition must not be empty")
    if name[0] == "_":
        raise errors.illegal_partition("Partition must not start with an underscore")
    if _SEPARATOR in name:
        raise errors.illegal_partition("Partition must not contain a colon")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise errors.illegal_partition("Partition must be valid UTF-8") from None
    return name


def check_partitioned_id(docid: str) -> None:
    """Raises 400 `illegal_docid` or `illegal_partition` unless a partitioned database takes the document.

    `docid` is a legal id otherwise.
    """
    if docid.startswith(_RESERVED):
        return
    partition, separator, key = docid.partition(_SEPARATOR)
    if not separator:
        raise errors.illegal_docid(_WITHOUT_SEPARATOR)
    check_partition(partition)
    if not key:
        raise errors.illegal_docid("Document id must not be empty")
    if key[0] == "_":
        # What comes after the partition must itself be an id.
        if key in _RESERVED:
            raise errors.illegal_docid(f"Illegal document id `{key}`")
        if not key.startswith(_RESERVED):
            raise errors.illegal_docid("Only reserved document ids may start with underscore.")


def check_asked_id(docid: str) -> None:
    """Raises 400 `illegal_docid` for an id that names no partition: nobody may even ask for it.

    An id that can't be but names one is simply not there.
    """
    if docid[:1] != "_" and _SEPARATOR not in docid:
        raise errors.illegal_docid(_WITHOUT_SEPARATOR)


def id_range(partition: str) -> tuple[str, str]:
    """The ids of a partition: from the first, inclusive, to the second, exclusive."""
    return partition + _SEPARATOR, partition + _BEHIND


def key_prefix(partition: str) -> bytes:
    """What the keys of a partition's documents begin with in a partitioned index."""
    return (partition + _SEPARATOR).encode("utf-8")


def key_prefix_of(docid: str) -> bytes | None:
    """`key_prefix` of a document's partition; None for a document that is in none."""
    partition, separator, _ = docid.partition(_SEPARATOR)
    return key_prefix(partition) if separator and docid[:1] != "_" else None
