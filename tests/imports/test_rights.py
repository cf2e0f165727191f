"""Who imports what, and what becomes of an import when its person's rights go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kompass.imports import working
from kompass.imports.states import Kind
from kompass.imports.store import ImportStore, ImportStoreError
from kompass.leases import Lease
from kompass.sync.personal import PersonalDatabase
from replication.protocol import errors
from tests.identity.conftest import ADMIN
from tests.imports.office import Office, customer, customers

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_what_belongs_to_companions_is_written_by_those_who_may(office: Office) -> None:
    file = "Firma;Straße;PLZ;Ort;Betreuer;Kreditlimit\r\nHof Kredit;Weg 1;50667;Köln;adm1;12.000,50\r\n"
    one = await office.uploaded(file)
    assert one["columns"][-1]["field"] is None
    wanted = {"columns": {"Kreditlimit": "creditLimit"}}
    answer = await office.ask("PUT", f"/imports/{one['id']}/mapping", json=wanted)
    assert answer.status_code == 422
    done = await office.imported(file, name="gf1")
    assert done["counts"] == {"created": 1}, await office.rows(done["id"], "gf1")
    stored = await office.one("customers", companyName="Hof Kredit")
    assert (await office.one("customer-finances", customerId=stored["_id"]))["creditLimit"] == 12000.5
    await office.ask("POST", f"/imports/{done['id']}/undo", "gf1")
    assert (await office.settled(done["id"], "gf1"))["counts"] == {"undone": 1}
    assert await office.list("customer-finances", customerId=stored["_id"]) == []


async def test_what_is_refused_of_companions_is_told_by_the_dry_run_and_after_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await office.uploaded(
        "Firma;Straße;PLZ;Ort;Betreuer;Besuchsabstand\r\nHof Besuch;Weg 1;50667;Köln;adm1;30\r\n", name="adm1"
    )
    # A companion of a customer that isn't there yet, and of his own.
    assert (await office.executed(one["id"], "adm1", dryRun=True))["counts"] == {"created": 1}

    def refusing(ask: Any) -> Any:
        async def asked(self: Any, docs: Any, **more: Any) -> list[Any]:
            results = await ask(
                self, [doc for doc in docs if not doc.id.startswith("customer-visit-")], **more
            )
            return [
                errors.conflict() if doc.id.startswith("customer-visit-") else results.pop(0) for doc in docs
            ]

        return asked

    for name in ("write", "rehearse"):
        monkeypatch.setattr(PersonalDatabase, name, refusing(getattr(PersonalDatabase, name)))
    for dry in (True, False):
        told = await office.executed(one["id"], "adm1", dryRun=dry)
        assert told["counts"] == {"partly": 1}
        report = (await office.ask("GET", f"/imports/{one['id']}/errors", "adm1")).text
        assert "2;;changed;;wurde inzwischen geändert" in report
    monkeypatch.undo()
    await office.ask("POST", f"/imports/{one['id']}/undo", "gf1")
    assert (await office.settled(one["id"], "adm1"))["counts"] == {"undone": 1}


@pytest.mark.parametrize("street", ["Weg 1", "Gasse 2"], ids=["alone", "with its customer"])
async def test_a_credit_limit_is_put_back_though_the_import_was_interrupted_behind_it(
    office: Office, monkeypatch: pytest.MonkeyPatch, street: str
) -> None:
    head, name = "Firma;Straße;PLZ;Ort;E-Mail;Betreuer;Kreditlimit", f"Hof {street}"
    file = f"{head}\r\n{name};Weg 1;50667;Köln;{street[-1]}@kredit.de;adm1;1000\r\n"
    await office.imported(file, name="gf1")
    note, left = ImportStore.note, [1]

    def away(store: ImportStore, docid: str, lease: Lease, outcomes: Any, *args: Any, **more: Any) -> None:
        if left[0] and any(one.kind == Kind.UPDATED for one in outcomes):
            left[0] = 0
            raise ImportStoreError("The journal of writes can't be reached at the moment. Try again.")
        note(store, docid, lease, outcomes, *args, **more)

    monkeypatch.setattr(ImportStore, "note", away)
    monkeypatch.setattr(working, "LOOK_SECONDS", 0.1)
    file = file.replace("Weg 1;", f"{street};").replace(";1000", ";2000")
    done = await office.imported(file, name="gf1", duplicates="update")
    assert (done["counts"], left) == ({"updated": 1}, [0])
    stored = await office.one("customers", companyName=name)
    assert (await office.one("customer-finances", customerId=stored["_id"]))["creditLimit"] == 2000
    await office.ask("POST", f"/imports/{done['id']}/undo", "gf1")
    assert (await office.settled(done["id"], "gf1"))["counts"] == {"undone": 1}
    assert (await office.one("customer-finances", customerId=stored["_id"]))["creditLimit"] == 1000
    assert (await office.one("customers", companyName=name))["billingAddress"]["street"] == "Weg 1"


async def test_who_deletes_no_customers_is_told_so_before_all_rows_of_an_import_are_kept(
    office: Office,
) -> None:
    done = await office.imported(customers(customer("Hof Bleibt")))
    refused = await office.ask("POST", f"/imports/{done['id']}/undo")
    assert (refused.status_code, "GF undoes it" in refused.json()["detail"]) == (403, True), refused.text
    assert (await office.settled(done["id"]))["counts"] == {"created": 1}
    await office.ask("POST", f"/imports/{done['id']}/undo", "gf1")
    assert (await office.settled(done["id"]))["counts"] == {"undone": 1}


async def test_nobody_imports_what_he_may_not(office: Office) -> None:
    answer = await office.upload(customers(customer("Hof")), name="plan1")
    assert answer.status_code == 403
    one = await office.uploaded(
        customers(customer("Hof Fremd", owner="adm1"), customer("Hof Mein", "Bonn", owner="adm2")),
        name="adm2",
    )
    told = await office.executed(one["id"], "adm2")
    assert told["counts"] == {"wrong": 1, "created": 1}
    for name, status in (("innen1", 404), ("gf1", 200), ("buch1", 200), ("adm1", 404)):
        answer = await office.ask("GET", f"/imports/{one['id']}", name)
        assert answer.status_code == status
        assert "Hof" not in answer.text
        for part in ("rows", "preview", "errors"):
            assert (await office.ask("GET", f"/imports/{one['id']}/{part}", name)).status_code == 404
        listed = (await office.ask("GET", "/imports", name)).json()["imports"]
        assert (one["id"] in [each["id"] for each in listed]) is (status == 200)
    assert (await office.ask("POST", f"/imports/{one['id']}/undo", "buch1")).status_code == 403
    # His own right doesn't let him delete a customer.
    assert (await office.ask("POST", f"/imports/{one['id']}/undo", "adm2")).status_code == 403
    assert (await office.ask("POST", f"/imports/{one['id']}/undo", "gf1")).status_code == 202
    assert (await office.settled(one["id"], "gf1"))["counts"] == {"wrong": 1, "undone": 1}


async def test_roles_that_are_gone_end_an_import(office: Office) -> None:
    one = await office.uploaded(
        customers(*(customer(f"Weg mit {n}", f"Ort {n}", owner="adm2") for n in range(30))), name="adm2"
    )
    record = "/_users/org.couchdb.user:adm2"
    user = (await office.client.get(record, auth=ADMIN)).json()
    revoked = (await office.client.put(record, json={**user, "roles": ["KALK"]}, auth=ADMIN)).json()
    answer = await office.ask("POST", f"/imports/{one['id']}/execute", "adm2", json={})
    assert answer.status_code == 403
    await office.client.put(record, json={**user, "_rev": revoked["rev"]}, auth=ADMIN)


@pytest.mark.parametrize("lost", [{"roles": ["KALK"]}, {"active": False}, {"_deleted": True}])
async def test_rights_that_are_lost_after_asking_for_an_import_stop_it(
    office: Office, lost: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though he who lost them asks for nothing meanwhile."""
    record = "/_users/org.couchdb.user:adm3"
    old = (await office.client.get(record, auth=ADMIN)).json()
    user = {"name": "adm3", "type": "user", "roles": ["ADM"], "password": "pw"}
    user |= {"_rev": old["_rev"]} if "_rev" in old else {}
    made = (await office.client.put(record, json=user, auth=ADMIN)).json()
    one = await office.uploaded(customers(customer("Hof Danach", "Ulm", owner="adm3")), name="adm3")
    monkeypatch.setattr(working, "MOST_AT_ONCE", 0)
    answer = await office.ask("POST", f"/imports/{one['id']}/execute", "adm3", json={})
    assert answer.status_code == 202, answer.text
    await office.client.put(record, json={**user, "_rev": made["rev"], **lost}, auth=ADMIN)
    monkeypatch.undo()
    office.product.imports._awake.set()
    told = await office.settled(one["id"], "gf1")
    assert (told["state"], told["counts"]) == ("failed", {}), told


async def test_an_administrator_by_the_settings_imports_by_the_roles_of_his_record(office: Office) -> None:
    name, password = ADMIN
    user = {"name": name, "type": "user", "roles": ["INNEN"], "password": password}
    made = await office.client.put(f"/_users/org.couchdb.user:{name}", json=user, auth=ADMIN)
    assert made.status_code == 201, made.text
    assert (await office.client.get("/kompass", auth=ADMIN)).status_code == 200
    file = customers(customer("Hof Verwalter", "Wismar")).encode()
    headers = {"content-type": "application/octet-stream"}
    upload = await office.client.post(
        "/api/v1/imports?type=customer", content=file, headers=headers, auth=ADMIN
    )
    path = f"/api/v1/imports/{upload.json()['id']}"
    await office.client.post(f"{path}/execute", json={}, auth=ADMIN)
    while True:
        told = (await office.client.get(path, auth=ADMIN)).json()
        if told["state"] != "importing":
            break
        await asyncio.sleep(0.02)
    assert told["counts"] == {"created": 1}, told
