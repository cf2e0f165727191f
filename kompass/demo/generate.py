"""A made-up shop-fitting company: its customers and everything that belongs to them.

`generate` is pure: the same size and seed give the same documents in the same order, parents before children.
Shapes are those of the business's documents: fields that have readers of their own are companion documents
(`customer_finance`, `customer_visit`), children name their parent, nobody lists children, people are named by
their user name.

Nothing here reaches a real person: mail addresses end in `.example`, telephone numbers come from the ranges
that the Bundesnetzagentur keeps free for films.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from uuid import UUID

from kompass.access.companions import companion_id
from kompass.demo import words
from kompass.demo.business import Business
from kompass.demo.files import PHOTO_VARIANTS, pdf, photo
from kompass.demo.people import PEOPLE, Person
from kompass.settings_values import DemoSize

Document = dict[str, Any]

CUSTOMERS = {DemoSize.SMALL: 50, DemoSize.MEDIUM: 500, DemoSize.LARGE: 5000}
SEED = 2026
TODAY = date(2026, 11, 2)
"""The day on which the demo company was photographed: its tasks lie around it."""

_SOUTH = ("Baden-Württemberg", "Bayern", "Rheinland-Pfalz", "Saarland", "Hessen")
_FILM_NUMBERS = ("+49 30 23125", "+49 40 66969", "+49 69 90009", "+49 89 99998")
_PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "é": "e", "ë": "e"})


def generate(size: DemoSize, seed: int = SEED) -> Iterator[Document]:
    """All documents of the demo, ready to be written; attachments are inline."""
    maker = Maker(Random(seed), seed)
    for person in PEOPLE:
        yield maker.user(person)
    for number in range(1, CUSTOMERS[size] + 1):
        yield from maker.customer(number)


@dataclass(frozen=True)
class Customer:
    """What children need to know of their customer."""

    id: str
    name: str
    domain: str
    town: words.Town
    since: date
    owner: str


class Maker:
    """Makes documents from random numbers, the same ones from the same numbers."""

    def __init__(self, random: Random, seed: int) -> None:
        self.random = random
        self.seed = seed
        self.names: set[str] = set()

    # -- the parts every document has ----------------------------------------------------------

    def base(self, type: str, author: str, created: datetime, edits: int = 0) -> Document:
        """Identity and history. `edits` later changes by the author within the days that followed."""
        modified = created
        for _ in range(edits):
            modified += timedelta(days=self.random.randint(0, 20), minutes=self.random.randint(5, 400))
        modified = max(created, min(modified, _moment(TODAY, time(7, 55))))
        return {
            "_id": self.id(type),
            "type": type,
            "createdBy": author,
            "createdAt": _iso(created),
            "modifiedBy": author,
            "modifiedAt": _iso(modified),
            "version": 1 + edits,
        }

    def iso(self, moment: datetime) -> str:
        return _iso(moment)

    def id(self, type: str) -> str:
        return f"{type.replace('_', '-')}-{UUID(int=self.random.getrandbits(128), version=4)}"

    def companion(self, type: str, author: str, created: datetime, base_id: str) -> Document:
        """A restricted part of another document; its id follows from that one's."""
        return self.base(type, author, created) | {"_id": companion_id(type, base_id)}

    def day_between(self, first: date, last: date) -> date:
        return first + timedelta(days=self.random.randint(0, max(0, (last - first).days)))

    def working_time(self, day: date) -> datetime:
        return _moment(day, time(self.random.randint(7, 16), self.random.choice(range(0, 60, 5))))

    def address(self, town: words.Town) -> Document:
        return {
            "street": self.random.choice(words.STREETS),
            "streetNumber": f"{self.random.randint(1, 180)}{self.random.choice(['', '', '', '', 'a', 'b'])}",
            "zipCode": town.zip_code,
            "city": town.name,
            "state": town.state,
            "country": "Deutschland",
        }

    def phone(self) -> str:
        return f"{self.random.choice(_FILM_NUMBERS)} {self.random.randint(0, 999):03d}"

    def mobile(self) -> str:
        return f"{self.random.choice(['+49 171 39200', '+49 176 040690'])} {self.random.randint(0, 99):02d}"

    # -- documents -----------------------------------------------------------------------------

    def user(self, person: Person) -> Document:
        return self.base("user", "admin", _moment(date(2024, 1, 2), time(8))) | {
            "_id": f"user-{person.login}",
            "name": person.login,
            "userName": person.login,
            "email": f"{_slug(person.name, '.')}@kompass.example",
            "displayName": person.name,
            "roles": [person.role],
            "primaryRole": person.role,
            "active": True,
            "language": "de",
            "timezone": "Europe/Berlin",
            "phoneNumber": self.phone(),
            "department": person.department,
        }

    def customer(self, number: int) -> Iterator[Document]:
        """A customer, then everything that belongs to it."""
        random = self.random
        town = random.choice(words.TOWNS)
        name, trade = self.company(town)
        owner = "adm2" if town.state in _SOUTH else "adm1"
        since = self.day_between(date(2024, 1, 8), TODAY - timedelta(days=30))
        created = self.working_time(since)
        document = self.base("customer", owner, created, edits=random.choice([0, 0, 1, 2, 4]))
        customer = Customer(document["_id"], name, f"{_slug(name, '-')}.example", town, since, owner)

        locations = list(self.locations(customer))
        document |= {
            "customerNumber": f"K-{number:05d}",
            "companyName": name,
            "vatNumber": f"DE9{number * 15_485_863 % 100_000_000:08d}",
            "email": f"info@{customer.domain}",
            "phone": self.phone(),
            "website": f"https://www.{customer.domain}",
            "industry": trade.industry,
            "customerType": trade.customer_type,
            "rating": random.choices("ABC", (2, 5, 3))[0],
            "billingAddress": locations[0]["deliveryAddress"],
            "defaultDeliveryLocationId": locations[-1]["_id"],
            "owner": owner,
            "dsgvoConsent": {
                "marketing": random.random() < 0.6,
                "aiProcessing": random.random() < 0.3,
                "dataSharing": False,
                "grantedAt": _iso(created),
                "grantedBy": owner,
            },
            "anonymized": False,
        }
        yield document
        yield self.companion("customer_finance", "buch1", created, customer.id) | {
            "customerId": customer.id,
            "creditLimit": random.choice([0, 5_000, 10_000, 25_000, 50_000, 100_000]),
            "paymentTerms": random.choice(
                ["14 Tage netto", "30 Tage netto", "10 Tage 2 % Skonto, 30 Tage netto"]
            ),
        }
        visit = self.companion("customer_visit", owner, created, customer.id) | {
            "customerId": customer.id,
            "lastVisitDate": self.day_between(since, TODAY).isoformat(),
            "visitFrequencyDays": random.choice([30, 60, 90, 180]),
            "preferredVisitTime": random.choice(["morning", "afternoon", "flexible"]),
        }
        contacts = list(self.contacts(customer, locations))
        opportunities = [
            self.opportunity(customer, random.choice(contacts), random.choice(locations))
            for _ in range(random.choices((0, 1, 2, 3), (2, 5, 3, 1))[0])
        ]
        activities = [
            self.activity(customer, random.choice(contacts), random.choice(locations))
            for _ in range(random.randint(2, 6))
        ]
        visits = [one["date"][:10] for one in activities if one["activityType"] == "visit"]
        visit["lastVisitDate"] = max(visit["lastVisitDate"], *visits, "")
        yield visit
        yield from (*locations, *contacts, *opportunities, *activities)
        business = Business(Maker(Random(f"{self.seed}/{number}"), self.seed), customer, TODAY)
        yield from business.documents(opportunities, locations[0])
        if number % 10 == 0:
            yield business.lead()

    def company(self, town: words.Town) -> tuple[str, words.Trade]:
        """A company's name that nobody else has, the plainest one that is free."""
        random = self.random
        while True:
            trade = random.choice(words.TRADES)
            last = random.choice(words.LAST_NAMES)
            full = f"{random.choice(words.FIRST_NAMES)} {last}"
            for pattern in ("{short}", "{short}, {town}", "{long}, {town}"):
                name = pattern.format(
                    short=trade.company.format(name=last, town=town.name),
                    long=trade.company.format(name=full, town=town.name),
                    town=town.name,
                )
                if name not in self.names and name.count(town.name) < 2:
                    self.names.add(name)
                    return name, trade

    def locations(self, customer: Customer) -> Iterator[Document]:
        random = self.random
        kinds = [("Hauptsitz", "headquarter")]
        kinds += random.choice(
            [[], [], [("Filiale Altstadt", "branch")], [("Lager", "warehouse")], [("Marktstand", "other")]]
        )
        if random.random() < 0.15:
            kinds.append(("Neubau", "project_site"))
        for name, kind in kinds:
            latitude = customer.town.latitude + random.uniform(-0.03, 0.03)
            longitude = customer.town.longitude + random.uniform(-0.03, 0.03)
            document = self.base("location", customer.owner, self.working_time(customer.since))
            yield document | {
                "customerId": customer.id,
                "locationName": name,
                "locationType": kind,
                "isActive": True,
                "deliveryAddress": self.address(customer.town),
                "deliveryNotes": random.choice(words.DELIVERY_NOTES),
                "openingHours": random.choice(
                    ["Mo-Fr 8-18 Uhr, Sa 8-13 Uhr", "Di-Sa 9-18 Uhr", "täglich 7-20 Uhr"]
                ),
                "gpsCoordinates": {"latitude": round(latitude, 5), "longitude": round(longitude, 5)},
                "isHotel": False,
            }

    def contacts(self, customer: Customer, locations: list[Document]) -> Iterator[Document]:
        """One who decides, then up to three others."""
        random = self.random
        roles = [
            ("Inhaber/in", "decision_maker", "final_authority", "owner_ceo"),
            ("Einkauf", "key_influencer", "medium", "purchasing_manager"),
            ("Filialleitung", "recommender", "low", "store_manager"),
            ("Büro", "operational_contact", "low", "administrative"),
        ]
        for position, influence, authority, function in roles[: random.randint(1, 4)]:
            first, last = random.choice(words.FIRST_NAMES), random.choice(words.LAST_NAMES)
            approves = authority in ("final_authority", "medium")
            document = self.base("contact", customer.owner, self.working_time(customer.since))
            document |= {
                "customerId": customer.id,
                "firstName": first,
                "lastName": last,
                "position": position,
                "email": f"{_slug(first, '')}.{_slug(last, '')}@{customer.domain}",
                "phone": self.phone(),
                "mobile": self.mobile(),
                "decisionMakingRole": influence,
                "authorityLevel": authority,
                "canApproveOrders": approves,
                "functionalRoles": [function],
                "assignedLocationIds": [location["_id"] for location in locations],
                "preferredContactMethod": random.choice(["email", "phone", "mobile"]),
                "language": "de",
            }
            if approves:
                document["approvalLimitEur"] = 250_000 if authority == "final_authority" else 10_000
            if influence == "decision_maker":
                document["isPrimaryContactForLocations"] = document["assignedLocationIds"]
            yield document

    def opportunity(self, customer: Customer, contact: Document, location: Document) -> Document:
        random = self.random
        status = random.choices(
            ("new", "qualifying", "proposal", "negotiation", "won", "lost"), (15, 20, 20, 15, 18, 12)
        )[0]
        chances = {"new": 20, "qualifying": 35, "proposal": 50, "negotiation": 75, "won": 100, "lost": 0}
        open_ = status not in ("won", "lost")
        created = self.working_time(self.day_between(customer.since, TODAY - timedelta(days=7)))
        value = random.randint(8, 480) * 500
        closes = (
            self.day_between(TODAY + timedelta(days=10), TODAY + timedelta(days=240))
            if open_
            else self.day_between(created.date(), TODAY)
        )
        document = self.base("opportunity", customer.owner, created, edits=random.randint(0, 4))
        document |= {
            "title": f"{random.choice(words.OPPORTUNITIES)} – {customer.name}",
            "customerId": customer.id,
            "contactPersonId": contact["_id"],
            "locationId": location["_id"],
            "status": status,
            "probability": chances[status],
            "estimatedValue": value,
            "weightedValue": value * chances[status] / 100,
            "expectedCloseDate": closes.isoformat(),
            "description": self.remarks(2),
            "owner": customer.owner,
            "tags": sorted(random.sample(words.TAGS, random.randint(0, 3))),
        }
        if open_:
            document["nextStep"] = random.choice(words.NEXT_STEPS)
        if status == "won":
            document["actualValue"] = round(value * random.uniform(0.85, 1.1))
        if status == "lost":
            document["lostReason"] = random.choice(words.LOST_REASONS)
        return document

    def activity(self, customer: Customer, contact: Document, location: Document) -> Document:
        random = self.random
        kind = random.choices(("call", "email", "meeting", "visit", "note"), (30, 20, 15, 25, 10))[0]
        when = self.working_time(self.day_between(customer.since, TODAY - timedelta(days=1)))
        author = customer.owner if random.random() < 0.75 else "innen1"
        document = self.base("activity", author, when)
        document |= {
            "activityType": kind,
            "customerId": customer.id,
            "contactId": contact["_id"],
            "date": _iso(when),
            "subject": random.choice(words.SUBJECTS[kind]),
            "description": self.remarks(random.randint(1, 3)),
            "private": False,
        }
        if kind in ("call", "meeting", "visit"):
            document["duration"] = random.choice([10, 15, 30, 45, 60, 90, 120])
            document["outcome"] = random.choice(words.OUTCOMES)
        if kind in ("meeting", "visit"):
            document["locationId"] = location["_id"]
        if random.random() < 0.2:
            document["followUpDate"] = self.day_between(TODAY, TODAY + timedelta(days=60)).isoformat()
        if kind == "visit" and random.random() < 0.4:
            attach(document, "regal.png", "image/png", photo(random.randrange(PHOTO_VARIANTS)))
        if kind == "meeting" and random.random() < 0.3:
            lines = [customer.name, f"{when:%d.%m.%Y}", "", *document["description"].split(". ")]
            attach(document, "protokoll.pdf", "application/pdf", pdf(document["subject"], lines))
        return document

    def remarks(self, count: int) -> str:
        random = self.random
        return " ".join(
            remark.format(
                area=random.randint(25, 400),
                height=random.randint(230, 420),
                price=random.randint(9, 90) * 1000,
            )
            for remark in random.sample(words.REMARKS, count)
        )


def attach(document: Document, name: str, content_type: str, data: bytes) -> None:
    """Adds a file and its entry in the list that people see."""
    document.setdefault("attachments", []).append(
        {
            "fileName": name,
            "fileSize": len(data),
            "mimeType": content_type,
            "uploadedAt": document["createdAt"],
        }
    )
    document.setdefault("_attachments", {})[name] = {
        "content_type": content_type,
        "data": b64encode(data).decode("ascii"),
    }


def _moment(day: date, at: time) -> datetime:
    return datetime.combine(day, at, UTC)


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _slug(text: str, joiner: str) -> str:
    """Lower-case ASCII for addresses: `Café Süß & Söhne` becomes `cafe-suess-soehne`."""
    return joiner.join(re.findall(r"[a-z0-9]+", text.lower().translate(_PLAIN)))
