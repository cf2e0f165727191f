"""What the demo company does for its customers: offers, projects, tours, and the tasks on the way.

Numbers, totals and companions are left to the server, as a device leaves them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from kompass.demo import words

if TYPE_CHECKING:
    from kompass.demo.generate import Customer, Maker

Document = dict[str, Any]

_OPEN_OFFERS = {"proposal": "draft", "negotiation": "sent"}
"""Status of the opportunity -> status of its offer."""


class Business:
    """Documents of one customer, made by a maker of their own so that they change no others."""

    def __init__(self, maker: Maker, customer: Customer, today: date) -> None:
        self.maker = maker
        self.random = maker.random
        self.customer = customer
        self.today = today

    def documents(self, opportunities: list[Document], location: Document) -> Iterator[Document]:
        for opportunity in opportunities:
            if opportunity["status"] in _OPEN_OFFERS:
                yield self.offer(opportunity)
            if opportunity["status"] == "won":
                yield from self.project(opportunity)
        if self.random.random() < 0.5:
            yield self.task()
        if self.random.random() < 0.2:
            yield from self.tour(location)

    def lead(self) -> Document:
        """Somebody who isn't a customer yet."""
        random = self.random
        since = self.today - timedelta(days=random.randint(1, 60))
        first, last = random.choice(words.FIRST_NAMES), random.choice(words.LAST_NAMES)
        return self.maker.base("lead", self.customer.owner, self.maker.working_time(since)) | {
            "companyName": f"{last} & Familie",
            "firstName": first,
            "lastName": last,
            "phone": self.maker.phone(),
            "city": random.choice(words.TOWNS).name,
            "source": random.choice(["TRADESHOW", "REFERRAL", "WEBSITE"]),
            "status": random.choice(["NEW", "QUALIFIED"]),
            "owner": self.customer.owner,
        }

    def offer(self, opportunity: Document) -> Document:
        random = self.random
        day = self.today - timedelta(days=random.randint(0, 20))
        lines = random.sample(words.ARTICLES, random.randint(1, 4))
        document = self.maker.base("offer", "innen1", self.maker.working_time(day))
        document |= {
            "opportunityId": opportunity["_id"],
            "customerId": self.customer.id,
            "contactPersonId": opportunity["contactPersonId"],
            "status": _OPEN_OFFERS[opportunity["status"]],
            "offerDate": day.isoformat(),
            "validUntil": (day + timedelta(days=30)).isoformat(),
            "lineItems": [
                {
                    "position": position,
                    "description": article.name,
                    "quantity": random.randint(1, 12),
                    "unit": article.unit,
                    "unitPriceEur": article.price,
                    "taxRate": 0.19,
                }
                for position, article in enumerate(lines, 1)
            ],
            "taxRate": 0.19,
            "paymentTermsDays": 30,
            "deliveryTimeDays": random.choice([30, 45, 60]),
        }
        if random.random() < 0.3:
            document["discountPercent"] = random.choice([2, 3, 5])
        return document

    def project(self, opportunity: Document) -> Iterator[Document]:
        """A project on its way, with tasks, costs and hours."""
        random, maker = self.random, self.maker
        since = datetime.fromisoformat(opportunity["createdAt"]).date()
        start = maker.day_between(since, self.today)
        began = maker.working_time(start)
        project = maker.base("project", "gf1", began)
        value = opportunity["actualValue"]
        yield project | {
            "name": opportunity["title"],
            "customerId": self.customer.id,
            "opportunityId": opportunity["_id"],
            "locationId": opportunity["locationId"],
            "status": "active",
            "startDate": start.isoformat(),
            "endDate": (start + timedelta(days=random.randint(60, 180))).isoformat(),
            "projectManagerId": "plan1",
            "teamMemberIds": ["innen1", "plan1"],
            "contractValue": value,
            "budget": round(value * 0.85),
            "milestones": [
                {
                    "id": f"m{number}",
                    "name": name,
                    "dueDate": (start + timedelta(days=30 * number)).isoformat(),
                    "status": "pending",
                }
                for number, name in enumerate(("Aufmaß", "Fertigung", "Montage"), 1)
            ],
        }
        of_project = {"projectId": project["_id"]}
        for title in random.sample(words.PROJECT_TASKS, 2):
            due = self.today + timedelta(days=random.randint(3, 40))
            yield (
                maker.base("project_task", "plan1", began)
                | of_project
                | {
                    "title": title,
                    "status": random.choice(["todo", "in_progress"]),
                    "priority": random.choice(["low", "medium", "high"]),
                    "assignedTo": "plan1",
                    "dueDate": due.isoformat(),
                    "phase": "execution",
                }
            )
        article = random.choice(words.ARTICLES)
        yield (
            maker.base("project_cost", "plan1", began)
            | of_project
            | {
                "costType": "material",
                "description": f"Material: {article.name}",
                "status": "planned",
                "quantity": random.randint(2, 20),
                "unit": article.unit,
                "unitPriceEur": 24.9,
                "taxRate": 0.19,
            }
        )
        for _ in range(random.randint(1, 3)):
            day = maker.day_between(start, self.today - timedelta(days=1))
            end = datetime.combine(day, time(17), began.tzinfo)
            entry = maker.base("time_entry", "plan1", end)
            hours = random.choice([1, 2, 4])
            yield (
                entry
                | of_project
                | {
                    "taskDescription": random.choice(words.WORK_DONE),
                    "userId": "plan1",
                    "status": "completed",
                    "startTime": maker.iso(end - timedelta(hours=hours)),
                    "endTime": maker.iso(end),
                    "isManualEntry": True,
                }
            )

    def task(self) -> Document:
        due = self.today + timedelta(days=self.random.randint(1, 30))
        author = self.customer.owner
        return self.maker.base("user_task", author, self.maker.working_time(self.today)) | {
            "title": f"Nachfassen: {self.customer.name}"[:200],
            "status": "open",
            "priority": self.random.choice(["low", "medium", "high", "urgent"]),
            "dueDate": due.isoformat(),
            "assignedTo": author,
            "relatedCustomerId": self.customer.id,
        }

    def tour(self, location: Document) -> Iterator[Document]:
        """A day on the road that is planned, and what the last one cost."""
        random, maker, author = self.random, self.maker, self.customer.owner
        day = self.today + timedelta(days=random.randint(1, 20))
        planned = maker.working_time(self.today)
        tour = maker.base("tour", author, planned)
        yield tour | {
            "title": f"Tour {self.customer.town.name}",
            "ownerId": author,
            "status": "planned",
            "startDate": day.isoformat(),
            "endDate": day.isoformat(),
            "region": self.customer.town.state,
        }
        yield maker.base("meeting", author, planned) | {
            "tourId": tour["_id"],
            "customerId": self.customer.id,
            "locationId": location["_id"],
            "scheduledAt": maker.iso(maker.working_time(day)),
            "duration": random.choice([30, 60, 90]),
            "meetingType": random.choice(["first_visit", "follow_up", "presentation"]),
        }
        yield maker.base("expense", author, planned) | {
            "title": "Parkhaus",
            "expenseDate": (self.today - timedelta(days=random.randint(1, 20))).isoformat(),
            "category": "parking",
            "amount": random.randint(3, 24) + 0.5,
            "status": "draft",
            "tourId": tour["_id"],
        }
