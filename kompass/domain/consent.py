"""What a customer has agreed to, for each purpose, and what may be done with his data.

Whoever processes data for one of these purposes asks `may_process` with the customer's document as it is now,
each time: a withdrawal stops it at once. What was made of the data before goes by a ticket
(`kompass.privacy.tickets`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from kompass.domain.changes import Body, Facts
from kompass.domain.times import moment


class Purpose(StrEnum):
    """What data may be used for beyond the business with the customer itself."""

    MARKETING = "marketing"
    AI = "aiProcessing"
    SHARING = "dataSharing"


CONSENT = "dsgvoConsent"


class Decision(NamedTuple):
    """A purpose that was agreed to, or withdrawn."""

    purpose: Purpose
    granted: bool


def granted(customer: Body | None) -> frozenset[Purpose]:
    """What a customer agrees to. Nothing where he has said nothing, was erased or has revoked later."""
    if customer is None or customer.get("anonymized") is True:
        return frozenset()
    consent = customer.get(CONSENT)
    if not isinstance(consent, Mapping):
        return frozenset()
    revoked, since = moment(consent.get("revokedAt")), moment(consent.get("grantedAt"))
    if consent.get("revokedAt") is not None and (revoked is None or since is None or since <= revoked):
        return frozenset()
    return frozenset(purpose for purpose in Purpose if consent.get(purpose.value) is True)


def may_process(purpose: Purpose, body: Body | None) -> bool:
    """Whether a customer's data may be used for this purpose now. `body` is his document."""
    return purpose in granted(body)


def may_process_about(purpose: Purpose, body: Body, facts: Facts) -> bool:
    """The same for any document: what is about a customer needs his consent; a lead and somebody erased have
    given none. What is about no customer needs none.
    """
    if body.get("anonymized") is True or body.get("type") == "lead":
        return False
    if body.get("type") == "customer":
        return may_process(purpose, body)
    named = named_customer(body)
    if named is None:
        return True
    return isinstance(named, str) and may_process(purpose, facts.document(named))


def named_customer(body: Body) -> object:
    """The id of the customer that a document is about, as the document has it; None if about none."""
    return body.get("customerId", body.get("relatedCustomerId"))


def decisions(before: Body | None, after: Body | None) -> tuple[Decision, ...]:
    """What a change of a customer's document grants and withdraws."""
    had, has = granted(before), granted(after)
    return tuple(
        Decision(purpose, purpose in has) for purpose in Purpose if (purpose in had) != (purpose in has)
    )
