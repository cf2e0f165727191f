"""Documents written by an older app, brought to today's form before anything judges them.

A document says in `schemaVersion` which form it has; without that it is the first. An upcaster is a pure
function from one form to the next and never loses what it doesn't know: a document that has today's form
already passes unchanged, because first devices never said a version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from kompass.domain.changes import Body
from kompass.domain.refusals import Refusal

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Gets a copy of the document's members and may change it."""

_STAGES = {
    "lead": "new",
    "qualified": "qualifying",
    "analysis": "qualifying",
    "proposal": "proposal",
    "negotiation": "negotiation",
    "closed_won": "won",
    "closed_lost": "lost",
}


def _opportunity_1(doc: dict[str, Any]) -> dict[str, Any]:
    """`stage` became `status`, with fewer values."""
    stage = doc.get("stage")
    if "status" not in doc and isinstance(stage, str):
        del doc["stage"]
        doc["status"] = _STAGES.get(stage.lower(), stage.lower())
    return doc


def _offer_1(doc: dict[str, Any]) -> dict[str, Any]:
    """Tax rates in percent became fractions."""
    _fraction(doc)
    items = doc.get("lineItems")
    if isinstance(items, list) and len(items) <= _MANY:
        doc["lineItems"] = [_fraction(dict(item)) if isinstance(item, dict) else item for item in items]
    return doc


_MANY = 1000
"""More lines than any document may have: not worth touching."""


def _fraction(part: dict[str, Any]) -> dict[str, Any]:
    rate = part.get("taxRate")
    if isinstance(rate, int | float) and 1 < rate <= 100:  # 100 % and more there is not
        part["taxRate"] = float(Decimal(repr(rate)) / 100)
    return part


UPCASTERS: Mapping[str, tuple[Upcaster, ...]] = {
    "opportunity": (_opportunity_1,),
    "offer": (_offer_1,),
}
"""Type -> upcasters from form 1 to 2, from 2 to 3, and so on."""


def current_version(doctype: str) -> int:
    """The form that documents of that type have today."""
    return 1 + len(UPCASTERS.get(doctype, ()))


def upcast(body: Body) -> Body | Refusal:
    """The document in today's form, the same object if it has that; a refusal if its form isn't known.

    `schemaVersion` says today's form afterwards, if anything was changed.
    """
    doctype = body.get("type")
    said = body.get("schemaVersion")
    if said is None:
        said = 1
    elif type(said) is not int or said < 1:
        return body  # the model says so
    upcasters = UPCASTERS.get(doctype, ()) if isinstance(doctype, str) else ()
    newest = 1 + len(upcasters)
    if said == newest:
        return body
    if said > newest:
        shown = said if said < _SHOWN else "?"
        return Refusal(
            "model.version",
            f"schemaVersion {shown} of {doctype} is newer than this server knows ({newest}): "
            "update the server, or use an older app.",
            f"schemaVersion {shown} ist neuer, als dieser Server kennt ({newest}): "
            "Server aktualisieren oder eine ältere App verwenden.",
            ("schemaVersion",),
        )
    found = dict(body)
    for one in upcasters[said - 1 :]:
        found = one(found)
    if found == body:
        return body
    found["schemaVersion"] = newest
    return found


def today(body: Body) -> Body:
    """The same as far as its form is known: what isn't, its model refuses."""
    found = upcast(body)
    return body if isinstance(found, Refusal) else found


def alike(*bodies: Body) -> list[dict[str, Any]]:
    """Versions of one document for a comparison: all of them in today's form, and all saying so if one does.

    A version that had today's form before it got a number doesn't say it: that is no difference to one that
    was brought to it.
    """
    found = [dict(today(body)) for body in bodies]
    for newest in {current_version(doctype) for one in found if isinstance(doctype := one.get("type"), str)}:
        if newest > 1 and any(one.get("schemaVersion") == newest for one in found):
            for one in found:
                said = one.get("schemaVersion", 1)
                if type(said) is int and 1 <= said < newest:
                    one["schemaVersion"] = newest
    return found


_SHOWN = 10**9
