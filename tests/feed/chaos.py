"""Random work on the documents: what people do, and what administrators do to them."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import httpx

from kompass.domain.examples import docid, smallest
from tests.feed.changes import CONSENT
from tests.feed.world import DB, customer

PEOPLE = ("adm1", "adm2", "adm3")


class Chaos:
    """Writes as the administrator of the server. Everything it ever wrote is in `ids`."""

    def __init__(self, admin: httpx.AsyncClient, seed: int, *, documents: int = 12) -> None:
        self.admin = admin
        self.chance = random.Random(seed)
        self.ids: set[str] = set()
        self._documents = documents
        self._steps: list[Callable[[], Awaitable[None]]] = [
            *[self.write] * 6,
            *[self.move] * 3,
            *[self.tour] * 3,
            self.role,
            self.delete,
            self.purge,
            self.burst,
        ]

    async def step(self) -> None:
        await self.chance.choice(self._steps)()

    async def write(self) -> None:
        which = self.chance.randrange(self._documents)
        await self._put(
            customer(which),
            type="customer",
            companyName=f"Hof {self.chance.random()}",
            owner="adm1",
            dsgvoConsent={**CONSENT, "aiProcessing": self.chance.random() < 0.6},
        )

    async def move(self) -> None:
        which, owner = self.chance.randrange(self._documents), self.chance.choice(PEOPLE)
        await self._put(customer(which), type="customer", companyName="Hof", owner=owner)

    async def tour(self) -> None:
        """What stays at hotels on the way belongs to whoever drives."""
        number, owner = self.chance.randrange(1, 4), self.chance.choice(PEOPLE)
        await self._put(docid("tour", number), **{**_body("tour"), "ownerId": owner})
        for stay in range(self.chance.randrange(3)):
            body = {**_body("hotel_stay"), "tourId": docid("tour", number)}
            await self._put(docid("hotel_stay", 10 * number + stay), **body)

    async def role(self) -> None:
        name = self.chance.choice(PEOPLE)
        roles = self.chance.sample(["ADM", "PLAN", "INNEN", "GF"], self.chance.randrange(3))
        active = self.chance.random() < 0.8
        await self._put(f"user-{name}", type="user", name=name, roles=roles, active=active)

    async def delete(self) -> None:
        one = self._some()
        rev = await self._rev(one)
        if rev is not None:
            await self.admin.delete(f"{DB}/{one}", params={"rev": rev})

    async def purge(self) -> None:
        one = self._some()
        rev = await self._rev(one)
        if rev is not None:
            await self.admin.post(f"{DB}/_purge", json={one: [rev]})

    async def burst(self) -> None:
        """Many at once, as an import does."""
        docs = [
            {
                "_id": f"contact-{self.chance.randrange(200):08}-1111-4111-8111-111111111111",
                "type": "contact",
                "customerId": customer(self.chance.randrange(self._documents)),
                "lastName": f"Öztürk {self.chance.random()}",
            }
            for _ in range(40)
        ]
        self.ids.update(str(one["_id"]) for one in docs)
        await self.admin.post(f"{DB}/_bulk_docs", json={"docs": docs})

    def _some(self) -> str:
        written = sorted(self.ids)
        return self.chance.choice(written) if written else customer(0)

    async def _rev(self, one: str) -> str | None:
        answer = await self.admin.get(f"{DB}/{one}")
        return str(answer.json()["_rev"]) if answer.status_code == 200 else None

    async def _put(self, one: str, **members: object) -> None:
        self.ids.add(one)
        rev = await self._rev(one)
        if rev is not None:
            members["_rev"] = rev
        await self.admin.put(f"{DB}/{one}", json=members)


def _body(doctype: str) -> dict[str, object]:
    return {key: value for key, value in smallest(doctype).items() if key != "_id"}
