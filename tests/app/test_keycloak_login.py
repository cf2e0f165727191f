"""The page's login with a real Keycloak."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.app.conftest import PATIENCE, Demo, start_demo
from tests.identity.keycloak_process import KeycloakProcess
from tests.needs import require

pytestmark = [pytest.mark.chromium, pytest.mark.node, pytest.mark.keycloak, pytest.mark.slow]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    home = Path(require("keycloak"))
    with (
        KeycloakProcess(home, tmp_path_factory.mktemp("keycloak")) as keycloak,
        start_demo(
            tmp_path_factory.mktemp("demo") / "data", KOMPASS_KEYCLOAK_ISSUER=keycloak.realm
        ) as running,
    ):
        (client,) = keycloak.admin("GET", "kompass/clients", params={"clientId": "kompass-pwa"}).json()
        client["redirectUris"] = [f"{running.url}app/*"]
        keycloak.admin("PUT", f"kompass/clients/{client['id']}", json=client)
        yield running


def send_to_keycloak(page: Page, login: str) -> None:
    page.get_by_role("button", name="Mit Keycloak anmelden").click()
    page.locator("#username").fill(login)
    page.locator("#password").fill("kompass-demo")
    page.locator("#kc-login").click()


def test_login_and_logout_with_keycloak(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}app/#/contact")
    send_to_keycloak(page, "adm1")
    expect(page.locator("#state")).to_contain_text("Abgeglichen", timeout=PATIENCE)
    expect(page.locator("#who")).to_have_text("adm1")
    assert page.url == f"{demo.url}app/#/contact"  # nothing of the answer stays in the address
    kept = page.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)]")
    assert "kompass.login" not in kept
    assert "access_token" not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")

    page.get_by_role("button", name="Abmelden").click()
    expect(page.get_by_role("button", name="Mit Keycloak anmelden")).to_be_visible()
    send_to_keycloak(page, "innen1")  # Keycloak asks again
    expect(page.locator("#who")).to_have_text("innen1", timeout=PATIENCE)


def test_an_answer_that_nobody_asked_for_is_refused(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}app/#state=invented&code=invented")
    expect(page.get_by_role("alert").filter(has_text="gehört nicht zu diesem Fenster")).to_be_visible()
    assert page.url == f"{demo.url}app/"


def test_local_users_log_in_with_their_password(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}app/")
    page.get_by_text("Mit Passwort anmelden").click()
    page.get_by_label("Name").fill("plan1")
    page.get_by_label("Passwort").fill("kompass-demo")
    page.get_by_role("button", name="Anmelden", exact=True).click()
    expect(page.locator("#state")).to_contain_text("Abgeglichen", timeout=PATIENCE)
