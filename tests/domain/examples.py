"""A sound document of every type: the smallest there is, and one with every field.

`smallest(type)` and `full(type)` give fresh dictionaries that nobody else holds. Dates lie around `now`, so
that the documents are sound as new ones at that time; ids are the same at each call, and a reference leads to
the document that `smallest` and `full` give for the type it leads to.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from kompass.access.companions import BASE_FIELD, companion_id
from kompass.access.table import SERVER_WRITTEN
from kompass.domain.registry import MODELS
from kompass.domain.upcasting import current_version

Document = dict[str, Any]

NOW = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
"""A Monday morning."""

_NAMESPACE = UUID("9b1c7c52-27f1-4c3c-8a5e-6b1f0f6c7d10")

_PREFIXES = {
    "user_task": "usertask",
    "project_task": "projecttask",
    "project_material_requirement": "project-material",
    "supplier_communication": "supplier-comm",
}

TYPES = tuple(MODELS)
WRITTEN_BY_PEOPLE = tuple(doctype for doctype in TYPES if doctype not in SERVER_WRITTEN | {"material_stock"})

ADDRESS = {"street": "Große Straße", "zipCode": "24937", "city": "Flensburg", "country": "Deutschland"}
FULL_ADDRESS = {
    **ADDRESS,
    "streetNumber": "12a",
    "addressLine2": "Hinterhof",
    "state": "Schleswig-Holstein",
    "latitude": 54.7833,
    "longitude": 9.4333,
}
PLACE = {"latitude": 54.7833, "longitude": 9.4333}
POSITION = {**PLACE, "accuracy": 12.5, "address": "Große Straße 12a, Flensburg"}
LONG = "Regale für Hofläden aus heimischem Holz, gebaut und geliefert in ganz Norddeutschland."


def docid(doctype: str, number: int = 1) -> str:
    """The id of the document of that type that the examples mean; others by number."""
    if doctype == "user":
        return "user-adm1"
    if doctype in BASE_FIELD:
        base = next(base for base in MODELS if BASE_FIELD[doctype] == _field_of(base))
        return companion_id(doctype, docid(base, number))
    prefix = _PREFIXES.get(doctype, doctype.replace("_", "-"))
    # A companion has the uuid of its base, so the uuid of a base must be its own.
    return f"{prefix}-{UUID(bytes=uuid5(_NAMESPACE, f'{doctype}/{number}').bytes, version=4)}"


def _field_of(base: str) -> str:
    return {"time_entry": "timeEntryId"}.get(base, f"{base}Id")


def smallest(doctype: str, now: datetime = NOW) -> Document:
    """Nothing but what the type needs."""
    return {**_common(doctype, now), **deepcopy(_NEEDED[doctype](_Dates(now)))}


def full(doctype: str, now: datetime = NOW) -> Document:
    """Every field that the type has."""
    more = {**_STORED} if doctype in _PLAIN else {**_STORED, **_MARKS, **_author(now)}
    dates = _Dates(now)
    parts = (_common(doctype, now), more, _NEEDED[doctype](dates), _MORE[doctype](dates))
    found: Document = {"schemaVersion": current_version(doctype)}
    for part in parts:
        found |= deepcopy(part)
    return found


class _Dates:
    """Days and times around now."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def day(self, days: int) -> str:
        return (self.now + timedelta(days=days)).date().isoformat()

    def time(self, hours: float = 0) -> str:
        return iso(self.now + timedelta(hours=hours))


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _author(now: datetime) -> Document:
    return {
        "createdBy": "adm1",
        "createdAt": iso(now),
        "modifiedBy": "adm1",
        "modifiedAt": iso(now),
        "version": 1,
    }


_PLAIN = frozenset({"rejected_change", "conflict", "device", "quarantine"})
_STORED: Document = {
    "_rev": "1-0123456789abcdef0123456789abcdef",
    "_attachments": {"foto.jpg": "md5-AAAAAAAAAAAAAAAAAAAAAA=="},
}
_MARKS: Document = {
    "changeLog": [
        {
            "changeNumber": "CL-2026-00001",
            "field": "notes",
            "oldValue": "eins",
            "newValue": "zwei",
            "changedBy": "gf1",
            "changedAt": "2026-11-01T08:00:00.000Z",
            "reason": "Zahlendreher im Vermerk",
            "approvedBy": "gf1",
        }
    ],
    "immutableAt": "2026-11-01T08:00:00.000Z",
    "immutableHash": "ab" * 32,
    "immutableAttachments": {"foto.jpg": "md5-AAAAAAAAAAAAAAAAAAAAAA=="},
    "finalized": True,
    "legalHold": False,
    "correctionReason": "Zahlendreher im Vermerk",
    "attachments": [
        {
            "fileName": "foto.jpg",
            "fileUrl": "foto.jpg",
            "fileSize": 204_800,
            "mimeType": "image/jpeg",
            "uploadedAt": "2026-11-01T08:00:00.000Z",
            "uploadedBy": "adm1",
        }
    ],
    "notes": "Erste Zeile\n\tzweite Zeile",
}


def _common(doctype: str, now: datetime) -> Document:
    written = {"_id": docid(doctype), "type": doctype}
    if doctype in BASE_FIELD:
        field = BASE_FIELD[doctype]
        base = next(base for base in MODELS if field == _field_of(base))
        written[field] = docid(base)
    return written | (_author(now) if doctype in WRITTEN_BY_PEOPLE else {})


_Part = Callable[[_Dates], Document]
_CUSTOMER = {"customerId": docid("customer")}
_PROJECT = {"projectId": docid("project")}
_SUPPLIER = {"supplierId": docid("supplier")}
_ITEM = {"description": "Regal aus Eiche", "quantity": 3, "unitPriceEur": 1250.5}
_FULL_ITEM = {
    **_ITEM,
    "position": 1,
    "materialId": docid("material"),
    "unit": "piece",
    "totalPriceEur": 3751.5,
    "taxRate": 0.19,
}
_PAYMENT = {
    "paidAt": "2026-11-12T08:00:00.000Z",
    "paidBy": "buch1",
    "paidDate": "2026-11-12",
    "paymentReference": "UEB-4711",
}
_APPROVED = {"approvedBy": "gf1", "approvedAt": "2026-11-11T08:00:00.000Z"}
_TERMS = {"paymentMethod": "Invoice", "daysUntilDue": 30, "discountPercentage": 2, "discountDays": 10}
_RATING = {"overall": 4.25, "quality": 5, "reliability": 4, "communication": 4, "priceValue": 4}
_SIGNATURE = {
    "name": "Käthe Müller-Lüdenscheidt",
    "signedAt": "2026-11-10T08:00:00.000Z",
    "place": "Flensburg",
    "image": "unterschrift.png",
}
_COMPANY = {
    "companyName": "Hofladen Süß & Söhne GmbH",
    "billingAddress": FULL_ADDRESS,
    "email": "info@hofladen-suess.example",
    "phone": "+49 30 23125 012",
    "website": "https://www.hofladen-suess.example",
    "industry": "Direktvermarktung",
    "customerType": "direct_marketer",
}

_NEEDED: dict[str, _Part] = {
    "customer": lambda d: {"companyName": "Hof", "billingAddress": ADDRESS, "owner": "adm1"},
    "customer_finance": lambda d: {},
    "customer_visit": lambda d: {},
    "customer_card": lambda d: {},
    "location": lambda d: {
        **_CUSTOMER,
        "locationName": "Hauptsitz",
        "locationType": "headquarter",
        "isActive": True,
        "deliveryAddress": ADDRESS,
    },
    "contact": lambda d: {
        **_CUSTOMER,
        "firstName": "Käthe",
        "lastName": "Öztürk",
        "decisionMakingRole": "informational",
        "authorityLevel": "low",
        "canApproveOrders": False,
    },
    "lead": lambda d: {"companyName": "Café Zürich", "status": "NEW", "owner": "adm1"},
    "opportunity": lambda d: {"title": "Ladenbau", **_CUSTOMER, "status": "new", "owner": "adm1"},
    "opportunity_card": lambda d: {},
    "offer": lambda d: {
        "opportunityId": docid("opportunity"),
        **_CUSTOMER,
        "status": "draft",
        "offerDate": d.day(0),
        "validUntil": d.day(30),
        "lineItems": [_ITEM],
    },
    "offer_margin": lambda d: {},
    "contract": lambda d: {
        "offerId": docid("offer"),
        "opportunityId": docid("opportunity"),
        **_CUSTOMER,
        "status": "draft",
        "contractDate": d.day(0),
        "startDate": d.day(7),
    },
    "invoice": lambda d: {"invoiceNumber": "R-2026-00042", **_CUSTOMER, "status": "sent"},
    "invoice_amount": lambda d: {},
    "invoice_card": lambda d: {},
    "activity": lambda d: {
        "activityType": "call",
        **_CUSTOMER,
        "date": d.time(-1),
        "subject": "Anruf",
    },
    "protocol": lambda d: {"title": "Begehung", "date": d.time(-2), **_CUSTOMER},
    "project": lambda d: {
        "name": "Neubau",
        **_CUSTOMER,
        "status": "planning",
        "projectManagerId": "plan1",
    },
    "project_card": lambda d: {},
    "project_costs": lambda d: {},
    "project_margin": lambda d: {},
    "project_competitor": lambda d: {},
    "project_task": lambda d: {
        **_PROJECT,
        "title": "Aufmaß",
        "status": "todo",
        "assignedTo": "plan1",
    },
    "project_cost": lambda d: {
        **_PROJECT,
        "costType": "material",
        "description": "Eichenbohlen, sägerau",
        "status": "planned",
        "quantity": 12.5,
        "unitPriceEur": 48.9,
    },
    "user_task": lambda d: {"title": "Anrufen", "status": "open", "assignedTo": "adm1"},
    "time_entry": lambda d: {
        **_PROJECT,
        "taskDescription": "Aufmaß vor Ort",
        "userId": "plan1",
        "status": "in_progress",
        "startTime": d.time(-1),
        "isManualEntry": False,
    },
    "time_entry_cost": lambda d: {},
    "tour": lambda d: {
        "title": "Küste",
        "ownerId": "adm1",
        "status": "planned",
        "startDate": d.day(1),
        "endDate": d.day(1),
    },
    "tour_card": lambda d: {},
    "tour_costs": lambda d: {},
    "meeting": lambda d: {
        **_CUSTOMER,
        "locationId": docid("location"),
        "scheduledAt": d.time(24),
        "duration": 60,
        "meetingType": "first_visit",
    },
    "meeting_card": lambda d: {},
    "hotel_stay": lambda d: {
        "hotelName": "Strandhotel",
        "checkInDate": d.day(1),
        "checkOutDate": d.day(3),
        "nights": 2,
        "pricePerNightEur": 89.9,
    },
    "expense": lambda d: {
        "title": "Parken",
        "expenseDate": d.day(-1),
        "category": "parking",
        "amount": 4.5,
        "status": "draft",
    },
    "expense_notes": lambda d: {},
    "mileage_log": lambda d: {"date": d.day(-1), "start": PLACE, "end": PLACE, "distance": 42.7},
    "supplier": lambda d: {
        "companyName": "Holz Meier",
        "email": "info@holz-meier.example",
        "phone": "+49 40 66969 001",
        "billingAddress": ADDRESS,
        "supplierType": "material_supplier",
        "serviceCategories": ["Holz"],
        "serviceDescription": LONG,
        "status": "PendingApproval",
        "accountManagerId": "innen1",
    },
    "supplier_card": lambda d: {},
    "supplier_contract": lambda d: {
        "title": "Rahmenvertrag Holz",
        **_SUPPLIER,
        "contractType": "framework",
        "status": "draft",
        "contractValueEur": 40_000,
        "startDate": d.day(14),
    },
    "purchase_order": lambda d: {**_SUPPLIER, "status": "draft", "lineItems": [_ITEM]},
    "project_subcontractor": lambda d: {
        **_PROJECT,
        **_SUPPLIER,
        "workPackage": "Elektrik",
        "status": "Planned",
    },
    "request_for_quote": lambda d: {
        "title": "Eiche 2027",
        "supplierIds": [docid("supplier")],
        "status": "draft",
    },
    "supplier_communication": lambda d: {
        **_SUPPLIER,
        "communicationType": "phone",
        "date": d.time(-3),
        "subject": "Lieferzeit",
    },
    "delivery": lambda d: {"purchaseOrderId": docid("purchase_order"), "status": "in_transit"},
    "supplier_invoice": lambda d: {
        **_SUPPLIER,
        "invoiceNumber": "2026/815",
        "invoiceDate": d.day(-2),
        "totalEur": 119,
        "status": "Pending",
    },
    "material": lambda d: {
        "materialName": "Eichenbohle",
        "description": "Eiche, sägerau, 50 mm",
        "unit": "linear_meter",
        "supplierPrices": [{**_SUPPLIER, "unitPriceEur": 12.34}],
        "status": "Active",
    },
    "material_card": lambda d: {},
    "material_stock": lambda d: {"materialId": docid("material")},
    "inventory_movement": lambda d: {
        "materialId": docid("material"),
        "movementType": "purchase_receipt",
        "quantity": 100,
    },
    "project_material_requirement": lambda d: {
        **_PROJECT,
        "materialId": docid("material"),
        "status": "estimated",
        "estimatedQuantity": 24,
    },
    "user": lambda d: {
        "userName": "adm1",
        "email": "wiebke@kompass.example",
        "displayName": "Wiebke Petersen",
        "roles": ["ADM"],
        "primaryRole": "ADM",
        "active": True,
    },
    "user_card": lambda d: {},
    "role": lambda d: {"name": "Außendienst"},
    "permission_matrix": lambda d: {"matrixVersion": "1.1.0", "overrides": {}},
    "calendar_subscription": lambda d: {"userId": "adm1", "tokenHash": "0" * 64},
    "comment": lambda d: {"parentId": docid("project"), "content": "Bitte prüfen"},
    "notification": lambda d: {
        "recipientId": "adm1",
        "notificationType": "MENTION",
        "isRead": False,
    },
    "rejected_change": lambda d: {
        "user": "adm1",
        "docId": docid("offer"),
        "rev": "2-0123456789abcdef0123456789abcdef",
        "deleted": False,
        "attachments": [],
        "rule": "model.missing",
        "reason": "offer: customerId is missing.",
        "grund": "Angebot: customerId fehlt.",
        "fields": ["customerId"],
        "quarantineId": docid("quarantine"),
        "createdAt": d.time(),
    },
    "conflict": lambda d: {"docType": "customer", "docId": docid("customer"), "fields": []},
    "device": lambda d: {"user": "adm1", "name": "Tablet"},
    "quarantine": lambda d: {
        "state": "refused",
        "user": "adm1",
        "docId": docid("offer"),
        "deleted": False,
        "rule": "model.missing",
        "reason": "offer: customerId is missing.",
        "grund": "Angebot: customerId fehlt.",
        "fields": [],
        "parents": [],
        "stubs": {},
        "received": d.time(),
        "revisions": {"start": 1, "ids": ["0123456789abcdef0123456789abcdef"]},
    },
}

_PROJECT_CARD: Document = {
    "projectNumber": "P-2026-B001",
    "name": "Neubau",
    **_CUSTOMER,
    "contractId": docid("contract"),
    "locationId": docid("location"),
    "status": "planning",
    "startDate": "2026-12-01",
    "endDate": "2027-03-31",
    "actualEndDate": "2027-04-15",
    "projectManagerId": "plan1",
    "teamMemberIds": ["innen1", "plan1"],
    "tags": ["Neubau", "Holz"],
    "description": "Neubau eines Hofladens\nmit Café",
    "milestones": [{"id": "m1", "name": "Aufmaß", "dueDate": "2026-12-10", "status": "pending"}],
}

_MORE: dict[str, _Part] = {
    "customer": lambda d: {
        **_COMPANY,
        "customerNumber": "K-00042",
        "vatNumber": "DE123456789",
        "rating": "A",
        "defaultDeliveryLocationId": docid("location"),
        "dsgvoConsent": {
            "marketing": True,
            "aiProcessing": False,
            "dataSharing": False,
            "grantedAt": d.time(-48),
            "grantedBy": "adm1",
            "revokedAt": d.time(-1),
        },
        "dataRetentionUntil": "2036-12-31",
        "anonymized": False,
        "anonymizedAt": None,
    },
    "customer_finance": lambda d: {
        "creditLimit": 1_000_000,
        "paymentTerms": "30 Tage netto",
        "accountBalance": -1234.56,
    },
    "customer_visit": lambda d: {
        "lastVisitDate": d.day(0),
        "visitFrequencyDays": 90,
        "preferredVisitTime": "morning",
    },
    "customer_card": lambda d: _COMPANY,
    "location": lambda d: {
        "deliveryAddress": FULL_ADDRESS,
        "primaryContactPersonId": docid("contact"),
        "deliveryNotes": "Rampe hinten",
        "openingHours": "Mo-Fr 8-18 Uhr",
        "parkingInstructions": "Hof",
        "gpsCoordinates": PLACE,
        "isHotel": True,
        "hotelRating": 4,
    },
    "contact": lambda d: {
        "title": "Dr.",
        "position": "Inhaberin",
        "department": "Leitung",
        "email": "kaethe@hofladen-suess.example",
        "phone": "+49 30 23125 013",
        "mobile": "+49 171 39200 01",
        "decisionMakingRole": "decision_maker",
        "authorityLevel": "final_authority",
        "canApproveOrders": True,
        "approvalLimitEur": 250_000,
        "functionalRoles": ["owner_ceo"],
        "departmentInfluence": ["Einkauf"],
        "assignedLocationIds": [docid("location"), docid("location", 2)],
        "isPrimaryContactForLocations": [docid("location")],
        "preferredContactMethod": "phone",
        "language": "de",
        "anonymized": False,
        "anonymizedAt": None,
    },
    "lead": lambda d: {
        "firstName": "Zoë",
        "lastName": "D'Arc",
        "email": "zoe@cafe.example",
        "phone": "0301234567",
        "city": "Berlin",
        "billingAddress": FULL_ADDRESS,
        "source": "TRADESHOW",
        "status": "CONVERTED",
        "description": "Auf der Messe",
        "rejectionReason": "",
        "convertedAt": d.time(-1),
        "convertedCustomerId": docid("customer"),
        "convertedOpportunityId": docid("opportunity"),
    },
    "opportunity": lambda d: {
        "contactPersonId": docid("contact"),
        "locationId": docid("location"),
        "status": "won",
        "probability": 100,
        "estimatedValue": 10_000_000,
        "weightedValue": 10_000_000,
        "expectedCloseDate": d.day(30),
        "description": "Kompletter Ladenbau",
        "nextStep": "Vertrag",
        "tags": ["Holz"],
        "lostReason": "",
        "lostToCompetitor": "",
        "actualValue": 9_500_000.5,
    },
    "opportunity_card": lambda d: {
        "title": "Ladenbau",
        **_CUSTOMER,
        "status": "won",
        "expectedCloseDate": d.day(30),
        "owner": "adm1",
    },
    "offer": lambda d: {
        "offerNumber": "A-2026-00042",
        "contactPersonId": docid("contact"),
        "locationId": docid("location"),
        "status": "rejected",
        "lineItems": [_FULL_ITEM],
        "subtotalEur": 3751.5,
        "discountPercent": 10,
        "discountAmountEur": 375.15,
        "taxRate": 0.19,
        "taxAmountEur": 641.51,
        "totalEur": 4017.86,
        "paymentTermsDays": 30,
        "deliveryTimeDays": 60,
        "pdfUrl": "angebot.pdf",
        "terms": "Es gelten unsere Bedingungen.",
        "sentAt": d.time(-48),
        "viewedAt": d.time(-24),
        "acceptedAt": d.time(-2),
        "rejectedAt": d.time(-1),
        "rejectionReason": "Zu teuer für dieses Jahr",
        "contractId": docid("contract"),
        "supersededBy": docid("offer", 2),
        **_APPROVED,
    },
    "offer_margin": lambda d: {"costBasisEur": 3000, "marginEur": -12.5, "marginPercent": -0.42},
    "contract": lambda d: {
        "contractNumber": "C-2026-00007",
        "contactPersonId": docid("contact"),
        "status": "terminated",
        "endDate": d.day(200),
        "contractValueEur": 4017.86,
        "subtotalEur": 3376.35,
        "taxAmountEur": 641.51,
        "paymentTermsDays": 30,
        "paymentSchedule": [
            {
                "description": "Anzahlung",
                "dueDate": d.day(14),
                "percent": 33.33,
                "amountEur": 1339.15,
                "completed": True,
                "paidAt": d.time(-1),
            }
        ],
        "deliverySchedule": [
            {
                "description": "Regale",
                "date": d.day(60),
                "locationId": docid("location"),
                "quantity": 3,
            }
        ],
        "terms": "Es gelten unsere Bedingungen.",
        "projectManagerId": "plan1",
        "estimatedStartDate": d.day(10),
        "estimatedDuration": 90,
        "signedPdfUrl": "vertrag.pdf",
        "customerSignature": _SIGNATURE,
        "ourSignature": _SIGNATURE,
        "signedAt": d.time(-3),
        "signedBy": "gf1",
        "terminatedAt": d.time(-1),
        "terminationReason": "Kunde hat den Hof verkauft",
        "projectId": docid("project"),
        "supersededBy": docid("contract", 2),
    },
    "invoice": lambda d: {
        "lexwareId": "4711",
        **_PROJECT,
        "contractId": docid("contract"),
        "invoiceType": "deposit",
        "invoiceDate": d.day(-20),
        "dueDate": d.day(10),
        "paidDate": d.day(-1),
        "pdfUrl": "rechnung.pdf",
    },
    "invoice_amount": lambda d: {"netAmount": 100, "taxAmount": 19, "grossAmount": 119, "paidAmount": 60.5},
    "invoice_card": lambda d: {"invoiceNumber": "R-2026-00042", **_CUSTOMER, "paid": True},
    "activity": lambda d: {
        "contactId": docid("contact"),
        "locationId": docid("location"),
        "opportunityId": docid("opportunity"),
        "projectId": docid("project"),
        "duration": 45,
        "description": "Lange gesprochen",
        "outcome": "Angebot erbeten",
        "followUpDate": d.day(14),
        "voiceRecordingUrl": "aufnahme.m4a",
        "voiceTranscript": "Ja, nein, vielleicht.",
        "private": False,
    },
    "protocol": lambda d: {
        "opportunityId": docid("opportunity"),
        **_PROJECT,
        "meetingId": docid("meeting"),
        "participants": ["Käthe Öztürk", "Wiebke Petersen"],
        "summary": "Alles besprochen",
        "voiceNoteUrl": "https://files.kompass.example/notiz.m4a",
        "transcription": "Guten Tag",
        "nextActions": [{"task": "Angebot schreiben", "assignee": "innen1", "dueDate": d.day(3)}],
        "tags": ["Begehung"],
        "locationCheckIn": {
            "checkInType": "on_site",
            "checkedInAt": d.time(-2),
            "coordinates": PLACE,
            "locationId": docid("location"),
        },
        "private": False,
    },
    "project": lambda d: {
        **_PROJECT_CARD,
        "projectType": "B",
        "opportunityId": docid("opportunity"),
        "offerId": docid("offer"),
        "contractValue": 40_000,
        "budget": 35_000,
        "estimatedMaterialCost": 10_000,
        "estimatedLaborCost": 10_000,
        "estimatedSubcontractorCost": 5_000,
        "estimatedTotalCost": 25_000,
        "cancellationReason": "",
    },
    "project_card": lambda d: _PROJECT_CARD,
    "project_costs": lambda d: {
        "actualMaterialCost": 1,
        "actualLaborCost": 2,
        "actualSubcontractorCost": 3,
        "actualExpensesCost": 4,
        "actualTotalCost": 10.0,
        "budgetStatus": "OnTrack",
    },
    "project_margin": lambda d: {"profitMargin": 19.05, "actualMargin": 3.6},
    "project_competitor": lambda d: {"competitorInfo": "Ein anderer Ladenbauer bietet mit"},
    "project_task": lambda d: {
        "description": "Vor Ort messen",
        "status": "blocked",
        "priority": "critical",
        "dueDate": d.day(5),
        "phase": "planning",
        "milestone": "Aufmaß",
        "blockingReason": "Baustelle noch gesperrt",
    },
    "project_cost": lambda d: {
        "status": "paid",
        **_SUPPLIER,
        "supplierName": "Holz Meier",
        "unit": "linear_meter",
        "taxRate": 0.19,
        "totalNetEur": 611.25,
        "taxAmountEur": 116.14,
        "totalGrossEur": 727.39,
        "stornoOf": docid("project_cost", 2),
        "stornoReason": "Doppelt erfasst worden",
        "invoiceNumber": "2026/815",
        "invoiceDate": d.day(-5),
        "invoicePdfUrl": "rechnung.pdf",
        "orderedAt": d.time(-200),
        "receivedAt": d.time(-150),
        **_APPROVED,
        **_PAYMENT,
    },
    "user_task": lambda d: {
        "description": "Rückruf erbeten",
        "priority": "urgent",
        "dueDate": d.day(0),
        "relatedCustomerId": docid("customer"),
        "relatedOpportunityId": docid("opportunity"),
        "relatedProjectId": docid("project"),
        "completedAt": d.time(-1),
        "completedBy": "adm1",
    },
    "time_entry": lambda d: {
        "taskId": docid("project_task"),
        "status": "rejected",
        "endTime": d.time(-0.5),
        "durationMinutes": 30,
        **_APPROVED,
        "rejectionReason": "Gehört zu einem anderen Projekt",
        "stornoOf": docid("time_entry", 2),
        "stornoReason": "Doppelt erfasst worden",
    },
    "time_entry_cost": lambda d: {"hourlyRateEur": 50, "totalCostEur": 25},
    "tour": lambda d: {
        "region": "Küste",
        "plannedRoute": [
            {
                "name": "Flensburg",
                "locationId": docid("location"),
                "customerId": docid("customer"),
                **PLACE,
                "plannedAt": d.time(26),
            }
        ],
        "meetingIds": [docid("meeting")],
        "hotelStayIds": [docid("hotel_stay")],
        "expenseIds": [docid("expense")],
        "mileageLogIds": [docid("mileage_log")],
        "estimatedDistance": 412,
        "actualDistance": 420.7,
        "completedAt": d.time(-1),
        "cancellationReason": "",
    },
    "tour_card": lambda d: {
        "title": "Küste",
        "ownerId": "adm1",
        "startDate": d.day(1),
        "endDate": d.day(2),
        "region": "Küste",
        "status": "planned",
    },
    "tour_costs": lambda d: {"estimatedCosts": 300, "actualCosts": 312.5},
    "meeting": lambda d: {
        "title": "Erstbesuch",
        "tourId": docid("tour"),
        "contactId": docid("contact"),
        "opportunityId": docid("opportunity"),
        "attended": True,
        "checkInGPS": {**POSITION, "timestamp": d.time(-1)},
        "checkedInAt": d.time(-1),
        "outcome": "successful",
        "outcomeNotes": "Gutes Gespräch",
        "outcomeAt": d.time(-1),
        "protocolId": docid("protocol"),
    },
    "meeting_card": lambda d: {
        "tourId": docid("tour"),
        **_CUSTOMER,
        "scheduledAt": d.time(24),
        "duration": 60,
        "meetingType": "first_visit",
    },
    "hotel_stay": lambda d: {
        "tourId": docid("tour"),
        "locationId": docid("location"),
        "address": FULL_ADDRESS,
        "totalPriceEur": 179.8,
        "bookingReference": "B-42",
        "rating": 5,
    },
    "expense": lambda d: {
        "receiptNumber": "EXP-2026-001",
        "currency": "EUR",
        "amount": 119,
        "taxRate": 0.19,
        "taxAmount": 19,
        "netAmount": 100,
        "description": "Parkhaus",
        "justification": "Kein anderer Parkplatz frei",
        "status": "paid",
        "receiptUrl": "beleg.jpg",
        "tourId": docid("tour"),
        "meetingId": docid("meeting"),
        **_PROJECT,
        "mileageLogId": docid("mileage_log"),
        "stornoOf": docid("expense", 2),
        "stornoReason": "Doppelt erfasst worden",
        "submittedAt": d.time(-20),
        **_APPROVED,
        "rejectionReason": "Beleg ist unleserlich",
        **_PAYMENT,
    },
    "expense_notes": lambda d: {"adminNotes": "Beleg liegt im Ordner"},
    "mileage_log": lambda d: {
        "tourId": docid("tour"),
        **_PROJECT,
        "meetingId": docid("meeting"),
        "expenseId": docid("expense"),
        "purpose": "Besuch",
        "start": {**POSITION, "timestamp": d.time(-26)},
        "end": {**POSITION, "timestamp": d.time(-25)},
        "gpsDistance": 30,
        "overrideReason": "Umleitung wegen gesperrter Brücke",
        "overriddenBy": "gf1",
        "ratePerKm": 0.3,
        "costEur": 12.81,
        "vehicle": "FL-KO 42",
        "routeGeoJSON": {"type": "LineString", "coordinates": [[9.4, 54.8], [9.5, 54.7]]},
    },
    "supplier": lambda d: {
        "contactName": "Jörg Meier",
        "website": "https://holz-meier.example",
        "vatNumber": "DE987654321",
        "billingAddress": FULL_ADDRESS,
        "paymentTerms": _TERMS,
        "rating": _RATING,
        "totalOrders": 12,
        "totalSpendEur": 120_000.5,
        "status": "Blacklisted",
        "blacklistReason": "Dreimal falsch geliefert",
    },
    "supplier_card": lambda d: {
        "companyName": "Holz Meier",
        "email": "info@holz-meier.example",
        "phone": "+49 40 66969 001",
        "billingAddress": ADDRESS,
        "supplierType": "material_supplier",
        "serviceCategories": ["Holz"],
        "status": "Active",
    },
    "supplier_contract": lambda d: {
        "contractNumber": "SC-2026-00003",
        **_PROJECT,
        "status": "terminated",
        "endDate": d.day(379),
        "milestones": [
            {"description": "Beginn", "percent": 33.34},
            {"description": "Ende", "percent": 66.66},
        ],
        "paymentTerms": _TERMS,
        "terms": "Es gelten die Bedingungen.",
        "signedPdfUrl": "vertrag.pdf",
        "signedAt": d.time(-3),
        "signedBy": "gf1",
        **_APPROVED,
        "countersignedBy": "buch1",
        "countersignedAt": d.time(-2),
        "terminationReason": "Lieferant hat gekündigt",
    },
    "purchase_order": lambda d: {
        "orderNumber": "PO-2026-00011",
        **_PROJECT,
        "supplierContractId": docid("supplier_contract"),
        "lineItems": [_FULL_ITEM],
        "subtotalEur": 3751.5,
        "taxRate": 0.19,
        "taxAmountEur": 712.79,
        "shippingEur": 50,
        "totalEur": 4514.29,
        "orderDate": d.day(0),
        "expectedDeliveryDate": d.day(21),
        "deliveryAddress": FULL_ADDRESS,
        **_APPROVED,
        "sentAt": d.time(-2),
        "confirmedAt": d.time(-1),
        "cancellationReason": "Falsch bestellt worden",
        "rejectionReason": "Zu teuer für dieses Jahr",
        "terms": "Frei Haus",
    },
    "project_subcontractor": lambda d: {
        "supplierContractId": docid("supplier_contract"),
        "description": "Alle Leitungen",
        "completionPercentage": 50,
        "startDate": d.day(5),
        "endDate": d.day(50),
        "estimatedCostEur": 8000,
        "actualCostEur": 8100.25,
        "assignedBy": "plan1",
        "assignedAt": d.time(-5),
        "rating": _RATING,
    },
    "request_for_quote": lambda d: {
        "rfqNumber": "RFQ-2026-00002",
        "description": "Eiche für alle Läden",
        **_PROJECT,
        "lineItems": [
            {
                "description": "Bohlen",
                "materialId": docid("material"),
                "quantity": 200,
                "unit": "linear_meter",
            }
        ],
        "dueDate": d.day(20),
        "sentAt": d.time(-1),
        "quotes": [
            {
                **_SUPPLIER,
                "totalEur": 2400,
                "receivedAt": d.time(-1),
                "validUntil": d.day(40),
                "deliveryTimeDays": 14,
                "notes": "frei Haus",
            }
        ],
        "selectedSupplierId": docid("supplier"),
    },
    "supplier_communication": lambda d: {
        **_PROJECT,
        "purchaseOrderId": docid("purchase_order"),
        "content": "Kommt später",
        "followUpDate": d.day(7),
    },
    "delivery": lambda d: {
        **_SUPPLIER,
        **_PROJECT,
        "locationId": docid("location"),
        "deliveryNoteNumber": "LS-99",
        "status": "delivered",
        "expectedDate": d.day(0),
        "deliveredAt": d.time(-1),
        "receivedBy": "innen1",
        "items": [
            {
                "description": "Bohlen",
                "materialId": docid("material"),
                "position": 1,
                "quantity": 200,
                "unit": "linear_meter",
                "accepted": True,
            }
        ],
        "damageNotes": "keine",
    },
    "supplier_invoice": lambda d: {
        "dueDate": d.day(28),
        "purchaseOrderId": docid("purchase_order"),
        "supplierContractId": docid("supplier_contract"),
        **_PROJECT,
        "subtotalEur": 100,
        "taxRate": 0.19,
        "taxAmountEur": 19,
        "status": "Disputed",
        "pdfUrl": "rechnung.pdf",
        **_APPROVED,
        "rejectionReason": "Menge stimmt nicht",
        "disputeReason": "Menge stimmt nicht",
        **_PAYMENT,
    },
    "material": lambda d: {
        "materialCode": "MAT-HLZ-001",
        "category": "Holz",
        "supplierPrices": [
            {
                **_SUPPLIER,
                "unitPriceEur": 12.34,
                "minimumQuantity": 10,
                "supplierArticleNumber": "E-50",
                "leadTimeDays": 14,
                "validFrom": d.day(0),
                "validUntil": d.day(365),
            }
        ],
        "averagePrice": 12.34,
        "lowestPrice": 12.34,
        "minimumStock": 10,
        "maximumStock": 500,
        "reorderQuantity": 100,
        "storageLocation": "Halle 2",
    },
    "material_card": lambda d: {
        "materialCode": "MAT-HLZ-001",
        "materialName": "Eichenbohle",
        "description": "Eiche, sägerau, 50 mm",
        "category": "Holz",
        "unit": "linear_meter",
        "status": "Active",
    },
    "material_stock": lambda d: {"currentStock": -3.5},
    "inventory_movement": lambda d: {
        "movementType": "project_allocation",
        "quantity": -12.5,
        "unitPriceEur": 12.34,
        "movementDate": d.day(0),
        **_PROJECT,
        "purchaseOrderId": docid("purchase_order"),
        "deliveryId": docid("delivery"),
        "fromLocation": "Halle 2",
        "toLocation": "Baustelle",
        "reason": "Für den Neubau in Flensburg",
    },
    "project_material_requirement": lambda d: {
        **_SUPPLIER,
        "purchaseOrderId": docid("purchase_order"),
        "status": "delivered",
        "deliveryStatus": "delivered",
        "confirmedQuantity": 25,
        "orderedQuantity": 25,
        "deliveredQuantity": 25,
        "unit": "linear_meter",
        "estimatedUnitPriceEur": 12,
        "actualUnitPriceEur": 12.34,
        "estimatedTotalCostEur": 288,
        "actualTotalCostEur": 308.5,
        "neededBy": d.day(30),
        "varianceReason": "Eine Bohle mehr",
        "reviewRequired": False,
    },
    "user": lambda d: {
        "name": "adm1",
        "language": "de",
        "timezone": "Europe/Berlin",
        "phoneNumber": "+49 30 23125 014",
        "department": "Außendienst Nord",
        "hourlyRateEur": 50,
        "workingHours": {
            **{
                day: {"startTime": "08:00", "endTime": "17:00", "breakDuration": 60}
                for day in (
                    "monday",
                    "tuesday",
                    "wednesday",
                    "thursday",
                    "friday",
                    "saturday",
                    "sunday",
                )
            },
            "vacationDays": [d.day(40)],
        },
        "availability": {
            "status": "vacation",
            "statusMessage": "Nordsee",
            "availableUntil": d.time(100),
        },
        "roleChangeHistory": [
            {
                "timestamp": d.time(-100),
                "changedBy": "gf1",
                "action": "ASSIGN",
                "role": "ADM",
                "reason": "Neu im Außendienst",
            }
        ],
    },
    "user_card": lambda d: {
        "userName": "adm1",
        "displayName": "Wiebke Petersen",
        "email": "wiebke@kompass.example",
        "phoneNumber": "+49 30 23125 014",
        "department": "Außendienst Nord",
        "active": True,
    },
    "role": lambda d: {
        "roleId": "ADM",
        "description": "Besucht Kunden",
        "permissions": {"customer": ["read"]},
        "priority": 10,
        "roleVersion": "1.0.0",
        "active": True,
    },
    "permission_matrix": lambda d: {
        "overrides": {"offer": {"ADM": {"read": ["own_customer"]}}},
        "active": True,
        "reason": "Nach der Schulung",
    },
    "calendar_subscription": lambda d: {
        "name": "Handy",
        "filters": {"types": ["meeting"]},
        "active": True,
        "expiresAt": d.time(1000),
        "lastUsedAt": d.time(-1),
    },
    "comment": lambda d: {
        "contextId": "lineItems[0]",
        "replyTo": docid("comment", 2),
        "mentions": ["plan1"],
        "resolved": True,
        "resolvedAt": d.time(),
        "resolvedBy": "plan1",
    },
    "notification": lambda d: {
        "title": "Sie wurden erwähnt",
        "message": "Bitte prüfen",
        "isRead": True,
        "readAt": d.time(),
        "documentId": docid("comment"),
        "documentType": "comment",
        "actorId": "plan1",
    },
    "rejected_change": lambda d: {"docType": "offer", "document": {"type": "offer"}, "omitted": []},
    "conflict": lambda d: {
        "user": "adm1",
        "fields": [{"path": "phone", "local": "1", "server": "2"}],
        "createdAt": d.time(),
    },
    "device": lambda d: {
        "implicit": False,
        "app_version": "1.0",
        "created": 1.5,
        "last_seen": 2.5,
        "last_sync": None,
        "documents": 3,
        "revoked": False,
        "lost": False,
        "lease_until": 4.5,
    },
    "quarantine": lambda d: {"device": "Tablet", "document": {"type": "offer"}},
}
