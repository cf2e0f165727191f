"""What Lexware calls the states of an invoice."""

from __future__ import annotations

from collections.abc import Mapping

STATUSES: Mapping[str, str] = {
    **dict.fromkeys(("entwurf", "draft"), "draft"),
    **dict.fromkeys(("offen", "open", "sent", "versendet", "gesendet"), "sent"),
    **dict.fromkeys(
        ("teilbezahlt", "teilweise bezahlt", "teilzahlung", "partial", "partial_paid"), "partial_paid"
    ),
    **dict.fromkeys(("bezahlt", "paid", "ausgeglichen", "beglichen"), "paid"),
    **dict.fromkeys(("überfällig", "overdue", "gemahnt", "mahnung"), "overdue"),
    **dict.fromkeys(("storniert", "storno", "cancelled", "canceled"), "cancelled"),
}
"""Words of the column `Status`, in any case -> the status of the document."""


def status_of(word: str | None) -> str | None:
    """None if nothing is said, or nothing that is known."""
    return None if word is None else STATUSES.get(word.strip().casefold())
