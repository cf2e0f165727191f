"""What a commit has changed, for whoever waits, in this process or in others that have copies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson


@dataclass(slots=True)
class Touched:
    """Told by `Writing.tell`."""

    channels: set[int] = field(default_factory=set)
    users: set[str] = field(default_factory=set)
    """Whose roles, channels or refusals changed."""
    touches: bool = False
    """Whether there is work for the toucher."""

    def encoded(self) -> str | None:
        """As text for other copies, where channels have the same numbers; None if nothing was touched."""
        if not (self.channels or self.users or self.touches):
            return None
        return orjson.dumps([sorted(self.channels), sorted(self.users), self.touches]).decode()

    @classmethod
    def decoded(cls, text: str) -> Touched:
        channels, users, touches = orjson.loads(text)
        return cls(set(channels), set(users), touches)


def touched_in(notes: Iterable[object]) -> Touched:
    """All of one commit together."""
    found = Touched()
    for note in notes:
        if isinstance(note, Touched):
            found.channels |= note.channels
            found.users |= note.users
            found.touches = found.touches or note.touches
    return found
