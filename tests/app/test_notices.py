"""Refused changes and conflicts, in both languages, and documents that mean harm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.conftest import PATIENCE, Demo, log_in, send_login
from tests.app.test_page import change_phone, eventually, fetch, open_customer, switch

pytestmark = [pytest.mark.chromium, pytest.mark.node]

SCRIPT = '<img src=x onerror="window.harmed=1"><script>window.harmed=1</script>'

WRITE = """async ([id, changes]) => {
  const db = new PouchDB('kompass-adm1');
  await db.put({ ...(await db.get(id)), ...changes });
}"""


def refuse(page: Page, docid: str, phone: str, **changes: str) -> None:
    """Writes what isn't allowed, as another application on the tablet would: the owner."""
    page.evaluate(WRITE, [docid, {"phone": phone, "owner": "adm2", **changes}])
    expect(page.locator(".to-do a").first).to_contain_text("1", timeout=PATIENCE)
    page.get_by_role("link", name="Abgelehnt").click()
    page.locator(".list .row").first.click()


@pytest.fixture
def english(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB", viewport={"width": 1180, "height": 820})
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


def test_a_refused_change_is_shown_corrected_and_settled(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    docid = open_customer(page, 10)
    refuse(page, docid, "+49 30 23125 110")
    notice = fetch_notice(demo)
    expect(page.locator("#why")).to_contain_text(notice["grund"])
    expect(page.get_by_role("row", name="Betreut von")).to_contain_text("(abgelehnt)")
    page.get_by_role("link", name="Korrigieren").click()
    expect(page.get_by_label("Telefon")).to_have_value("+49 30 23125 110")
    owner = page.get_by_role("group", name="Betreut von")
    expect(owner.get_by_label("Jetzt auf dem Server")).to_be_checked()
    page.get_by_label("Telefon").fill("+49 30 23125 111")
    page.get_by_role("button", name="Noch einmal senden").click()
    eventually(lambda: fetch(demo, docid)["phone"], "+49 30 23125 111")
    assert fetch(demo, docid)["owner"] == "adm1"
    expect(page.locator(".to-do a").first).to_contain_text("0", timeout=PATIENCE)


def fetch_notice(demo: Demo) -> dict[str, str]:
    """The one that the person has."""
    with demo.client("adm1") as client:
        (found,) = client.post("_find", json={"selector": {"type": "rejected_change"}}).json()["docs"]
    assert isinstance(found, dict)
    return found


def test_a_refused_change_is_discarded(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    docid = open_customer(page, 12)
    before = fetch(demo, docid)["phone"]
    refuse(page, docid, "+49 30 23125 113")
    notice = fetch_notice(demo)
    page.context.set_offline(True)
    page.get_by_role("button", name="Verwerfen").click()
    expect(page.locator(".to-do a").first).to_contain_text("0", timeout=PATIENCE)
    assert state_of(demo, notice) == "quarantined"
    page.context.set_offline(False)
    eventually(lambda: state_of(demo, notice), "discarded")
    assert fetch(demo, docid)["phone"] == before


def test_a_refused_change_is_corrected_without_a_connection(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    docid = open_customer(page, 11)
    refuse(page, docid, "+49 30 23125 114")
    notice = fetch_notice(demo)
    page.context.set_offline(True)
    page.get_by_role("link", name="Korrigieren").click()
    expect(page.get_by_label("Telefon")).to_have_value("+49 30 23125 114")
    page.get_by_label("Telefon").fill("+49 30 23125 115")
    page.get_by_role("button", name="Noch einmal senden").click()
    expect(page.locator(".to-do a").first).to_contain_text("0", timeout=PATIENCE)
    assert state_of(demo, notice) == "quarantined"
    page.context.set_offline(False)
    eventually(lambda: fetch(demo, docid)["phone"], "+49 30 23125 115")
    eventually(lambda: state_of(demo, notice), "corrected")
    assert fetch(demo, docid)["owner"] == "adm1"


def state_of(demo: Demo, notice: dict[str, str]) -> str:
    """What became of the entry that a notice tells of."""
    with demo.client("adm1") as client:
        entry = client.get(f"{demo.url}api/v1/quarantine/{notice['quarantineId']}").raise_for_status().json()
    return str(entry["state"])


@pytest.mark.parametrize("comes_back", [True, False])
def test_what_was_deleted_meanwhile_comes_back_or_not(page: Page, demo: Demo, comes_back: bool) -> None:
    docid = f"user-task-00000000-0000-4000-8000-00000000000{int(comes_back)}"
    task = {
        "type": "user_task",
        "title": f"Muster {comes_back} <b>zeigen</b>",
        "priority": "medium",
        "status": "open",
        "assignedTo": "adm1",
        "dueDate": "2099-01-01",
        "createdBy": "gf1",
        "createdAt": "2026-03-01T08:00:00.000Z",
        "modifiedBy": "gf1",
        "modifiedAt": "2026-03-01T08:00:00.000Z",
        "version": 1,
    }
    with demo.client("gf1") as client:
        client.put(docid, json=task).raise_for_status()
    log_in(page, demo)
    page.wait_for_function(
        "async (id) => new PouchDB('kompass-adm1').get(id).then(() => true, () => false)", arg=docid
    )
    switch(page)
    page.evaluate(WRITE, [docid, {"title": "Preise zeigen", "modifiedBy": "adm1", "version": 2}])
    with demo.client("gf1") as client:
        client.delete(docid, params={"rev": client.get(docid).json()["_rev"]}).raise_for_status()
    switch(page)
    expect(page.locator(".to-do a").last).to_contain_text("1", timeout=PATIENCE)
    page.get_by_role("link", name="Konflikte").click()
    page.locator(".list .row", has_text="Preise zeigen").first.click()
    expect(page.get_by_role("heading", name="Preise zeigen")).to_be_visible()
    expect(page.locator(".versions")).to_contain_text("Muster")
    page.get_by_label("Wiederherstellen" if comes_back else "Gelöscht lassen").check()
    page.get_by_role("button", name="So speichern").click()
    expect(page.locator(".to-do a").last).to_contain_text("0", timeout=PATIENCE)
    with demo.client("adm1") as client:
        after = client.get(docid)
    assert (after.status_code, after.json().get("title")) == (
        (200, "Preise zeigen") if comes_back else (404, None)
    )


@pytest.mark.parametrize("mine", [True, False])
def test_a_conflict_is_settled_field_by_field(page: Page, demo: Demo, mine: bool) -> None:
    log_in(page, demo)
    docid = open_customer(page, 13 + mine)
    switch(page)
    change_phone(page, "+49 30 23125 140")
    with demo.client("innen1") as client:
        edit = {"phone": "+49 30 23125 141", "website": "https://amt.example", "modifiedBy": "innen1"}
        client.put(docid, json=client.get(docid).json() | edit).raise_for_status()
    switch(page)
    expect(page.locator(".to-do a").last).to_contain_text("1", timeout=PATIENCE)
    page.get_by_role("link", name="Konflikte").click()
    page.locator(".list .row").first.click()
    group = page.get_by_role("group", name="Telefon")
    expect(group).to_contain_text("+49 30 23125 140")
    expect(group).to_contain_text("+49 30 23125 141")
    group.get_by_label("Meine Fassung" if mine else "Jetzt auf dem Server").check()
    page.get_by_role("button", name="So speichern").click()
    expect(page.locator(".to-do a").last).to_contain_text("0", timeout=PATIENCE)
    after = fetch(demo, docid, conflicts="true")
    assert after["phone"] == ("+49 30 23125 140" if mine else "+49 30 23125 141")
    assert after["website"] == "https://amt.example"
    assert after["modifiedBy"] == "adm1"
    assert "_conflicts" not in after


FIELDS = """async ([fields, mine, theirs]) => {
  const { conflictFields, withValue } = await import("/app/notices.js");
  const now = { _id: "a", ...theirs };
  const store = { get: () => now };
  const listed = conflictFields(store, { docId: "a", fields, mine, theirs });
  let merged = now;
  for (const { path, mine: value } of listed) merged = withValue(merged, path, value);
  return { listed: listed.map(({ path, label, mine, theirs }) => [path, label, mine, theirs]), merged };
}"""


def test_conflicts_are_read_in_whatever_form_they_list_fields(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}app/")
    mine = {"phone": "1", "billingAddress": {"city": "Köln", "zipCode": "50667"}, "a.b": 1}
    theirs = {"phone": "2", "billingAddress": {"city": "Bonn", "zipCode": "50667"}, "a.b": 2}
    fields = [
        "phone",
        {"path": "billingAddress.city", "label": "Ort", "local": "Köln", "server": "Bonn", "kind": "new"},
        {"path": "/billingAddress/zipCode", "label": {"de": "PLZ", "en": "Postcode"}},
        {"path": ["a.b"], "base": 0},
    ]
    seen = page.evaluate(FIELDS, [fields, mine, theirs])
    assert seen["listed"] == [
        [["phone"], "Telefon", "1", "2"],
        [["billingAddress", "city"], "Ort", "Köln", "Bonn"],
        [["billingAddress", "zipCode"], "PLZ", "50667", "50667"],
        [["a.b"], "a.b", 1, 2],
    ]
    assert seen["merged"] == {"_id": "a", **mine}


@pytest.mark.parametrize(
    "path", ["__proto__", "__proto__.polluted", "constructor.prototype.x", "_rev", "nowhere.at"]
)
def test_a_path_reaches_nothing_but_fields(page: Page, demo: Demo, path: str) -> None:
    page.goto(f"{demo.url}app/")
    attempt = f"""async () => {{
      const {{ withValue }} = await import("/app/notices.js");
      try {{
        withValue({{ phone: "1" }}, {path!r}.split("."), "x");
      }} catch {{ return [({{}}).x, ({{}}).polluted]; }}
      return "written";
    }}"""
    assert page.evaluate(attempt) == [None, None]


def test_a_document_s_text_is_only_text(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    docid = open_customer(page, 15)
    page.evaluate(WRITE, [docid, {"notes": SCRIPT}])
    eventually(lambda: fetch(demo, docid).get("notes"), SCRIPT)
    expect(page.get_by_text(SCRIPT, exact=True)).to_be_visible()
    refuse(page, docid, SCRIPT, companyName=SCRIPT)
    expect(page.get_by_text(SCRIPT).first).to_be_visible()
    page.get_by_role("link", name="Korrigieren").click()
    expect(page.get_by_label("Telefon", exact=True)).to_have_value(SCRIPT)
    page.go_back()
    page.get_by_role("button", name="Verwerfen").click()
    expect(page.locator(".to-do a").first).to_contain_text("0", timeout=PATIENCE)
    page.goto(f"{demo.url}app/#/%E0%A4%A")
    expect(page.get_by_role("heading", name="Kunden")).to_be_visible()
    assert page.evaluate("window.harmed") is None
    assert page.locator("main script, main img[src=x]").count() == 0


SHOWN = """async () => {
  const { lineOf, nameOf, show, typeName } = await import("/app/schema.js");
  const store = { get: () => undefined, target: () => undefined };
  const odd = [null, 1, true, [], {}, { toString: 1 }, "constructor", "__proto__", [{ a: 1 }]];
  const said = [];
  for (const value of odd) {
    for (const type of ["customer", "contact", "opportunity", "activity", "location", "user", value]) {
      const doc = { _id: "x", type, companyName: value, title: value, date: value, tags: value };
      doc.deliveryAddress = value;
      said.push(nameOf(doc, store), lineOf(doc, store), typeName(type));
    }
    for (const name of ["tags", "owner", "status", "billingAddress", "dsgvoConsent", "constructor"]) {
      said.push(show(name, value, store));
    }
  }
  return said.filter((each) => typeof each !== "string");
}"""


def test_members_of_any_type_are_shown_as_text(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}app/")
    assert page.evaluate(SHOWN) == []


def test_the_page_speaks_english_where_the_browser_does(english: Page, demo: Demo) -> None:
    english.goto(f"{demo.url}app/")
    english.get_by_label("Name").fill("adm1")
    english.get_by_label("Password").fill("wrong")
    english.get_by_role("button", name="Log in").click()
    expect(english.get_by_role("alert").filter(has_text="Name or password is wrong")).to_be_visible()
    english.get_by_label("Password").fill("kompass-demo")
    english.get_by_role("button", name="Log in").click()
    expect(english.locator("#state")).to_contain_text("Synced at", timeout=PATIENCE)
    assert english.evaluate("document.documentElement.lang") == "en"
    english.locator(".list .row").nth(16).click()
    docid = english.url.rpartition("/")[2]
    english.evaluate(WRITE, [docid, {"owner": "adm2"}])
    expect(english.locator(".to-do a").first).to_contain_text("1", timeout=PATIENCE)
    english.get_by_role("link", name="Refused").click()
    english.locator(".list .row").first.click()
    expect(english.locator("#why")).to_contain_text(fetch_notice(demo)["reason"])
    english.get_by_role("button", name="Discard").click()
    expect(english.locator(".to-do a").first).to_contain_text("0", timeout=PATIENCE)


def test_german_is_only_spoken_where_it_is_understood(english: Page, demo: Demo) -> None:
    english.goto(f"{demo.url}app/")
    expect(english.get_by_role("button", name="Log in")).to_be_visible()
    words = english.locator("body").inner_text()
    assert not set("äöüßÄÖÜ") & set(words)


def test_everything_that_is_asked_for_has_a_label(page: Page, demo: Demo) -> None:
    send_login(page, demo)
    expect(page.locator("#state")).to_contain_text("Abgeglichen", timeout=PATIENCE)
    docid = open_customer(page, 17)
    nameless = """() => [...document.querySelectorAll("input, select, textarea, button, a")].filter((each) =>
      each.offsetParent && !(each.labels?.length || each.ariaLabel || each.textContent.trim()))
      .map((each) => each.outerHTML)"""
    for address in ("customer", f"customer/{docid}", f"customer/{docid}/edit", "refused", "conflicts"):
        page.goto(f"{demo.url}app/#/{address}")
        expect(page.locator("h1").last).to_be_focused()
        assert page.evaluate(nameless) == []
