"""A tablet that is lost, one that was away for too long, and what it says of itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from kompass.demo import PASSWORD
from kompass.identity.devices import ID_HEADER
from tests.app.conftest import PATIENCE, Demo, log_in, send_login

pytestmark = [pytest.mark.chromium, pytest.mark.node]

FORWARD = "days => { const { now } = Date; Date.now = () => now() + days * 86400000; }"


def api(demo: Demo, login: str) -> httpx.Client:
    return httpx.Client(base_url=f"{demo.url}api/v1/", auth=(login, PASSWORD))


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while not true():
        assert time.monotonic() < deadline, "it never was"
        time.sleep(0.1)


def device_of(page: Page, demo: Demo, login: str) -> dict[str, Any]:
    """What the server knows of the page's device."""
    key = page.evaluate(f"JSON.parse(localStorage.getItem('kompass.lease.{login}')).device")
    with api(demo, login) as client:
        found: dict[str, Any] = client.get(f"devices/{key}").raise_for_status().json()
    return found


def databases(page: Page) -> set[str]:
    names: list[str] = page.evaluate("indexedDB.databases().then(all => all.map(one => one.name))")
    return {name for name in names if name.startswith("_pouch_kompass-")}


def call(demo: Demo, login: str, method: str, path: str) -> None:
    with api(demo, login) as client:
        client.request(method, path).raise_for_status()


def test_a_device_says_what_it_holds(page: Page, demo: Demo) -> None:
    log_in(page, demo, "plan1")
    eventually(lambda: device_of(page, demo, "plan1")["documents"] is not None)
    device = device_of(page, demo, "plan1")
    local = page.evaluate("new PouchDB('kompass-plan1').info().then(info => info.doc_count)")
    assert device["documents"] == local > 0
    assert device["app_version"] is not None
    assert not device["implicit"]


def test_logging_in_again_is_the_same_device(page: Page, demo: Demo) -> None:
    log_in(page, demo, "plan1")
    first = device_of(page, demo, "plan1")["id"]
    page.get_by_role("button", name="Abmelden").click()
    expect(page.get_by_role("button", name="Anmelden")).to_be_visible()
    log_in(page, demo, "plan1")
    assert device_of(page, demo, "plan1")["id"] == first


def test_a_lost_device_erases_everything_and_stays_out(page: Page, demo: Demo) -> None:
    log_in(page, demo, "innen1")
    page.get_by_role("button", name="Abmelden").click()
    expect(page.get_by_role("button", name="Anmelden")).to_be_visible()
    log_in(page, demo, "adm1")
    assert databases(page) >= {"_pouch_kompass-innen1", "_pouch_kompass-adm1"}
    device = device_of(page, demo, "adm1")["id"]
    call(demo, "adm1", "POST", f"devices/{device}/lost")

    expect(page.get_by_role("alert").filter(has_text="als verloren gemeldet")).to_be_visible()
    expect(page.locator(".rows")).to_have_count(0)
    expect(page.locator("#who")).to_be_hidden()
    assert databases(page) == set()
    kept = page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('kompass.')).sort()")
    assert kept == ["kompass.device", "kompass.wiped"]
    # It says so until somebody may log in, and the same device is recognised.
    page.reload()
    expect(page.get_by_role("alert").filter(has_text="als verloren gemeldet")).to_be_visible()
    send_login(page, demo, "adm1")
    expect(page.get_by_role("alert").filter(has_text="als verloren gemeldet")).to_be_visible()
    assert databases(page) == set()

    call(demo, "gf1", "POST", f"devices/{device}/restore")
    page.context.clear_cookies()
    log_in(page, demo, "adm1")
    expect(page.locator(".list .row").first).to_be_visible()
    assert databases(page) == {"_pouch_kompass-adm1"}


def test_a_wipe_that_was_interrupted_goes_on(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    page.evaluate("localStorage.setItem('kompass.wiping', '1')")
    page.reload()
    expect(page.get_by_role("alert").filter(has_text="gelöscht")).to_be_visible()
    assert databases(page) == set()


def test_all_windows_of_a_lost_device_let_go(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    other = page.context.new_page()
    other.goto(f"{demo.url}app/")
    expect(other.locator(".list .row").first).to_be_visible()
    device = device_of(page, demo, "adm1")["id"]
    call(demo, "adm1", "POST", f"devices/{device}/lost")
    try:
        for window in (page, other):
            expect(window.get_by_role("alert").filter(has_text="gelöscht")).to_be_visible()
            expect(window.locator(".rows")).to_have_count(0)
        assert databases(page) == set()
    finally:
        call(demo, "gf1", "POST", f"devices/{device}/restore")


def test_a_revoked_device_asks_for_a_login_and_keeps_its_data(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    device = device_of(page, demo, "adm1")["id"]
    call(demo, "adm1", "POST", f"devices/{device}/revoke")
    expect(page.get_by_role("alert").filter(has_text="Bitte neu anmelden")).to_be_visible()
    assert "_pouch_kompass-adm1" in databases(page)
    call(demo, "gf1", "POST", f"devices/{device}/restore")
    page.get_by_label("Passwort").fill(PASSWORD)
    page.get_by_role("button", name="Anmelden").click()
    expect(page.locator("#state")).to_contain_text("Abgeglichen", timeout=PATIENCE)


def test_a_device_without_contact_for_its_lease_locks_itself(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    page.get_by_role("switch").click()
    for days, locked in ((6, False), (2, True)):
        page.evaluate(FORWARD, days)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        if not locked:
            expect(page.locator(".list .row").first).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="zu lange ohne Verbindung")).to_be_visible()
    expect(page.locator(".rows")).to_have_count(0)
    expect(page.get_by_role("button", name="Ohne Server weiterarbeiten")).to_have_count(0)
    # A clock that is set back (here: the true one) opens nothing.
    page.reload()
    expect(page.get_by_role("alert").filter(has_text="zu lange ohne Verbindung")).to_be_visible()
    assert "_pouch_kompass-adm1" in databases(page)
    page.get_by_label("Passwort").fill(PASSWORD)
    page.get_by_role("button", name="Anmelden").click()
    expect(page.locator(".list .row").first).to_be_visible()


def test_contact_renews_the_lease(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    page.evaluate(FORWARD, 6)
    page.get_by_role("switch").click()
    page.get_by_role("switch").click()
    ago = "Date.now() - JSON.parse(localStorage.getItem('kompass.lease.adm1')).contact"
    eventually(lambda: page.evaluate(ago) < 60_000)
    page.evaluate(FORWARD, 6)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(".list .row").first).to_be_visible()


def test_the_page_s_version_is_the_package_s(page: Page, demo: Demo) -> None:
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.headers.get("x-kompass-app-version", "")))
    log_in(page, demo)
    assert version("kompass") in seen


def test_no_password_and_no_token_is_kept(browser: Browser, page: Page, demo: Demo) -> None:
    log_in(page, demo)
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert PASSWORD not in kept
    assert "AuthSession" not in kept
    assert ID_HEADER not in kept
