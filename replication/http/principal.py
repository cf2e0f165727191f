"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: `name` is None for somebody who has not logged in."""

    name: str | None = None
    roles: tuple[str, ...] = ()
    device: str | None = None
    """The device he uses, where the server's `Identity` knows of devices."""

    @property
    def is_server_admin(self) -> bool:
        return "_admin" in self.roles


ANONYMOUS = Principal()
