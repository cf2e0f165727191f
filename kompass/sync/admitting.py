"""Who is let in: by his record here, whatever his login says."""

from __future__ import annotations

from dataclasses import replace

from kompass.access.principals import Principal
from kompass.sync.gate.ports import Index
from kompass.sync.refusals import NOT_A_MEMBER, ROLES_CHANGED
from replication.protocol import errors
from replication.store.sqlite import Reading


def admitted(index: Index, reading: Reading, principal: Principal) -> Principal:
    """Who asks, with the roles of his record as of this snapshot.

    Raises 403 if it isn't active, 401 if his login has fewer roles: what he sees goes by the record.
    """
    roles = index.roles(reading, principal.name)
    if roles is None:
        raise errors.forbidden(NOT_A_MEMBER)
    if not roles <= principal.roles:
        raise errors.unauthorized(ROLES_CHANGED)
    return replace(principal, roles=roles)
