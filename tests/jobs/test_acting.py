"""What a job does, whom it concerns, and when it is needless."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from kompass.access.services import decide
from kompass.jobs.acting import Means, Work, act
from kompass.jobs.letters import Letter
from kompass.jobs.outcomes import NeverError
from kompass.jobs.service import Receiver, RefusedError, View
from kompass.sync.gate.shape import misnamed

NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
DOCUMENTS: Mapping[str, dict[str, Any]] = {
    "opportunity-1": {"type": "opportunity", "owner": "adm1"},
    "customer-1": {"type": "customer", "owner": "adm2"},
    "project-1": {"type": "project", "projectManagerId": "plan1"},
    "offer-1": {
        "type": "offer", "status": "sent", "offerNumber": "A-2026-00001", "opportunityId": "opportunity-1",
        "customerId": "customer-1", "modifiedBy": "innen1", "totalEur": 11900,
    },
    "invoice-1": {"type": "invoice", "status": "sent", "invoiceNumber": "R-1", "dueDate": "2026-03-01"},
    "user-task-1": {"type": "user_task", "status": "open", "assignedTo": "adm1", "title": "Regal prüfen"},
    "project-task-1": {"type": "project_task", "status": "blocked", "projectId": "project-1"},
}  # fmt: skip


class Server:
    def __init__(self, **changed: dict[str, Any]) -> None:
        self.documents = {
            docid: {"_id": docid, "_rev": "3-c", **doc, **changed.get(docid.replace("-", "_"), {})}
            for docid, doc in DOCUMENTS.items()
        }
        self.readers: dict[str, set[str]] = {}
        self.roles = {"BUCH": ["buch1", "buch2"], "GF": ["gf1"]}
        self.written: dict[str, dict[str, Any]] = {}
        self.refuses: set[str] = set()

    def document(self, docid: str) -> Mapping[str, Any] | None:
        return self.documents.get(docid)

    def view(self, person: str, docids: Sequence[str]) -> View | None:
        seen = self.readers.get(person, set(self.documents))
        documents = {each: self.documents[each] for each in docids if each in seen}
        return View(True, f"{person}@example.com", person.title(), documents)

    def people(self, role: str) -> list[str]:
        return self.roles[role]

    def receiver(self, name: str) -> Receiver | None:
        return (
            Receiver("https://x/", "", ["status", "customerId", "nothing"], "innen1")
            if name == "n8n"
            else None
        )

    def write(self, docid: str, body: Mapping[str, Any]) -> bool:
        assert decide({**body, "_id": docid}).allowed
        assert misnamed(docid, body) is None
        if str(body.get("recipientId") or body.get("assignedTo")) in self.refuses:
            raise RefusedError("no")
        new = docid not in self.written
        self.written[docid] = dict(body)
        return new


class Told:
    def __init__(self, server: Server | None = None) -> None:
        self.server = server or Server()
        self.letters: list[tuple[Letter, str]] = []
        self.calls: list[dict[str, Any]] = []
        self.answer: Mapping[str, Any] = {"status": 200, "milliseconds": 1, "error": ""}

    def act(self, trigger: str, action: str, doc: str, **args: Any) -> dict[str, Any]:
        def call(receiver: Receiver, bodies: Mapping[str, bytes]) -> Mapping[str, Mapping[str, Any]]:
            self.calls += map(json.loads, bodies.values())
            return dict.fromkeys(bodies, self.answer)

        means = Means(
            self.server, lambda letter, ident: self.letters.append((letter, ident)), call, lambda: NOW
        )
        return act([Work("job-1", trigger, action, doc, "2-b", args, 1, 1_773_000_000.0)], means)["job-1"]

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(one["recipientId"], one["notificationType"]) for one in self.server.written.values()]


@pytest.mark.parametrize(
    ("trigger", "doc", "told"),
    [
        ("offer.follow_up", "offer-1", [("adm1", "REMINDER")]),
        ("invoice.dunning", "invoice-1", [("buch1", "DEADLINE"), ("buch2", "DEADLINE")]),
        ("invoice.escalation", "invoice-1", [("gf1", "DEADLINE")]),
        ("user_task.due", "user-task-1", [("adm1", "REMINDER")]),
        ("project_task.blocked", "project-task-1", [("plan1", "SYSTEM")]),
    ],
)
def test_who_is_notified(trigger: str, doc: str, told: list[tuple[str, str]]) -> None:
    one = Told()
    for _ in range(2):
        assert one.act(trigger, "notify", doc)["outcome"] == "done"
    assert one.told == told
    for body in one.server.written.values():
        assert body["documentId"] == doc
        assert not set(body) & {"message", "offerNumber"}


def test_the_next_one_is_asked_where_the_first_is_not_there() -> None:
    one = Told(Server(opportunity_1={"owner": None}))
    one.act("offer.follow_up", "notify", "offer-1")
    assert one.told == [("adm2", "REMINDER")]


@pytest.mark.parametrize("changed", [{"status": "accepted"}, {"type": "zukunft"}, {"status": ["sent"]}])
def test_what_is_no_longer_so_needs_nothing(changed: dict[str, Any]) -> None:
    one = Told(Server(offer_1=changed))
    for action in ("notify", "mail1"):
        assert one.act("offer.follow_up", action, "offer-1")["outcome"] == "needless"
    assert one.act("offer.follow_up_task", "task", "offer-1")["outcome"] == "needless"
    assert one.act("offer.follow_up", "notify", "offer-2")["outcome"] == "needless"
    assert one.act("offer.no_such", "notify", "offer-1")["outcome"] == "needless"
    assert one.act("offer.follow_up", "task7", "offer-1")["outcome"] == "needless"
    assert one.server.written == {}


def test_nobody_is_told_of_what_he_did_himself_but_of_what_is_due() -> None:
    one = Told(Server(offer_1={"status": "accepted", "modifiedBy": "adm1"}))
    assert one.act("offer.accepted", "notify", "offer-1")["outcome"] == "done"
    assert one.told == []
    one = Told(Server(offer_1={"modifiedBy": "adm1"}))
    one.act("offer.follow_up", "notify", "offer-1")
    assert one.told == [("adm1", "REMINDER")]


def test_who_may_not_read_it_is_passed_over() -> None:
    one = Told()
    one.server.refuses = {"buch1"}
    assert one.act("invoice.dunning", "notify", "invoice-1") == {
        "outcome": "done",
        "reason": "1 written, 1 refused",
    }


def test_a_task_is_made_for_the_seller() -> None:
    one = Told()
    assert one.act("offer.follow_up_task", "task", "offer-1")["outcome"] == "done"
    (body,) = one.server.written.values()
    assert body["title"] == "Angebot nachfassen A-2026-00001"
    assert (body["assignedTo"], body["dueDate"]) == ("adm1", "2026-03-12")
    assert (body["relatedCustomerId"], body["relatedOpportunityId"]) == ("customer-1", "opportunity-1")
    one = Told()
    one.server.refuses = {"adm1"}
    with pytest.raises(NeverError):
        one.act("offer.follow_up_task", "task", "offer-1")
    one = Told()
    one.server.readers["adm1"] = {"customer-1", "opportunity-1"}
    assert one.act("offer.follow_up_task", "task", "offer-1")["outcome"] == "needless"
    assert one.server.written == {}, "the title would say the number of an offer that he may not read"


def test_a_mail_says_what_its_receiver_may_read() -> None:
    one = Told()
    (more,) = one.act("offer.follow_up", "mail1", "offer-1")["more"]
    assert (more["action"], more["queue"], more["args"]) == ("mail1@adm1", "mails", {"person": "adm1"})
    assert one.letters == []
    assert one.act("offer.follow_up", more["action"], "offer-1", **more["args"])["outcome"] == "done"
    ((letter, ident),) = one.letters
    assert (letter.to, ident) == ("adm1@example.com", "job-1")
    assert letter.subject == "Ein Angebot wartet auf Antwort: A-2026-00001"
    assert "11900" not in letter.text
    one.server.readers = {"adm1": set()}
    told = one.act("offer.follow_up", more["action"], "offer-1", **more["args"])
    assert told == {"outcome": "needless", "reason": "the person may not read the document"}
    assert len(one.letters) == 1


def test_a_webhook_gets_the_fields_it_names_as_its_person_reads_them() -> None:
    one = Told()
    assert one.act("offer.sent", "webhook:n8n", "offer-1")["outcome"] == "done"
    assert one.calls == [
        {
            "event_type": "offer.sent",
            "payload": {
                "id": "offer-1", "type": "offer", "rev": "3-c", "status": "sent", "customerId": "customer-1",
            },
            "timestamp": "2026-03-08T20:00:00.000Z",
            "user_id": "innen1",
        }
    ]  # fmt: skip
    one.server.readers = {"innen1": set()}
    assert one.act("offer.updated", "webhook:n8n", "offer-1")["outcome"] == "needless"
    assert one.act("offer.sent", "webhook:gone", "offer-1")["outcome"] == "needless"
    assert len(one.calls) == 1
    assert one.act("offer.deleted", "webhook:n8n", "offer-9")["outcome"] == "done"
    assert one.calls[1]["payload"] == {"id": "offer-9", "type": "offer", "rev": "2-b"}
    assert one.act("schedule.daily", "webhook:n8n", "", at=1_773_040_000.0)["outcome"] == "done"
    assert (one.calls[2]["payload"], one.calls[2]["timestamp"]) == ({}, "2026-03-09T07:06:40.000Z")


@pytest.mark.parametrize(("never", "outcome"), [(False, "again"), (True, "never")])
def test_a_call_that_fails(never: bool, outcome: str) -> None:
    one = Told()
    one.answer = {
        "status": 500,
        "milliseconds": 1,
        "error": "it answers 500",
        **({"never": True} if never else {}),
    }
    told = one.act("offer.sent", "webhook:n8n", "offer-1")
    assert (told["outcome"], told["reason"]) == (outcome, "it answers 500")
    assert told["delivery"]["status"] == 500


@pytest.mark.parametrize("value", [None, 7, [], {}, ["x"], "", "\x00", "x" * 100_000, "\ud800", True])
def test_documents_that_say_anything(value: Any) -> None:
    names = ("opportunityId", "customerId", "createdBy", "offerNumber", "modifiedBy", "title", "owner")
    changed = dict.fromkeys(names, value)
    one = Told(Server(offer_1=changed, opportunity_1=changed, customer_1=changed))
    for trigger, action in (
        ("offer.follow_up", "notify"),
        ("offer.follow_up", "mail1"),
        ("offer.follow_up_task", "task"),
    ):
        assert one.act(trigger, action, "offer-1")["outcome"] in ("done", "needless")
    assert one.act("offer.follow_up", "mail1@x", "offer-1", person="adm1")["outcome"] == "done"
