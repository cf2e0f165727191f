"""What the published description of DATEV's format says of each field, as an expression for its bytes.

A text stands in quotes, also if it is empty; everything else never does. An optional field may be empty. The
validator reads files by these tables and by nothing that the writer uses, so that a mistake in one of them
shows in the other. Headings are told for people; DATEV goes by the order of fields.
"""

from __future__ import annotations

from typing import NamedTuple


class FieldRule(NamedTuple):
    name: str
    expression: str
    """Of the whole field, quotes included."""
    optional: bool = True


def text(longest: int, signs: str = ".") -> str:
    return f'"(?:{signs}){{0,{longest}}}"'


def _text_of(values: str) -> str:
    return f'"(?:{values})?"'


FLAG = "[01]"
DAY = r"(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])20[0-9]{2}"
_STAMP = r"20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_VOUCHER = r"[\w$&%*+\-/]"
PERCENT = r"[0-9]{1,2},[0-9]{2}"
_AMOUNT = r"(?!0+,00\Z)[0-9]{1,10},[0-9]{2}"
_ACCOUNT = r"(?!0+\Z)[0-9]{1,9}"


def digits(most: int) -> str:
    return f"[0-9]{{1,{most}}}"


HEADER: tuple[FieldRule, ...] = (
    FieldRule("Kennzeichen", '"(?:EXTF|DTVF)"', False),
    FieldRule("Versionsnummer", "700", False),
    FieldRule("Formatkategorie", "16|21", False),
    FieldRule("Formatname", '"(?:Buchungsstapel|Debitoren/Kreditoren)"', False),
    FieldRule("Formatversion", "5|13", False),
    FieldRule("Erzeugt am", _STAMP + r"(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9][0-9]{3}", False),
    FieldRule("Importiert", "(?!.)"),
    FieldRule("Herkunft", text(2, r"\w")),
    FieldRule("Exportiert von", text(25, r"\w")),
    FieldRule("Importiert von", text(25, r"\w")),
    FieldRule("Beraternummer", r"(?:[1-9][0-9]{3,6})", False),
    FieldRule("Mandantennummer", r"[1-9][0-9]{0,4}", False),
    FieldRule("WJ-Beginn", _STAMP, False),
    FieldRule("Sachkontenlänge", "[4-8]", False),
    FieldRule("Datum von", _STAMP),
    FieldRule("Datum bis", _STAMP),
    FieldRule("Bezeichnung", text(30, r"[\w.\-/ ]")),
    FieldRule("Diktatkürzel", _text_of("[A-Z]{2}")),
    FieldRule("Buchungstyp", "[12]"),
    FieldRule("Rechnungslegungszweck", "0|30|40|50|64"),
    FieldRule("Festschreibung", FLAG),
    FieldRule("WKZ", _text_of("[A-Z]{3}")),
    FieldRule("Reserviert", "(?!.)"),
    FieldRule("Derivatskennzeichen", '""'),
    FieldRule("Reserviert", "(?!.)"),
    FieldRule("Reserviert", "(?!.)"),
    FieldRule("Sachkontenrahmen", _text_of("[0-9]{2}(?:[0-9]{2})?")),
    FieldRule("ID der Branchenlösung", digits(4)),
    FieldRule("Reserviert", "(?!.)"),
    FieldRule("Reserviert", '""'),
    FieldRule("Anwendungsinformation", text(16)),
)

BOOKING: tuple[FieldRule, ...] = (
    FieldRule("Umsatz (ohne Soll/Haben-Kz)", _AMOUNT, False),
    FieldRule("Soll/Haben-Kennzeichen", '"[SH]"', False),
    FieldRule("WKZ Umsatz", _text_of("[A-Z]{3}")),
    FieldRule("Kurs", r"[1-9][0-9]{0,3},[0-9]{2,6}"),
    FieldRule("Basis-Umsatz", _AMOUNT),
    FieldRule("WKZ Basis-Umsatz", _text_of("[A-Z]{3}")),
    FieldRule("Konto", _ACCOUNT, False),
    FieldRule("Gegenkonto (ohne BU-Schlüssel)", _ACCOUNT, False),
    FieldRule("BU-Schlüssel", _text_of("[0-9]{4}")),
    FieldRule("Belegdatum", "(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])", False),
    FieldRule("Belegfeld 1", text(36, _VOUCHER)),
    FieldRule("Belegfeld 2", text(12, _VOUCHER)),
    FieldRule("Skonto", r"[1-9][0-9]{0,7},[0-9]{2}"),
    FieldRule("Buchungstext", text(60)),
    FieldRule("Postensperre", FLAG),
    FieldRule("Diverse Adressnummer", text(9, r"\w")),
    FieldRule("Geschäftspartnerbank", "[0-9]{3}"),
    FieldRule("Sachverhalt", "[0-9]{2}"),
    FieldRule("Zinssperre", FLAG),
    FieldRule("Beleglink", text(210)),
    *(
        rule
        for place in range(1, 9)
        for rule in (
            FieldRule(f"Beleginfo - Art {place}", text(20)),
            FieldRule(f"Beleginfo - Inhalt {place}", text(210)),
        )
    ),
    FieldRule("KOST1 - Kostenstelle", text(36, r"[\w ]")),
    FieldRule("KOST2 - Kostenstelle", text(36, r"[\w ]")),
    FieldRule("Kost-Menge", r"[0-9]{1,12},[0-9]{4}"),
    FieldRule("EU-Land u. UStID (Bestimmung)", text(15)),
    FieldRule("EU-Steuersatz (Bestimmung)", r"[0-9]{2},[0-9]{2}"),
    FieldRule("Abw. Versteuerungsart", _text_of("[IKPS]")),
    FieldRule("Sachverhalt L+L", digits(3)),
    FieldRule("Funktionsergänzung L+L", digits(3)),
    FieldRule("BU 49 Hauptfunktionstyp", "[0-9]"),
    FieldRule("BU 49 Hauptfunktionsnummer", digits(2)),
    FieldRule("BU 49 Funktionsergänzung", digits(3)),
    *(
        rule
        for place in range(1, 21)
        for rule in (
            FieldRule(f"Zusatzinformation - Art {place}", text(20)),
            FieldRule(f"Zusatzinformation- Inhalt {place}", text(210)),
        )
    ),
    FieldRule("Stück", digits(8)),
    FieldRule("Gewicht", r"[0-9]{1,8},[0-9]{2}"),
    FieldRule("Zahlweise", digits(2)),
    FieldRule("Forderungsart", text(10, r"\w")),
    FieldRule("Veranlagungsjahr", "20[0-9]{2}"),
    FieldRule("Zugeordnete Fälligkeit", DAY),
    FieldRule("Skontotyp", "[0-9]"),
    FieldRule("Auftragsnummer", text(30)),
    FieldRule("Buchungstyp", _text_of("[A-Z]{2}")),
    FieldRule("USt-Schlüssel (Anzahlungen)", digits(2)),
    FieldRule("EU-Land (Anzahlungen)", _text_of("[A-Z]{2}")),
    FieldRule("Sachverhalt L+L (Anzahlungen)", digits(3)),
    FieldRule("EU-Steuersatz (Anzahlungen)", PERCENT),
    FieldRule("Erlöskonto (Anzahlungen)", "[0-9]{4,8}"),
    FieldRule("Herkunft-Kz", _text_of("[A-Z]{2}")),
    FieldRule("Buchungs GUID", text(36)),
    FieldRule("KOST-Datum", DAY),
    FieldRule("SEPA-Mandatsreferenz", text(35)),
    FieldRule("Skontosperre", FLAG),
    FieldRule("Gesellschaftername", text(76)),
    FieldRule("Beteiligtennummer", "[0-9]{4}"),
    FieldRule("Identifikationsnummer", text(11)),
    FieldRule("Zeichnernummer", text(20)),
    FieldRule("Postensperre bis", DAY),
    FieldRule("Bezeichnung SoBil-Sachverhalt", text(30)),
    FieldRule("Kennzeichen SoBil-Buchung", digits(2)),
    FieldRule("Festschreibung", FLAG),
    FieldRule("Leistungsdatum", DAY),
    FieldRule("Datum Zuord. Steuerperiode", DAY),
    FieldRule("Fälligkeit", DAY),
    FieldRule("Generalumkehr (GU)", _text_of("[01]")),
    FieldRule("Steuersatz", PERCENT),
    FieldRule("Land", _text_of("[A-Z]{2}")),
    FieldRule("Abrechnungsreferenz", text(50)),
    FieldRule("BVV-Position", "[1-5]"),
    FieldRule("EU-Land u. UStID (Ursprung)", text(15)),
    FieldRule("EU-Steuersatz (Ursprung)", r"[0-9]{2},[0-9]{2}"),
    FieldRule("Abw. Skontokonto", digits(9)),
)
