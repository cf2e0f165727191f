"""The client before a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar, get_args

import httpx
import pytest

from kompass.business import BusinessRules
from kompass.client import Client, Document, Filters, Name, ProblemError
from kompass.resources.catalogue import RESOURCES
from kompass.sync.serving import Sync
from tests.identity.conftest import ADMIN, put_user
from tests.in_process import serving
from tests.product import running_product

T = TypeVar("T")

ADDRESS = {"street": "Hauptstraße", "zipCode": "53894", "city": "Rode", "country": "Deutschland"}


def test_it_knows_every_resource() -> None:
    assert set(get_args(Name)) == set(RESOURCES)


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    rules = partial(Sync, business=BusinessRules())
    async with running_product(tmp_path / "data", ADMIN, sync=rules) as product, serving(product) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            for name, role in (("chef", "GF"), ("anna", "ADM")):
                await put_user(client, name, role)
                await client.get("/kompass", auth=(name, "pw"))
        yield url


async def use(url: str, work: Callable[[Client], T], password: str = "pw", language: str = "en") -> T:
    def run() -> T:
        with Client(url, user="chef", password=password, language=language) as client:
            return work(client)

    return await asyncio.to_thread(run)


def customer(name: str) -> dict[str, object]:
    return {"companyName": name, "billingAddress": ADDRESS, "owner": "anna"}


async def test_documents_are_made_read_listed_changed_and_deleted(url: str) -> None:
    def work(client: Client) -> None:
        customers = client.resource("customers")
        made = [customers.create(customer(f"Hof {number}")) for number in range(5)]
        assert client.session()["name"] == "chef"
        names = [one["companyName"] for one in customers.list(sort="companyName", page_size=2)]
        assert names == [f"Hof {number}" for number in range(5)]
        wanted: Filters = {"companyName.in": ["Hof 1", "Hof 3"], "version.gte": 1, "phone.exists": False}
        found = list(customers.list(wanted, sort="-companyName", fields=["companyName"]))
        assert [one["companyName"] for one in found] == ["Hof 3", "Hof 1"]
        assert found[0].keys() == {"_id", "_rev", "companyName"}

        one = customers.get(made[0].id)
        assert isinstance(one, Document)
        assert one == made[0]
        changed = customers.update(one, {"phone": "02251 1"})
        assert (changed["phone"], changed["version"]) == ("02251 1", 2)
        with pytest.raises(ProblemError) as late:
            customers.update(one, {"phone": "02251 2"})
        assert late.value.status == 412
        whole = customers.replace(Document({**changed, "industry": "Obst"}))
        assert whole["industry"] == "Obst"
        done = [entry["action"] for entry in customers.history(one.id) if entry["origin"] == "edited"]
        assert done == ["UPDATE", "UPDATE", "CREATE"]
        customers.comment(one.id, "Gut")
        assert [comment["content"] for comment in customers.comments(one.id)] == ["Gut"]
        customers.delete(whole)
        with pytest.raises(ProblemError) as gone:
            customers.get(one.id)
        assert gone.value.status == 404

    await use(url, work)


async def test_steps_and_attachments(url: str) -> None:
    def work(client: Client) -> None:
        leads = client.resource("leads")
        lead = leads.create({"companyName": "Hof", "status": "NEW", "owner": "anna"})
        assert "qualify" in [action.name for action in leads.actions(lead.id)]
        lead = leads.act(lead, "qualify")
        assert lead["status"] == "QUALIFIED"
        rev = leads.attach(lead, "plan größer.txt", iter([b"abc", b"def"]), "text/plain")
        (attached,) = leads.attachments(lead.id)
        assert (attached.name, attached.content_type, attached.length) == (
            "plan größer.txt",
            "text/plain",
            6,
        )
        with leads.attachment(lead.id, attached.name) as pieces:
            assert b"".join(pieces) == b"abcdef"
        leads.detach(lead.id, attached.name, rev=rev)
        assert not leads.attachments(lead.id)
        with pytest.raises(ProblemError), leads.attachment(lead.id, attached.name):
            pass

    await use(url, work)


async def test_refusals_are_in_ones_language_and_name_the_rule(url: str) -> None:
    def work(client: Client) -> None:
        with pytest.raises(ProblemError) as caught:
            client.resource("customers").create({"companyName": ""})
        assert caught.value.status == 422
        assert caught.value.rule == "model.length"
        assert caught.value.errors
        told.append(caught.value.detail)

    told: list[str] = []
    await use(url, work)
    await use(url, work, language="de")
    assert told[0] != told[1]

    def wrong(client: Client) -> None:
        with pytest.raises(ProblemError) as caught:
            client.session()
        assert caught.value.status == 401

    await use(url, wrong, password="wrong")
