"""What people notice: a task is assigned and becomes due, with the whole product and a real mail server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiosmtpd.controller import Controller

from kompass.jobs.judging import ZONE
from tests.needs import require
from tests.servers import free_port
from tests.serving import ADMIN, Serving, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TASK = "user-task-11111111-1111-4111-8111-111111111111"
AT = "2026-03-08T10:00:00.000Z"


class Box:
    def __init__(self) -> None:
        self.got: list[Message] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.got.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"

    def subjects(self) -> list[str]:
        return sorted(str(one["Subject"]) for one in self.got)


@pytest.fixture
def box() -> Iterator[tuple[Box, int]]:
    one, port = Box(), free_port()
    controller = Controller(one, hostname="127.0.0.1", port=port)
    controller.start()
    yield one, port
    controller.stop()


@pytest.fixture
def server(tmp_path: Path, box: tuple[Box, int]) -> Iterator[Serving]:
    require("redis")
    one = Serving(
        tmp_path / "data",
        KOMPASS_MAIL_SERVER=f"smtp://127.0.0.1:{box[1]}",
        KOMPASS_MAIL_FROM="KOMPASS <kompass@example.com>",
        KOMPASS_VECTORS="false",
        KOMPASS_READSTORE="false",
    )
    one.start()
    try:
        yield one
    finally:
        one.stop()


def ask(server: Serving, method: str, path: str, body: Any = None, who: tuple[str, str] = ADMIN) -> Any:
    answer = httpx.request(method, f"{server.url}{path}", json=body, auth=who, timeout=30)
    assert answer.status_code < 300, f"{method} {path}: {answer.text}"
    return answer.json() if answer.content else None


def test_a_task_is_mailed_when_it_is_assigned_and_when_it_is_due(
    server: Serving, box: tuple[Box, int]
) -> None:
    until(server.following, 60, server.told)
    for name, role in (("adm1", "ADM"), ("gf1", "GF")):
        user = {"name": name, "password": "pw", "roles": [role], "type": "user", "active": True}
        ask(server, "PUT", f"/_users/org.couchdb.user:{name}", user)
        ask(server, "GET", "/kompass", who=(name, "pw"))
    person = ask(server, "GET", "/kompass/user-adm1")
    ask(server, "PUT", "/kompass/user-adm1", {**person, "email": "anna@example.com", "displayName": "Anna"})
    now = datetime.now(ZONE)
    # The day before it is due began at eight, within the last 24 hours.
    due = now.date() + timedelta(days=1 if now.hour >= 8 else 0)
    task = {
        "type": "user_task", "title": "Regal prüfen", "status": "open", "dueDate": due.isoformat(),
        "assignedTo": "adm1", "createdBy": "gf1", "createdAt": AT, "modifiedBy": "gf1", "modifiedAt": AT,
        "version": 1,
    }  # fmt: skip
    ask(server, "PUT", f"/kompass/{TASK}", task, ("gf1", "pw"))
    expected = ["Eine Aufgabe ist fällig: Regal prüfen", "Eine Aufgabe wurde Ihnen zugewiesen: Regal prüfen"]
    until(lambda: box[0].subjects() == expected, 60, lambda: f"{box[0].subjects()} {server.told()}")
    assert {one["To"] for one in box[0].got} == {"anna@example.com"}

    def told() -> list[str]:
        rows = ask(
            server,
            "GET",
            '/kompass/_all_docs?include_docs=true&startkey="notification-"&endkey="notification."',
            who=("adm1", "pw"),
        )
        return sorted(row["doc"]["notificationType"] for row in rows["rows"])

    # The assignment with the change itself, the reminder as a job.
    until(lambda: told() == ["ASSIGNMENT", "REMINDER"], 30, lambda: f"{told()} {server.told()}")
    done = ask(server, "GET", f"/kompass/{TASK}", who=("adm1", "pw"))
    ask(
        server,
        "PUT",
        f"/kompass/{TASK}",
        {**done, "status": "completed", "modifiedBy": "adm1"},
        ("adm1", "pw"),
    )

    def planned() -> list[str]:
        jobs = ask(server, "GET", "/api/v1/jobs?state=planned")["jobs"]
        return [one["trigger"] for one in jobs if one["doc"] == TASK]

    until(lambda: planned() == [], 30, lambda: str(planned()))
    alert = {
        "type": "notification", "recipientId": "adm1", "notificationType": "SYSTEM", "isRead": False,
        "documentType": "lexware", "title": "3 Dateien warten", "createdBy": "kompass", "createdAt": AT,
        "modifiedBy": "kompass", "modifiedAt": AT, "version": 1,
    }  # fmt: skip
    for more in ({**alert, "documentType": "offer"}, alert):
        ask(server, "PUT", f"/kompass/notification-{uuid4()}", more)
    expected = ["Der Austausch mit Lexware braucht jemanden: 3 Dateien warten", *expected]
    until(lambda: box[0].subjects() == expected, 60, lambda: f"{box[0].subjects()} {server.told()}")
