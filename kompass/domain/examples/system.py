"""Examples: people and what the server writes."""

from __future__ import annotations

from kompass.domain.examples.parts import Part, docid

NEEDED: dict[str, Part] = {
    "user": lambda d: {
        "userName": "adm1",
        "email": "wiebke@kompass.example",
        "displayName": "Wiebke Petersen",
        "roles": ["ADM"],
        "active": True,
    },
    "user_card": lambda d: {},
    "role": lambda d: {"name": "Außendienst"},
    "permission_matrix": lambda d: {"matrixVersion": "1.1.0", "overrides": {}},
    "calendar_subscription": lambda d: {"userId": "adm1", "tokenHash": "0" * 64},
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

MORE: dict[str, Part] = {
    "user": lambda d: {
        "name": "adm1",
        "primaryRole": "ADM",
        "anonymized": False,
        "anonymizedAt": None,
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
    "notification": lambda d: {
        "title": "Sie wurden erwähnt",
        "message": "Bitte prüfen",
        "isRead": True,
        "readAt": d.time(),
        "documentId": docid("comment"),
        "documentType": "comment",
        "otherDocumentIds": [docid("customer"), docid("customer", 2)],
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
