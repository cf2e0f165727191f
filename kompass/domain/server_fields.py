"""What the server writes into documents of others, so that who edits one need not send it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kompass.access.audiences import AUDIENCES
from kompass.access.fields import EVERYWHERE, NOBODY, WRITERS
from kompass.domain.changes import Body
from kompass.domain.derivations import STAMPS

ALWAYS: Mapping[str, frozenset[str]] = {
    doctype: frozenset(
        (*EVERYWHERE, *(field for field, roles in WRITERS.get(doctype, {}).items() if roles == NOBODY))
    )
    for doctype in AUDIENCES
}
"""Type -> fields that nobody else writes."""

_STAMPED: Mapping[str, frozenset[str]] = {
    doctype: frozenset(name for fields in states.values() for name in fields if name is not None)
    for doctype, states in STAMPS.items()
}


def left_out(doc: Body, stored: Body) -> dict[str, Any]:
    """What the server has written into the stored document and an edit of it doesn't mention.

    Times and names that belong to a state are among it as long as the state is the same.
    """
    doctype = str(stored.get("type"))
    names = ALWAYS.get(doctype, frozenset())
    if doc.get("status") == stored.get("status"):
        names |= _STAMPED.get(doctype, frozenset())
    return {name: stored[name] for name in names if name in stored and name not in doc}
