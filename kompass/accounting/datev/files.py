"""Batches of bookings and lists of parties as files, and which bookings go into one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice

from kompass.accounting.catalogue import profile
from kompass.accounting.cells import Value
from kompass.accounting.datev.bookings import Booking
from kompass.accounting.datev.header import Format, Header, line
from kompass.accounting.datev.parties import Party
from kompass.accounting.writing import Writer

MOST_BOOKINGS = 99_999
"""Bookings that one file may have."""
_ALL = 10**9
"""A person books what is left out, so each is told."""


def bookings_writer(header: Header) -> Writer:
    """Give it `booking_rows`."""
    return Writer(profile("datev-extf"), (line(header, Format.BOOKINGS),), most_told=_ALL)


def parties_writer(header: Header) -> Writer:
    """Give it `party_rows`."""
    return Writer(profile("datev-parties"), (line(header, Format.PARTIES),), most_told=_ALL)


def batches(bookings: Iterable[Booking]) -> Iterator[list[Booking]]:
    """Bookings as files want them: in the order of their days, a month in a file, none with too many."""
    ordered = sorted(bookings, key=lambda booking: (booking.day, booking.voucher))
    for _, month in groupby(ordered, key=lambda booking: (booking.day.year, booking.day.month)):
        while batch := list(islice(month, MOST_BOOKINGS)):
            yield batch


def booking_rows(bookings: Iterable[Booking], header: Header) -> Iterator[list[Value]]:
    """Raises `ValueError` for a booking outside the header's period: its year would be lost."""
    headings = [column.heading for column in profile("datev-extf").columns]
    for booking in bookings:
        if not header.first <= booking.day <= header.last:
            raise ValueError(
                f"{booking.voucher} is of {booking.day}, and the file is for {header.first} to {header.last}"
            )
        cells = _booking(booking, header)
        yield [cells.get(heading) for heading in headings]


def _booking(booking: Booking, header: Header) -> Mapping[str, Value]:
    return {
        "Umsatz (ohne Soll/Haben-Kz)": booking.amount,
        "Soll/Haben-Kennzeichen": booking.side,
        "WKZ Umsatz": "EUR",
        "Konto": booking.account,
        "Gegenkonto (ohne BU-Schlüssel)": booking.counter,
        "BU-Schlüssel": booking.key,
        "Belegdatum": booking.day,
        "Belegfeld 1": booking.voucher,
        "Buchungstext": booking.text,
        "KOST1 - Kostenstelle": booking.cost_centre,
        "Herkunft-Kz": header.origin,
        "Festschreibung": int(header.final),
        "Fälligkeit": booking.due,
        "Generalumkehr (GU)": "1" if booking.reversal else "0",
    }


def party_rows(parties: Iterable[Party]) -> Iterator[list[Value]]:
    headings = [column.heading for column in profile("datev-parties").columns]
    for party in parties:
        cells = _party(party)
        yield [cells.get(heading) for heading in headings]


def _party(party: Party) -> Mapping[str, Value]:
    vat = party.vat_number.replace(" ", "")
    known = len(vat) > 2 and vat[:2].isalpha()
    return {
        "Konto": party.account,
        "Name (Adressattyp Unternehmen)": party.name,
        "Adressattyp": "2",
        "Kurzbezeichnung": party.name[:15].rstrip() or None,
        "EU-Land": vat[:2].upper() if known else None,
        "EU-UStID": vat[2:] if known else None,
        "Adressart": "STR",
        "Straße": party.street(36) or None,
        "Postleitzahl": str(party.address.get("zipCode") or "") or None,
        "Ort": str(party.address.get("city") or "") or None,
        "Land": party.country,
        "Adresszusatz": str(party.address.get("addressLine2") or "") or None,
        "Kennz. Korrespondenzadresse": 1,
        # What else is said of a party isn't worth that the account is missing.
        "Telefon": _if_fits(party.phone, 60),
        "E-Mail": _if_fits(party.email, 60),
        "Internet": _if_fits(party.website, 60),
        "Kunden-/Lief.-Nr.": _if_fits(party.number, 15),
        "Kreditoren-Ziel 1 Tg.": party.days_to_pay,
    }


def _if_fits(text: str, longest: int) -> str | None:
    return text if 0 < len(text) <= longest else None
