"""The seal of a final document: a digest over what is frozen, and the badge that people see."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from kompass.domain.changes import Body, Facts, status_of
from kompass.domain.corrections import reverted
from kompass.domain.freezing import FREEZES, is_final
from kompass.domain.stamps import timestamp


class Badge(StrEnum):
    """How a document is shown."""

    DRAFT = "Entwurf"
    FINAL = "Finalisiert"
    CORRECTED = "Korrigiert"
    CANCELLED = "Storniert"


_CANCELLED: Mapping[str, frozenset[str]] = {
    "offer": frozenset({"superseded"}),
    "contract": frozenset({"terminated"}),
    "invoice": frozenset({"cancelled"}),
}


def badge(body: Body, facts: Facts) -> Badge:
    """What a person shall know at first sight."""
    doctype, docid = str(body.get("type")), str(body.get("_id"))
    if status_of(body) in _CANCELLED.get(doctype, ()):
        return Badge.CANCELLED
    if body.get("stornoOf") is not None or any(facts.referring(doctype, "stornoOf", docid)):
        return Badge.CANCELLED
    if body.get("changeLog"):
        return Badge.CORRECTED
    return Badge.FINAL if body.get("finalized") is True or is_final(body, facts) else Badge.DRAFT


def seal(body: Body, now: datetime) -> dict[str, Any]:
    """The members by which the server marks a document as final. `body` has `_attachments` with digests.

    Numbers and derived values are in the body already; nothing that is frozen changes afterwards. What was
    corrected before it was sealed is sealed as it was at first.
    """
    attached = body.get("_attachments")
    members: dict[str, Any] = {
        "finalized": True,
        "immutableAt": timestamp(now),
    }
    if isinstance(attached, Mapping) and attached:
        members["immutableAttachments"] = dict(sorted(attached.items()))
    original = reverted(body)
    return {**members, "immutableHash": immutable_hash({**(original or body), **members})}


def immutable_hash(body: Body) -> str:
    """SHA-256, in hexadecimal, over the canonical form of what is frozen, with all that is nested in it.

    Where a document freezes in steps it is what the first step freezes. `immutableAttachments` counts, and so
    do `_id` and `type`; a field without a value is like an absent one.
    """
    rows = [row for row in FREEZES.get(str(body.get("type")), ()) if row.gobd]
    fields = {name: value for name, value in body.items() if rows and rows[-1].locks(name)}
    for name in ("_id", "type", "immutableAttachments"):
        fields[name] = body.get(name)
    return hashlib.sha256(canonical(fields)).hexdigest()


def is_intact(body: Body) -> bool:
    """Whether a sealed document says what it said when it was sealed, its logged corrections put back.

    Of a document that personal data was taken out of the rest is compared: with the seal that was made then,
    which follows from the first one step by step.
    """
    original = reverted(body)
    if original is None:
        return False
    seal = body.get("immutableHash")
    erasures = body.get("erasures")
    for one in erasures if isinstance(erasures, list) else ():
        if not isinstance(one, Mapping) or one.get("sealBefore") != seal:
            return False
        seal = one.get("sealAfter")
    return bool(seal == immutable_hash(original))


def erased(before: Body, after: Body, number: int, now: datetime) -> dict[str, Any]:
    """A sealed document after an erasure: which fields changed, and the seal of what is left.

    `before` and `after` have `_id` and their attachments' digests; the first seal stays. What isn't sealed
    needs none.
    """
    result = dict(after)
    if not isinstance(before.get("immutableHash"), str):
        return result
    earlier = before.get("erasures")
    log = list(earlier) if isinstance(earlier, list) else []
    original = reverted(result)
    if original is None:
        return result
    result["erasures"] = [
        *log,
        {
            "number": number,
            "erasedAt": timestamp(now),
            "fields": sorted(
                name for name in {*before, *after} if name[:1] != "_" and before.get(name) != after.get(name)
            ),
            "sealBefore": log[-1]["sealAfter"] if log else before["immutableHash"],
            "sealAfter": immutable_hash(original),
        },
    ]
    return result


def canonical(value: object) -> bytes:
    """One text for one JSON value: keys in order, no spaces, UTF-8, numbers in their shortest form (1.0 is
    1), members without a value left out.
    """
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode(
        "utf-8", "surrogatepass"
    )


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float | Decimal):
        return int(value) if value == int(value) else float(value)
    return value
