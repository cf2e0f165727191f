"""What fields and documents are called where people read them, in German."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kompass.domain.paths import Steps
from kompass.domain.registry import LABELS

FIELDS: Mapping[str, str] = {
    "": "Dokument",
    "accountManagerId": "Betreuer",
    "activityType": "Art",
    "actualValue": "Tatsächlicher Wert",
    "addressLine2": "Adresszusatz",
    "amount": "Betrag",
    "approvalLimitEur": "Freigabegrenze (EUR)",
    "assignedTo": "Zuständig",
    "assignedLocationIds": "Standorte",
    "authorityLevel": "Entscheidungsbefugnis",
    "billingAddress": "Rechnungsadresse",
    "blockingReason": "Grund der Blockade",
    "budget": "Budget",
    "canApproveOrders": "Darf Aufträge freigeben",
    "category": "Kategorie",
    "city": "Ort",
    "companyName": "Firma",
    "contactPersonId": "Ansprechpartner",
    "content": "Text",
    "contractValue": "Auftragswert",
    "contractValueEur": "Auftragswert (EUR)",
    "country": "Land",
    "creditLimit": "Kreditlimit",
    "customerId": "Kunde",
    "customerType": "Kundenart",
    "date": "Datum",
    "decisionMakingRole": "Rolle bei Entscheidungen",
    "defaultDeliveryLocationId": "Standardlieferort",
    "deliveryAddress": "Lieferadresse",
    "deliveryNotes": "Lieferhinweise",
    "deliveryStatus": "Lieferstatus",
    "department": "Abteilung",
    "description": "Beschreibung",
    "discountAmountEur": "Rabatt (EUR)",
    "discountPercent": "Rabatt (%)",
    "dsgvoConsent": "Einwilligungen",
    "dueDate": "Fällig am",
    "duration": "Dauer",
    "email": "E-Mail",
    "endDate": "Ende",
    "endTime": "Ende",
    "estimatedValue": "Geschätzter Wert",
    "expectedCloseDate": "Voraussichtlicher Abschluss",
    "expenseDate": "Datum",
    "firstName": "Vorname",
    "followUpDate": "Wiedervorlage",
    "functionalRoles": "Funktionen",
    "gpsCoordinates": "Koordinaten",
    "industry": "Branche",
    "isActive": "Aktiv",
    "items": "Positionen",
    "language": "Sprache",
    "lastName": "Nachname",
    "lastVisitDate": "Letzter Besuch",
    "latitude": "Breite",
    "lineItems": "Positionen",
    "locationId": "Standort",
    "locationName": "Name des Standorts",
    "locationType": "Art des Standorts",
    "longitude": "Länge",
    "lostReason": "Grund des Verlusts",
    "lostToCompetitor": "Verloren an",
    "milestones": "Meilensteine",
    "mobile": "Mobil",
    "name": "Name",
    "nextActions": "Nächste Schritte",
    "nextStep": "Nächster Schritt",
    "notes": "Notizen",
    "offerDate": "Angebotsdatum",
    "openingHours": "Öffnungszeiten",
    "outcome": "Ergebnis",
    "owner": "Verantwortlich",
    "parkingInstructions": "Parkhinweise",
    "participants": "Teilnehmer",
    "paymentSchedule": "Zahlungsplan",
    "paymentTerms": "Zahlungsbedingungen",
    "paymentTermsDays": "Zahlungsziel (Tage)",
    "phase": "Phase",
    "phone": "Telefon",
    "position": "Position",
    "preferredContactMethod": "Bevorzugter Kontaktweg",
    "preferredVisitTime": "Bevorzugte Besuchszeit",
    "priority": "Priorität",
    "private": "Privat",
    "probability": "Wahrscheinlichkeit",
    "projectId": "Projekt",
    "projectManagerId": "Projektleitung",
    "quantity": "Menge",
    "rating": "Bewertung",
    "region": "Gebiet",
    "scheduledAt": "Termin",
    "serviceCategories": "Leistungen",
    "startDate": "Beginn",
    "startTime": "Beginn",
    "state": "Bundesland",
    "status": "Status",
    "street": "Straße",
    "streetNumber": "Hausnummer",
    "subject": "Betreff",
    "summary": "Zusammenfassung",
    "supplierName": "Lieferant",
    "tags": "Schlagworte",
    "taskDescription": "Tätigkeit",
    "taxRate": "Steuersatz",
    "teamMemberIds": "Team",
    "terms": "Bedingungen",
    "title": "Titel",
    "totalEur": "Gesamtbetrag (EUR)",
    "unit": "Einheit",
    "unitPriceEur": "Einzelpreis (EUR)",
    "userId": "Person",
    "validUntil": "Gültig bis",
    "vatNumber": "USt-IdNr.",
    "visitFrequencyDays": "Besuchsabstand (Tage)",
    "website": "Webseite",
    "workingHours": "Arbeitszeiten",
    "zipCode": "Postleitzahl",
}

_NAMES = (
    ("companyName",),
    ("firstName", "lastName"),
    ("locationName",),
    ("projectNumber", "name"),
    ("offerNumber",),
    ("contractNumber",),
    ("orderNumber",),
    ("rfqNumber",),
    ("invoiceNumber",),
    ("materialCode", "materialName"),
    ("title",),
    ("subject",),
    ("name",),
    ("taskDescription",),
    ("description",),
)
"""What a document is called by: the first of these of which it has something."""

MOST = 120
"""Characters of a document's name."""

_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


def label(steps: Steps) -> str:
    """`Lieferadresse › Straße`; a field without a German name under its own, in words."""
    parts = []
    for step in steps:
        if isinstance(step, tuple):
            parts.append(str(step[1])[:MOST])
        else:
            parts.append(FIELDS.get(step) or " ".join(_WORD.findall(step)).capitalize() or step)
    return " › ".join(parts) or FIELDS[""]


def name_of(body: Mapping[str, Any]) -> str:
    """What people call the document."""
    for names in _NAMES:
        found = [value for name in names if isinstance(value := body.get(name), str) and value]
        if found:
            return " ".join(found)[:MOST]
    doctype = body.get("type")
    return LABELS.get(doctype, doctype[:MOST]) if isinstance(doctype, str) else ""
