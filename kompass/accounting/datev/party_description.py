"""The published description of the fields of debtors and creditors; see `description`."""

from __future__ import annotations

from collections.abc import Iterator

from kompass.accounting.datev.description import DAY, FLAG, PERCENT, FieldRule, digits, text

_DIGIT = "[0-9]"
_COUNTRY = text(2, r"\w")
_ISO = '"(?:[A-Z]{2})?"'
_ONE = '"[0-9]?"'
_BILL = "(Rechnungsadresse)"


def _banks(first: int, last: int) -> Iterator[FieldRule]:
    for place in range(first, last + 1):
        # The first five have digits only, the others anything.
        number = "[0-9]" if place <= 5 else "."
        yield FieldRule(f"Bankleitzahl {place}", text(8, number))
        yield FieldRule(f"Bankbezeichnung {place}", text(30))
        yield FieldRule(f"Bank-Kontonummer {place}", text(10, number))
        yield FieldRule(f"Länderkennzeichen {place}", _COUNTRY)
        yield FieldRule(f"IBAN-Nr. {place}", text(34))
        yield FieldRule("Leerfeld", text(1))
        yield FieldRule(f"SWIFT-Code {place}", text(11))
        yield FieldRule(f"Abw. Kontoinhaber {place}", text(70))
        yield FieldRule(f"Kennz. Hauptbankverb. {place}", _ONE)
        yield FieldRule(f"Bankverb {place} Gültig von", DAY)
        yield FieldRule(f"Bankverb {place} Gültig bis", DAY)


def _address(where: str) -> Iterator[FieldRule]:
    yield FieldRule(f"Adressart{where}", text(3, r"\w"))
    yield FieldRule(f"Straße{where}", text(36))
    yield FieldRule(f"Postfach{where}", text(10))
    yield FieldRule(f"Postleitzahl{where}", text(10))
    yield FieldRule(f"Ort{where}", text(30))
    yield FieldRule(f"Land{where}", _ISO)
    yield FieldRule(f"Versandzusatz{where}", text(50))
    yield FieldRule(f"Adresszusatz{where}", text(36))


def _reachable() -> Iterator[FieldRule]:
    names = (
        ("Telefon", "Telefon"),
        ("Telefon GL", "Telefon GL"),
        ("E-Mail", "E-Mail"),
        ("Internet", "Internet"),
        ("Fax", "Fax"),
        ("Sonstige", "Sonstige"),
    )
    for name, remark in names:
        yield FieldRule(name, text(60))
        yield FieldRule(f"Bemerkung ({remark})", text(40))


PARTY: tuple[FieldRule, ...] = (
    FieldRule("Konto", r"(?!0+\Z)[0-9]{1,9}", False),
    FieldRule("Name (Adressattyp Unternehmen)", text(50)),
    FieldRule("Unternehmensgegenstand", text(50)),
    FieldRule("Name (Adressattyp natürl. Person)", text(30)),
    FieldRule("Vorname (Adressattyp natürl. Person)", text(30)),
    FieldRule("Name (Adressattyp keine Angabe)", text(50)),
    FieldRule("Adressattyp", _ONE),
    FieldRule("Kurzbezeichnung", text(15)),
    FieldRule("EU-Land", _COUNTRY),
    FieldRule("EU-UStID", text(13)),
    FieldRule("Anrede", text(30)),
    FieldRule("Titel/Akad. Grad", text(25)),
    FieldRule("Adelstitel", text(15)),
    FieldRule("Namensvorsatz", text(14)),
    *_address(""),
    FieldRule("Abweichende Anrede", text(30)),
    FieldRule("Abw. Zustellbezeichnung 1", text(50)),
    FieldRule("Abw. Zustellbezeichnung 2", text(36)),
    FieldRule("Kennz. Korrespondenzadresse", _DIGIT),
    FieldRule("Adresse Gültig von", DAY),
    FieldRule("Adresse Gültig bis", DAY),
    *_reachable(),
    *_banks(1, 5),
    FieldRule("Leerfeld", text(3)),
    FieldRule("Briefanrede", text(100)),
    FieldRule("Grußformel", text(50)),
    FieldRule("Kunden-/Lief.-Nr.", text(15)),
    FieldRule("Steuernummer", text(20)),
    FieldRule("Sprache", digits(2)),
    FieldRule("Ansprechpartner", text(40)),
    FieldRule("Vertreter", text(40)),
    FieldRule("Sachbearbeiter", text(40)),
    FieldRule("Diverse-Konto", _DIGIT),
    FieldRule("Ausgabeziel", _DIGIT),
    FieldRule("Währungssteuerung", _ONE),
    FieldRule("Kreditlimit (Debitor)", r"[0-9.]{1,13}"),
    FieldRule("Zahlungsbedingung", digits(3)),
    FieldRule("Fälligkeit in Tagen (Debitor)", digits(3)),
    FieldRule("Skonto in Prozent (Debitor)", PERCENT),
    FieldRule("Kreditoren-Ziel 1 Tg.", digits(2)),
    FieldRule("Kreditoren-Skonto 1 %", PERCENT),
    FieldRule("Kreditoren-Ziel 2 Tg.", digits(2)),
    FieldRule("Kreditoren-Skonto 2 %", PERCENT),
    FieldRule("Kreditoren-Ziel 3 Brutto Tg.", digits(3)),
    FieldRule("Kreditoren-Ziel 4 Tg.", digits(2)),
    FieldRule("Kreditoren-Skonto 4 %", PERCENT),
    FieldRule("Kreditoren-Ziel 5 Tg.", digits(2)),
    FieldRule("Kreditoren-Skonto 5 %", PERCENT),
    FieldRule("Mahnung", _DIGIT),
    FieldRule("Kontoauszug", _DIGIT),
    FieldRule("Mahntext 1", _DIGIT),
    FieldRule("Mahntext 2", _DIGIT),
    FieldRule("Mahntext 3", _DIGIT),
    FieldRule("Kontoauszugstext", _DIGIT),
    FieldRule("Mahnlimit Betrag", r"[1-9][0-9.]{0,5},[0-9]{2}"),
    FieldRule("Mahnlimit %", PERCENT),
    FieldRule("Zinsberechnung", _DIGIT),
    *(FieldRule(f"Mahnzinssatz {place}", PERCENT) for place in (1, 2, 3)),
    FieldRule("Lastschrift", _ONE),
    FieldRule("Leerfeld", text(1)),
    FieldRule("Mandantenbank", digits(4)),
    FieldRule("Zahlungsträger", _ONE),
    *(FieldRule(f"Indiv. Feld {place}", text(40)) for place in range(1, 16)),
    FieldRule(f"Abweichende Anrede {_BILL}", text(30)),
    *_address(f" {_BILL}"),
    FieldRule(f"Abw. Zustellbezeichnung 1 {_BILL}", text(50)),
    FieldRule(f"Abw. Zustellbezeichnung 2 {_BILL}", text(36)),
    FieldRule(f"Adresse Gültig von {_BILL}", DAY),
    FieldRule(f"Adresse Gültig bis {_BILL}", DAY),
    *_banks(6, 10),
    FieldRule("Nummer Fremdsystem", text(15)),
    FieldRule("Insolvent", FLAG),
    *(FieldRule(f"SEPA-Mandatsreferenz {place}", text(35)) for place in range(1, 11)),
    FieldRule("Verknüpftes OPOS-Konto", digits(9)),
    FieldRule("Mahnsperre bis", DAY),
    FieldRule("Lastschriftsperre bis", DAY),
    FieldRule("Zahlungssperre bis", DAY),
    FieldRule("Gebührenberechnung", _DIGIT),
    *(FieldRule(f"Mahngebühr {place}", PERCENT) for place in (1, 2, 3)),
    FieldRule("Pauschalenberechnung", _DIGIT),
    *(FieldRule(f"Verzugspauschale {place}", r"[1-9][0-9]{0,2},[0-9]{2}") for place in (1, 2, 3)),
    FieldRule("Alternativer Suchname", text(50)),
    FieldRule("Status", _DIGIT),
    FieldRule("Anschrift manuell geändert (Korrespondenzadresse)", _DIGIT),
    FieldRule("Anschrift individuell (Korrespondenzadresse)", text(306)),
    FieldRule("Anschrift manuell geändert (Rechnungsadresse)", _DIGIT),
    FieldRule("Anschrift individuell (Rechnungsadresse)", text(306)),
    FieldRule("Fristberechnung bei Debitor", _DIGIT),
    FieldRule("Mahnfrist 1", digits(3)),
    FieldRule("Mahnfrist 2", digits(3)),
    FieldRule("Mahnfrist 3", digits(3)),
    FieldRule("Letzte Frist", digits(3)),
)
