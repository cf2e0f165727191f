"""What the page does when the server fails in the middle of a synchronisation."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.app.conftest import PATIENCE, Demo, log_in, send_login

pytestmark = [pytest.mark.chromium, pytest.mark.node]

BATCH = 200
"""How many changes the page asks for at a time."""


def local_ids(page: Page, login: str = "adm1") -> set[str]:
    read = "name => new PouchDB(name).allDocs().then(({rows}) => rows.map(({id}) => id))"
    return set(page.evaluate(read, f"kompass-{login}"))


@dataclass
class Gap:
    """Fails a page of changes while the first batch is being fetched, and later the fetch of the second."""

    second: set[str]
    """The documents of the second batch."""
    pages: int = 0
    first_fetch: Route | None = None
    second_fetch: Route | None = None
    failed: list[str] = field(default_factory=list)

    def changes(self, route: Route) -> None:
        self.pages += 1
        if self.pages != 4:
            route.continue_()
            return
        route.abort()
        self.failed.append("changes")
        assert self.first_fetch is not None
        self.first_fetch.continue_()

    def bulk_get(self, route: Route) -> None:
        asked: Any = route.request.post_data_json
        if self.first_fetch is None:
            self.first_fetch = route
        elif self.second_fetch is None and self.second & {doc["id"] for doc in asked["docs"]}:
            self.second_fetch = route
        else:
            route.continue_()


def test_a_failure_while_a_batch_is_fetched_leaves_no_gap(page: Page, demo: Demo) -> None:
    """A failed attempt that goes on beside the next one moves the checkpoint over what neither has read."""
    more = [
        {"_id": f"notification-{UUID(int=number, version=4)}", "type": "notification", "recipientId": "adm1"}
        for number in range(6 * BATCH)
    ]
    with demo.client("admin") as client:
        client.post("_bulk_docs", json={"docs": more}).raise_for_status()
    with demo.client("adm1") as client:
        changes = client.get("_changes").raise_for_status().json()["results"]
        there = {row["id"] for row in client.get("_all_docs").raise_for_status().json()["rows"]}
    gap = Gap({row["id"] for row in changes[BATCH : 2 * BATCH]})
    page.route("**/kompass/_changes?*", gap.changes)
    page.route("**/kompass/_bulk_get?*", gap.bulk_get)

    send_login(page, demo)
    deadline = time.monotonic() + PATIENCE / 1000
    while gap.second_fetch is None and time.monotonic() < deadline - PATIENCE / 2000:
        page.wait_for_timeout(50)
    if gap.second_fetch is not None:  # else the checkpoint is beyond it already
        page.wait_for_timeout(2_000)  # whatever else goes on has time to move the checkpoint
        gap.second_fetch.abort()
        gap.failed.append("second batch")

    while (missing := there - local_ids(page)) and time.monotonic() < deadline:
        page.wait_for_timeout(200)
    assert not missing, f"{len(missing)} of {len(there)} documents are missing"
    assert gap.failed == ["changes", "second batch"]
    expect(page.locator("#state")).to_contain_text("Abgeglichen", timeout=PATIENCE)


def test_a_failing_server_is_tried_again_and_shown(page: Page, demo: Demo) -> None:
    page.route("**/kompass/_changes?*", lambda route: route.fulfill(status=500, json={"error": "oops"}))
    send_login(page, demo)
    expect(page.locator("#state")).to_contain_text("versucht es weiter")
    expect(page.get_by_role("alert").filter(has_text="Server antwortet mit 500")).to_be_visible()
    page.unroute_all()
    expect(page.locator("#state")).to_contain_text("Abgeglichen", timeout=PATIENCE)
    expect(page.locator("#notice")).to_be_hidden()


def test_a_refused_document_is_reported_and_the_servers_are_asked_for(page: Page, demo: Demo) -> None:
    log_in(page, demo)
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/kompass/_changes?" in request.url and "longpoll" not in request.url:
            asked.append(request.url)

    page.on("request", note)
    page.evaluate("new PouchDB('kompass-adm1').put({_id: 'supplier-none', type: 'supplier'})")
    expect(page.get_by_role("alert").filter(has_text="Vom Server abgelehnt")).to_be_visible()
    deadline = time.monotonic() + PATIENCE / 1000
    while not asked and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert asked
    expect(page.locator("#state")).to_contain_text("Abgeglichen")
    expect(page.get_by_role("alert").filter(has_text="Vom Server abgelehnt")).to_be_visible()


WAITS = """async () => {
  const { Replication } = await import("/app/replication.mjs");
  const attempts = [];
  class Attempt extends EventTarget {
    on(event, handle) { this.addEventListener(event, ({ detail }) => handle(detail)); }
    emit(event, detail) { this.dispatchEvent(new CustomEvent(event, { detail })); }
    cancel() { this.cancelled = true; }
  }
  const waits = [];
  const { setTimeout } = window;
  window.setTimeout = (action, wait) => waits.push(wait);
  const replication = new Replication(() => (attempts.push(new Attempt()), attempts.at(-1)), {});
  const fail = () => { attempts.at(-1).emit("error", { status: 503 }); dispatchEvent(new Event("online")); };
  replication.start();
  dispatchEvent(new Event("online"));
  const first = attempts.length;
  for (let count = 0; count < 12; count += 1) fail();
  attempts.at(-1).emit("paused");
  fail();
  attempts[0].emit("error", { status: 503 });
  const tried = attempts.length;
  replication.stop();
  dispatchEvent(new Event("online"));
  replication.again();
  window.setTimeout = setTimeout;
  return { waits, first, tried, after: attempts.length, cancelled: attempts.every((each) => each.cancelled) };
}"""


def test_waits_grow_within_bounds_and_end_when_the_network_is_back(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}app/")
    seen = page.evaluate(WAITS)
    *growing, afterwards = seen["waits"]
    for number, wait in enumerate(growing):
        longest = min(30_000, 1_000 * 2**number)
        assert longest / 2 <= wait <= longest
    assert afterwards <= 1_000
    assert (seen["first"], seen["tried"], seen["after"]) == (1, 14, 14)
    assert seen["cancelled"]
