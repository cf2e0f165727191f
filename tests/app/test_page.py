"""The page in a real Chromium with a real PouchDB against a real server."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from kompass.demo import PASSWORD
from tests.app.conftest import PATIENCE, Demo, log_in, start_demo

pytestmark = [pytest.mark.chromium, pytest.mark.node]


def switch(page: Page) -> None:
    page.get_by_role("switch").click()


def open_customer(page: Page, number: int) -> str:
    """Opens the n-th customer of the list; returns its id."""
    page.get_by_role("link", name="Kunden").click()
    page.locator(".list .row").nth(number).click()
    expect(page.get_by_role("link", name="Bearbeiten")).to_be_visible()
    found = re.search(r"#/customer/(.+)$", page.url)
    assert found is not None
    return found[1]


def save_phone(page: Page, number: str) -> None:
    page.get_by_role("link", name="Bearbeiten").click()
    page.get_by_label("Telefon").fill(number)
    page.get_by_role("button", name="Speichern").click()


def change_phone(page: Page, number: str) -> None:
    save_phone(page, number)
    expect(page.get_by_role("link", name=number)).to_be_visible()


def eventually(get: Callable[[], Any], wanted: Any) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while (got := get()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert got == wanted


def fetch(demo: Demo, docid: str, **options: str) -> Any:
    with demo.client("gf1") as client:
        return client.get(docid, params=options).raise_for_status().json()


def a_colleague_changes(demo: Demo, docid: str, **members: str) -> None:
    with demo.client("innen1") as client:
        doc = client.get(docid).json() | members | {"modifiedBy": "innen1"}
        client.put(docid, json=doc).raise_for_status()


def customers_of(demo: Demo, login: str) -> int:
    with demo.client(login) as client:
        request = {"selector": {"type": "customer"}, "limit": 1000}
        return len(client.post("_find", json=request).raise_for_status().json()["docs"])


def test_a_wrong_password_is_explained(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}app/")
    page.get_by_label("Name").fill("adm1")
    page.get_by_label("Passwort").fill("falsch")
    page.get_by_role("button", name="Anmelden").click()
    expect(page.get_by_role("alert").filter(has_text="Name oder Passwort ist falsch")).to_be_visible()


def test_login_brings_what_is_theirs(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    count = customers_of(demo, "adm1")
    assert 0 < count < customers_of(demo, "innen1") == 50
    navigation = page.get_by_role("navigation", name="Bereiche")
    expect(navigation.get_by_role("link", name="Kunden")).to_contain_text(str(count))
    expect(navigation.get_by_role("link", name="Konflikte")).to_contain_text("0")


def test_search_finds_by_name_and_town(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    customer = page.locator(".list .row").first.locator("strong").inner_text()
    page.get_by_label("Kunden durchsuchen").fill(customer.upper())
    expect(page.locator(".list .row").first.locator("strong")).to_have_text(customer)
    page.get_by_label("Kunden durchsuchen").fill("gibt es nicht")
    expect(page.get_by_text(f"0 von {customers_of(demo, 'adm1')}")).to_be_visible()


def test_a_photo_is_shown(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    query = {"selector": {"attachments": {"$elemMatch": {"mimeType": "image/png"}}}, "limit": 1}
    with demo.client("gf1") as client:
        (doc,) = client.post("_find", json=query).raise_for_status().json()["docs"]
    page.goto(f"{demo.url}app/#/activity/{doc['_id']}")
    photo = page.get_by_role("img", name="regal.png")
    expect(photo).to_be_visible()
    assert photo.evaluate("image => image.decode().then(() => image.naturalWidth)") == 320


def test_an_offline_edit_reaches_the_server_when_back_online(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    switch(page)
    docid = open_customer(page, 0)
    before = fetch(demo, docid)
    change_phone(page, "+49 30 23125 001")
    expect(page.locator("#state")).to_contain_text("1 Änderung wartet")
    assert fetch(demo, docid) == before

    switch(page)
    eventually(lambda: fetch(demo, docid)["phone"], "+49 30 23125 001")
    expect(page.locator("#state")).not_to_contain_text("wartet", timeout=PATIENCE)
    after = fetch(demo, docid)
    assert after["version"] == before["version"] + 1
    assert after["modifiedAt"] > before["modifiedAt"]


def test_the_switch_is_remembered_over_a_reload(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    switch(page)
    open_customer(page, 1)
    change_phone(page, "+49 30 23125 002")
    page.reload()
    expect(page.locator("#state")).to_contain_text("1 Änderung wartet")
    expect(page.get_by_role("switch")).not_to_be_checked()
    switch(page)
    expect(page.locator("#state")).to_contain_text("Abgeglichen", timeout=PATIENCE)


def test_a_colleagues_change_appears_while_online(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    docid = open_customer(page, 2)
    a_colleague_changes(demo, docid, phone="+49 30 23125 003")
    expect(page.get_by_role("link", name="+49 30 23125 003")).to_be_visible()


def test_what_two_people_change_at_once_is_united(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    docid = open_customer(page, 3)
    switch(page)
    change_phone(page, "+49 30 23125 130")
    a_colleague_changes(demo, docid, website="https://hof.example")
    switch(page)
    eventually(lambda: fetch(demo, docid)["phone"], "+49 30 23125 130")
    assert fetch(demo, docid)["website"] == "https://hof.example"
    expect(page.get_by_text("https://hof.example")).to_be_visible(timeout=PATIENCE)
    assert "_conflicts" not in fetch(demo, docid, conflicts="true")


def test_of_two_changes_of_one_field_the_first_stays_and_the_other_is_kept(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    docid = open_customer(page, 4)
    switch(page)
    change_phone(page, "+49 30 23125 140")
    a_colleague_changes(demo, docid, phone="+49 30 23125 141")
    switch(page)
    expect(page.get_by_role("link", name="+49 30 23125 141")).to_be_visible(timeout=PATIENCE)
    assert fetch(demo, docid, conflicts="true")["phone"] == "+49 30 23125 141"
    with demo.client("adm1") as client:
        found = client.post("_find", json={"selector": {"type": "conflict"}}).json()["docs"]
    assert any("+49 30 23125 140" in str(conflict) for conflict in found)


def test_a_new_activity_with_a_photo_is_made_offline(page: Page, demo: Demo, tmp_path: Path) -> None:
    picture = tmp_path / "theke.png"
    picture.write_bytes(httpx.get(f"{demo.url}app/icon.svg").content)
    log_in(page, demo)
    switch(page)
    customer = open_customer(page, 5)
    page.get_by_role("link", name="Neue Aktivität").click()
    page.get_by_label("Betreff").fill("Maße der Theke")
    page.get_by_label("Foto oder PDF anhängen").set_input_files(picture)
    page.get_by_role("button", name="Speichern").click()
    expect(page.get_by_role("heading", name="Maße der Theke")).to_be_visible()
    docid = page.url.rpartition("/")[2]
    switch(page)
    expect(page.locator("#state")).not_to_contain_text("wartet", timeout=PATIENCE)
    doc = fetch(demo, docid)
    assert (doc["type"], doc["customerId"], doc["version"]) == ("activity", customer, 1)
    assert doc["_attachments"]["theke.png"]["length"] == picture.stat().st_size


def test_a_lost_login_is_asked_for_again_and_nothing_is_lost(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    docid = open_customer(page, 6)
    page.context.clear_cookies()
    save_phone(page, "+49 30 23125 006")
    expect(page.get_by_text("Bitte neu anmelden")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("adm1")
    page.get_by_label("Passwort").fill(PASSWORD)
    page.get_by_role("button", name="Anmelden").click()
    expect(page.locator("#state")).to_contain_text("Abgeglichen", timeout=PATIENCE)
    eventually(lambda: fetch(demo, docid)["phone"], "+49 30 23125 006")


def test_after_a_lost_login_work_can_go_on_offline(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    open_customer(page, 7)
    page.context.clear_cookies()
    save_phone(page, "+49 30 23125 008")
    page.get_by_role("button", name="Ohne Server weiterarbeiten als adm1").click()
    expect(page.locator("#state")).to_contain_text("1 Änderung wartet")
    expect(page.get_by_role("link", name="+49 30 23125 008")).to_be_visible()
    switch(page)
    expect(page.get_by_text("Bitte neu anmelden")).to_be_visible()


def test_users_of_one_browser_do_not_share_a_database(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    page.get_by_role("button", name="Abmelden").click()
    log_in(page, demo, "innen1")
    names = page.evaluate("indexedDB.databases().then(all => all.map(one => one.name))")
    assert {"_pouch_kompass-adm1", "_pouch_kompass-innen1"} <= set(names)


@pytest.mark.slow
def test_page_and_documents_are_there_without_a_server(page: Page, tmp_path: Path) -> None:
    with start_demo(tmp_path / "data") as own:
        log_in(page, own)
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        expect(page.locator(".list .row").first).to_be_visible()
        own.stop()
        page.reload()
        expect(page.get_by_role("heading", name="Kunden")).to_be_visible()
        open_customer(page, 0)
        change_phone(page, "+49 30 23125 007")
        expect(page.locator("#state")).to_contain_text("1 Änderung wartet")


def test_the_keyboard_suffices(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}app/")
    page.get_by_label("Name").focus()
    page.keyboard.type("plan1")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_contain_text("Abgeglichen", timeout=PATIENCE)
    page.get_by_role("switch").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("switch")).not_to_be_checked()


def test_a_narrow_screen_shows_one_pane(page: Page, demo: Demo) -> None:
    page.set_viewport_size({"width": 600, "height": 900})
    log_in(page, demo)
    page.locator(".list .row").first.click()
    expect(page.locator(".list")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="‹ Kunden").click()
    expect(page.locator(".list")).to_be_visible()
