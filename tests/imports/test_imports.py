"""Files become documents, as the person who imports them, and go again when that is undone."""

from __future__ import annotations

import asyncio
from hashlib import md5
from typing import Any

import pytest

from kompass.audit import Door
from kompass.imports import store, working
from kompass.imports.states import Import
from kompass.imports.store import CHUNK, ImportStore, ImportStoreError
from replication.protocol import errors
from tests.identity.conftest import ADMIN
from tests.imports.office import HEAD, Office, customer, customers

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_from_the_file_to_documents_and_back(office: Office) -> None:
    good = customer("Hof Eins", mail="eins@hof.de")
    bad = "Hof =Zwei;Weg;1067;Dresden;x@y;niemand"
    told = await office.uploaded(customers(good, bad, good))
    assert [one["field"] for one in told["columns"]][:2] == ["companyName", "billingAddress.street"]
    assert told["missing"] == []
    answer = await office.ask("GET", f"/imports/{told['id']}/preview")
    first, second, _ = answer.json()["rows"]
    assert first["document"]["billingAddress"]["zipCode"] == "50667"
    assert {one["column"] for one in second["problems"]} == {"Firma", "E-Mail"}

    async def chain() -> tuple[Any, Any]:
        entries = (await office.client.get("/api/v1/audit?limit=1", auth=("gf1", "pw"))).json()["entries"]
        return entries, (await office.client.get("/kompass", auth=ADMIN)).json()["update_seq"]

    before = await chain()
    dry = await office.executed(told["id"], dryRun=True)
    assert await chain() == before
    assert (dry["state"], dry["counts"]) == ("checked", {"created": 1, "skipped": 1, "wrong": 1})
    assert await office.list("customers", companyName="Hof Eins") == []
    done = await office.executed(told["id"])
    assert (done["state"], done["counts"], done["done"]) == ("done", dry["counts"], 3)
    stored = await office.one("customers", companyName="Hof Eins")
    assert (stored["createdBy"], stored["owner"]) == ("innen1", "adm1")
    assert stored["customerNumber"].startswith("K-")
    (skipped,) = await office.rows(told["id"], outcome="skipped")
    assert skipped["duplicate"] == {"line": 2, "rule": "email"}

    written = await office.client.get("/api/v1/audit", params={"document": stored["_id"]}, auth=("gf1", "pw"))
    assert written.json()["entries"][-1]["door"] == Door.IMPORT, written.text
    answer = await office.ask("GET", f"/imports/{told['id']}/errors")
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert lines[0] == "Zeile;Feld;Fehler;Wert;Grund"
    assert lines[1].startswith("3;Verantwortlich;reference.none;niemand;")
    assert len(lines) == 4

    answer = await office.ask("POST", f"/imports/{told['id']}/undo", "gf1")
    assert answer.status_code == 202, answer.text
    assert (await office.settled(told["id"]))["counts"] == {"skipped": 1, "undone": 1, "wrong": 1}
    assert await office.list("customers", companyName="Hof Eins") == []


async def test_contacts_suppliers_materials_and_opportunities(office: Office) -> None:
    await office.imported(
        customers(customer("Mühle Sieben"), customer("Zwilling", "Bonn"), customer("Zwilling", "Ulm"))
    )
    number = (await office.one("customers", companyName="Mühle Sieben"))["customerNumber"]
    people = f"Kundennummer;Vorname;Name;Handy\r\n{number};Eva;Maier;0171/1234567\r\nMühle Sieben;Jo;Öz;\r\n"
    people += "Zwilling;Jo;Mehrdeutig;\r\nNiemand;Jo;Keiner;\r\n"
    done = await office.imported(people, "contact", "innen1")
    assert done["counts"] == {"created": 2, "wrong": 2}, await office.rows(done["id"])
    rules = [row["problems"][0]["rule"] for row in await office.rows(done["id"], outcome="wrong")]
    assert rules == ["reference.several", "reference.none"]
    contact = await office.one("contacts", lastName="Maier")
    assert (contact["decisionMakingRole"], contact["mobile"]) == ("informational", "0171 1234567")

    long = "Liefert Regale aus Eiche und Buche in ganz Deutschland, auch montiert."
    head = (
        "Lieferant;E-Mail;Telefon;Straße;PLZ;Ort;Art;Kategorien;Beschreibung;Zahlungsart;Zahlungsziel;Skonto"
    )
    row = "Holz Groß;h@holz.de;0221 123456;Weg 1;50667;Köln;Materiallieferant;Holz|Regale;"
    row += f"{long};Rechnung;30;2 %"
    done = await office.imported(f"{head}\r\n{row}\r\n{row}\r\n", "supplier")
    assert done["counts"] == {"created": 1, "skipped": 1}, await office.rows(done["id"])
    supplier = await office.one("suppliers", companyName="Holz Groß")
    assert supplier["paymentTerms"] == {
        "paymentMethod": "Invoice",
        "daysUntilDue": 30,
        "discountPercentage": 2,
    }
    of_form = f"{head}\r\n{row}\r\n".replace("Holz Groß", "Holz Gross GmbH").replace("h@", "g@")
    perhaps = await office.uploaded(of_form, "supplier")
    assert (await office.executed(perhaps["id"], dryRun=True))["counts"] == {"created": 1}
    assert (await office.rows(perhaps["id"]))[0]["duplicate"] == {"id": supplier["_id"], "rule": "form"}
    again = await office.imported(f"{head}\r\n{row}\r\n", "supplier")
    assert again["counts"] == {"skipped": 1}

    head = "Artikelnummer;Bezeichnung;Langtext;ME;Lieferant;EK-Preis"
    material = "M-100;Eichenbrett;Ein Brett aus Eiche, geölt;lfm;Holz Groß;"
    done = await office.imported(f"{head}\r\n{material}1.012,50 €\r\n", "material")
    assert done["counts"] == {"created": 1}, await office.rows(done["id"])
    done = await office.imported(f"{head}\r\n{material}999,00\r\n", "material", duplicates="update")
    assert done["counts"] == {"updated": 1}, await office.rows(done["id"])
    stored = await office.one("materials", materialCode="M-100")
    assert (stored["unit"], stored["supplierPrices"]) == (
        "linear_meter",
        [{"supplierId": supplier["_id"], "unitPriceEur": 999}],
    )

    head = "Kunde;Titel;Ansprechpartner;Phase;Wahrscheinlichkeit;Betrag;Abschluss;Verantwortlich"
    row = "Mühle Sieben;Neue Theke;Maier Eva;Angebot;50 %;12.500,00;09.03.2027;adm1"
    done = await office.imported(f"{head}\r\n{row}\r\n", "opportunity")
    assert done["counts"] == {"created": 1}, await office.rows(done["id"])
    stored = await office.one("opportunities", title="Neue Theke")
    assert (stored["status"], stored["probability"], stored["contactPersonId"]) == (
        "proposal",
        50,
        contact["_id"],
    )
    assert (stored["estimatedValue"], stored["expectedCloseDate"]) == (12500, "2027-03-09")


async def test_updates_change_what_the_row_says_and_can_be_taken_back(office: Office) -> None:
    await office.imported(customers(customer("Alt", mail="alt@hof.de"), customer("Neu", mail="neu@hof.de")))
    before = await office.one("customers", companyName="Alt")
    head = "E-Mail;Telefon;Branche;Firma"
    file = f"{head}\r\nalt@hof.de;0221 123456;;\r\nneu@hof.de;0221 654321;Käse;\r\nfremd@hof.de;0221 1;;\r\n"
    done = await office.imported(file, duplicates="update")
    assert done["counts"] == {"updated": 2, "wrong": 1}, await office.rows(done["id"])
    after = await office.one("customers", email="alt@hof.de")
    assert (after["phone"], after["companyName"]) == ("0221 123456", "Alt")
    assert "industry" not in after
    assert (await office.imported(file, duplicates="update"))["counts"] == {"unchanged": 2, "wrong": 1}
    # Somebody changes one of them.
    changed = await office.one("customers", companyName="Neu")
    answer = await office.ask(
        "PATCH",
        f"/customers/{changed['_id']}",
        json={"rating": "A"},
        headers={"if-match": "*"},
    )
    assert answer.status_code == 200, answer.text
    await office.ask("POST", f"/imports/{done['id']}/undo")
    told = await office.settled(done["id"])
    assert told["counts"] == {"undone": 1, "kept": 1, "wrong": 1}
    (kept,) = await office.rows(done["id"], outcome="kept")
    assert kept["problems"][0]["rule"] == "undo.changed"
    back = await office.one("customers", email="alt@hof.de")
    marks = {"_rev", "version", "modifiedAt", "modifiedBy"}
    assert {k: v for k, v in back.items() if k not in marks} == {
        k: v for k, v in before.items() if k not in marks
    }


@pytest.mark.parametrize("between", [0, CHUNK], ids=["in one chunk", "in two"])
async def test_two_rows_that_mean_one_customer_update_it_once(office: Office, between: int) -> None:
    """By its number the one and by its address the other: the second was changed meanwhile."""
    mail = f"ziel{between}@hof.de"
    await office.imported(customers(customer(f"Ziel {'weit ' * (between // 20)}", mail=mail)))
    number = (await office.one("customers", email=mail))["customerNumber"]
    rows = [f"{number};;0221 111111;", *[";;;x"] * between, f";{mail};0221 222222;"]
    file = "\r\n".join(["Kundennummer;E-Mail;Telefon;Notizen", *rows, ""])
    one = await office.uploaded(file)
    for dry in (True, False):
        told = await office.executed(one["id"], dryRun=dry, duplicates="update")
        told["counts"].pop("wrong", None)
        assert told["counts"] == {"updated": 1, "skipped": 1}, await office.rows(one["id"], outcome="wrong")
    (skipped,) = await office.rows(one["id"], outcome="skipped")
    assert skipped["duplicate"] == {"line": 2, "rule": "email"}
    assert (await office.one("customers", email=mail))["phone"] == "0221 111111"


async def test_what_one_does_not_see_any_more_is_kept_by_undoing(office: Office) -> None:
    row = customer("Hof Fort", "Trier", "fort@hof.de", owner="adm1")
    await office.imported(customers(row), name="adm1")
    moved = customers(row.replace("Trier", "Konz"))
    one = await office.imported(moved, name="adm1", duplicates="update")
    stored = await office.one("customers", companyName="Hof Fort")
    given = await office.ask(
        "PATCH", f"/customers/{stored['_id']}", "gf1", json={"owner": "adm2"}, headers={"if-match": "*"}
    )
    assert given.status_code == 200, given.text
    await office.ask("POST", f"/imports/{one['id']}/undo", "adm1")
    assert (await office.settled(one["id"], "adm1"))["counts"] == {"kept": 1}
    (kept,) = await office.rows(one["id"], "adm1")
    assert [each["rule"] for each in kept["problems"]] == ["undo.unseen"]
    assert (await office.one("customers", companyName="Hof Fort"))["billingAddress"]["city"] == "Konz"


async def test_duplicates_wait_for_a_decision(office: Office) -> None:
    names = ("Frage Apfel", "Frage Zwetschge", "Frage Mirabelle")
    rows = [customer(name, mail=f"{one}@frage.de") for name, one in zip(names, "abc", strict=True)]
    await office.imported(customers(*rows))
    again = [customer("Apfel", mail="a@frage.de"), customer("Birne", mail="b@frage.de"), rows[2]]
    one = await office.uploaded(customers(*again, customer("Ganz anders", "Bonn")))
    answer = await office.ask("POST", f"/imports/{one['id']}/execute", json={"duplicates": "ask"})
    assert answer.status_code == 409
    told = await office.executed(one["id"], dryRun=True, duplicates="ask")
    assert told["counts"] == {"undecided": 3, "created": 1}
    order: dict[str, Any] = {"duplicates": "ask", "decisions": {"2": "update", "3": "skip"}}
    answer = await office.ask("POST", f"/imports/{one['id']}/execute", json=order)
    assert (answer.status_code, "4" in answer.json()["detail"]) == (409, True)
    order["decisions"]["4"] = "create"
    told = await office.executed(one["id"], **order)
    assert told["counts"] == {"updated": 1, "skipped": 1, "created": 2}, await office.rows(one["id"])
    assert len(await office.list("customers", companyName="Frage Mirabelle")) == 2
    assert [one["companyName"] for one in await office.list("customers", email="a@frage.de")] == ["Apfel"]


@pytest.mark.parametrize(
    ("there", "comes"),
    [
        ("Hofladen Müller GmbH", "Hofladen Mueller"),
        ("Baeckerei Kurz", "Bäckerei Kurz e.K."),
        ("Schmidt GmbH & Co. KG", "Schmidt"),
    ],
)
async def test_the_same_but_for_the_legal_form_is_asked_and_never_decided(
    office: Office, there: str, comes: str
) -> None:
    old, new = (f"{name};Am Weg 7;50667;Köln;;adm1" for name in (there, comes))
    await office.imported(customers(old))
    before = await office.one("customers", companyName=there)
    for how in ("skip", "update"):
        one = await office.uploaded(customers(new))
        told = await office.executed(one["id"], dryRun=True, duplicates=how)
        (row,) = await office.rows(one["id"])
        assert (told["counts"], row["notes"][0]["rule"]) == ({"created": 1}, "duplicate.form")
    rows = (new, new.replace("Köln", "Regensburg"), old.replace("7;", "9;").replace("Köln", "Koeln"))
    one = await office.uploaded(customers(*rows))
    asked = await office.executed(one["id"], dryRun=True, duplicates="ask")
    assert asked["counts"] == {"created": 1, "undecided": 2}
    first, _, _ = await office.rows(one["id"])
    assert first["duplicate"] == {"id": before["_id"], "rule": "form"}
    done = await office.executed(one["id"], duplicates="ask", decisions={"2": "update", "4": "skip"})
    assert done["counts"] == {"created": 1, "skipped": 1, "updated": 1}
    found = await office.list("customers", companyName=comes)
    assert before["_id"] in [one["_id"] for one in found]


async def test_rows_of_a_file_that_are_the_same_but_for_the_legal_form_are_both_made(office: Office) -> None:
    rows = [f"{name};Am Weg 8;50667;Köln;;adm1" for name in ("Ohm Bau AG", "Ohm Bau", "Ohm Bau Süd")]
    done = await office.imported(customers(*rows), duplicates="update")
    assert done["counts"] == {"created": 3}
    notes = [[one["rule"] for one in row["notes"]] for row in await office.rows(done["id"])]
    assert notes == [[], ["duplicate.file"], []]


async def test_what_a_row_lacks_is_not_told_where_it_only_updates(office: Office) -> None:
    await office.imported(customers(customer("Hof Lücke", mail="luecke@hof.de")))
    file = "E-Mail;Besuchsabstand\r\nluecke@hof.de;0\r\n"
    done = await office.imported(file, duplicates="update")
    (row,) = await office.rows(done["id"])
    assert [one["column"] for one in row["problems"]] == ["Besuchsabstand"]


async def test_rows_of_a_dry_run_that_stopped_are_written_afterwards(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "CHUNK", 1)
    check, left = working.ImportService._check, [1]

    async def stopped(service: working.ImportService, one: Import) -> None:
        if not left[0]:
            raise errors.forbidden("No longer.")
        left[0] -= 1
        await check(service, one)

    one = await office.uploaded(customers(customer("Hof Probe", "Jena"), customer("Mühle Test", "Suhl")))
    with monkeypatch.context() as patch:
        patch.setattr(working.ImportService, "_check", stopped)
        told = await office.executed(one["id"], dryRun=True)
    assert (told["state"], told["reason"], told["counts"]) == ("read", "No longer.", {"created": 1})
    assert (await office.executed(one["id"]))["counts"] == {"created": 2}
    found = [each["companyName"] for each in await office.list("customers", sort="companyName")]
    assert {"Hof Probe", "Mühle Test"} <= set(found)


async def test_two_at_once_write_no_row_twice(office: Office) -> None:
    file = customers(
        *(customer(f"Doppelt {md5(b'%d' % n).hexdigest()}", "Ulm", f"d{n}@doppelt.de") for n in range(300))
    )
    one, other = await office.uploaded(file), await office.uploaded(file, name="gf1")
    again = await office.uploaded(file)
    assert [each["id"] for each in again["sameFile"]] == [one["id"]]
    await asyncio.gather(office.executed(one["id"]), office.executed(other["id"], "gf1"))
    counts = [
        (await office.settled(each["id"], name))["counts"] for each, name in ((one, "innen1"), (other, "gf1"))
    ]
    assert sorted(counts, key=str) == [{"created": 300}, {"skipped": 300}]
    answer = await office.ask("POST", f"/imports/{one['id']}/execute", json={})
    assert answer.status_code == 409


async def test_an_erasure_takes_every_text(office: Office) -> None:
    rows = (f"{customer('Hof Geheim', mail='geheim@hof.de')};", "Hof =Geheim;W;1;x;;adm1;")
    file = customers(*rows, head=f"{HEAD};Geheim")
    one = await office.uploaded(file, file="geheim.csv")
    await office.ask("PUT", f"/imports/{one['id']}/mapping", json={"columns": {"Geheim": None}})
    await office.executed(one["id"])
    update = "E-Mail;Telefon\r\ngeheim@hof.de;0221 4711471147\r\n"
    changed = await office.imported(update, duplicates="update")
    waits = await office.uploaded(file)
    stored = await office.one("customers", email="geheim@hof.de")
    wish = {"reason": "Antrag nach Art. 17", "dryRun": False}
    answer = await office.ask("POST", f"/privacy/subjects/{stored['_id']}/erasure", "gf1", json=wish)
    assert answer.status_code == 200, answer.text
    await office.product.imports.erase()
    assert (await office.ask("GET", f"/imports/{waits['id']}")).status_code == 404
    tables = ("imports", "pieces", "chunks", "outcomes", "sources")
    file_of = office.product.imports._desk.opened()
    kept = [row for table in tables for row in file_of.rows(f"SELECT * FROM {table}")]
    assert not any(secret in repr(kept) for secret in ("Geheim", "geheim", "4711471147"))
    assert len(await office.rows(one["id"])) == 2
    await office.ask("POST", f"/imports/{changed['id']}/undo", "gf1")
    assert (await office.settled(changed["id"]))["counts"] == {"kept": 1}
    consumers = (await office.ask("GET", "/privacy/consumers", "gf1")).json()["consumers"]
    assert [each["open"] for each in consumers if each["name"] == "imports"] == [0], consumers


async def test_an_import_is_forgotten(office: Office) -> None:
    one = await office.uploaded(customers(customer("Hof Vergiss")))
    assert (await office.ask("DELETE", f"/imports/{one['id']}", "gf1")).status_code == 404
    assert (await office.ask("DELETE", f"/imports/{one['id']}")).status_code == 204
    assert (await office.ask("GET", f"/imports/{one['id']}")).status_code == 404


async def test_an_import_whose_file_is_away_for_a_while_goes_on(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, left = ImportStore.note, [2]

    def away(store: ImportStore, *args: Any, **more: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise ImportStoreError("The journal of writes can't be reached at the moment. Try again.")
        note(store, *args, **more)

    monkeypatch.setattr(ImportStore, "note", away)
    monkeypatch.setattr(working, "LOOK_SECONDS", 0.1)
    told = await office.imported(
        customers(customer("Hof Ausfall", "Aachen"), customer("Mühle Strom", "Bonn"))
    )
    assert (told["state"], told["counts"], left) == ("done", {"created": 2}, [0])


async def test_a_dry_run_that_goes_on_finds_rows_that_say_the_same_as_those_before(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, left = ImportStore.note, [3]

    def away(file: ImportStore, *args: Any, **more: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise ImportStoreError("The journal of writes can't be reached at the moment. Try again.")
        note(file, *args, **more)

    monkeypatch.setattr(store, "CHUNK", 1)
    monkeypatch.setattr(working, "LOOK_SECONDS", 0.1)
    same = customer("Hof Doppelt", "Gera")
    one = await office.uploaded(customers(same, same))
    monkeypatch.setattr(ImportStore, "note", away)
    told = await office.executed(one["id"], dryRun=True)
    assert (told["state"], told["counts"]) == ("checked", {"created": 1, "skipped": 1})
    assert left[0] < 0, "it was interrupted"
