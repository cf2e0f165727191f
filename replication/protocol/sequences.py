"""Update sequences: `12-3fa9…`, a number and the epoch it was counted in.

Clients only echo them, but PouchDB reads the integer in front for its progress. The number grows
by one with every change of a document. The epoch is a random name for one unbroken count: a new
database starts one, and so does a restored backup, whose numbers would otherwise stand for other
changes than the ones clients have seen.

A database knows its epochs and where each ended. A sequence of an older epoch is good up to the
end of that epoch in this database's own past; one of an unknown epoch says nothing, and a reader
that brings it starts from 0: he sees changes twice rather than miss one.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from replication.protocol import errors

_SEQUENCE = re.compile(r"([0-9]{1,18})(?:-([0-9a-z]{1,64}))?")


class Epoch(NamedTuple):
    """`name` counted from `first`, exclusive: its first change has number `first + 1`."""

    name: str
    first: int


def new_epoch_name() -> str:
    return secrets.token_hex(6)


class Epochs:
    """The epochs of one database, the running one last."""

    __slots__ = ("_epochs",)

    def __init__(self, epochs: Sequence[Epoch]) -> None:
        self._epochs = tuple(epochs)

    @property
    def all(self) -> tuple[Epoch, ...]:
        """From the first to the running one."""
        return self._epochs

    @property
    def current(self) -> str:
        return self._epochs[-1].name

    def format(self, number: int) -> str:
        """The sequence as clients get it."""
        return f"{number}-{self._epochs[-1].name}"

    def resolve(self, since: str, latest: int) -> int:
        """The number after which a reader who saw `since` goes on.

        `0` is the beginning and `now` is `latest`; a JSON-quoted sequence is taken too. Raises 400
        `bad_request` for what cannot be a sequence.
        """
        text = since
        if text[:1] == '"':
            try:
                unquoted = json.loads(text)
            except ValueError:
                unquoted = None
            text = unquoted if isinstance(unquoted, str) else ""
        if text == "now":
            return latest
        match = _SEQUENCE.fullmatch(text)
        if match is None:
            raise errors.bad_request("Malformed sequence supplied in 'since' parameter.")
        number, name = int(match[1]), match[2]
        if name is None:
            return min(number, latest)
        for index, epoch in enumerate(self._epochs):
            if epoch.name == name:
                if index + 1 < len(self._epochs):
                    return min(number, self._epochs[index + 1].first)
                return min(number, latest)
        return 0
