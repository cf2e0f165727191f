"""Jobs with a real Redis and RQ, and a server and receivers that remember what they were asked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rq import Queue
from rq.job import Job as RqJob
from rq.serializers import JSONSerializer

from kompass.jobs import receivers
from kompass.jobs.acting import Means
from kompass.jobs.dispatching import Dispatcher
from kompass.jobs.judging import DOCUMENTS, QUEUES, Job, job_id
from kompass.jobs.queues import PREFIX, Queues, connect
from kompass.jobs.service import Receiver, RefusedError, ServerUnavailableError, View
from kompass.jobs.store import JobState, JobStore
from kompass.jobs.working import work

NOW = 2_500_000_000.0
"""Later than the clock of this machine, which is what the file notes changes by."""
OFFER = {
    "_id": "offer-1",
    "_rev": "2-a",
    "type": "offer",
    "status": "accepted",
    "opportunityId": "opportunity-1",
}


class Documents:
    """What a job sees of the server."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {
            "offer-1": dict(OFFER),
            "opportunity-1": {"_id": "opportunity-1", "type": "opportunity", "owner": "adm1"},
        }
        self.written: dict[str, dict[str, Any]] = {}
        self.down = False
        self.fails: Exception | None = None

    def document(self, docid: str) -> Mapping[str, Any] | None:
        if self.down:
            raise ServerUnavailableError("it is down")
        if self.fails is not None:
            raise self.fails
        return self.documents.get(docid)

    def view(self, person: str, docids: Any) -> View | None:
        return View(True, f"{person}@example.com", person, {each: self.documents[each] for each in docids})

    def people(self, role: str) -> list[str]:
        return [f"{role.lower()}1"]

    def receiver(self, name: str) -> Receiver | None:
        return Receiver("http://x/", receivers.new_secret(), ["status"], "innen1")

    def write(self, docid: str, body: Mapping[str, Any]) -> bool:
        if body.get("recipientId") == "nobody":
            raise RefusedError("he may not read it")
        new = docid not in self.written
        self.written[docid] = dict(body)
        return new


class World:
    def __init__(self, data: Path, url: str) -> None:
        self.store = JobStore(data)
        with self.store.writing() as connection:
            connection.execute("INSERT INTO generations VALUES (1, 1, 'e', '1', 1, 0)")
        self.url = url
        self.clock = NOW
        self.server = Documents()
        self.calls: list[str] = []
        self.answer: Mapping[str, Any] = {"status": 200, "milliseconds": 1, "error": ""}
        self.queues = Queues(connect(url))
        self.dispatcher = self.another()

    def another(self) -> Dispatcher:
        """As after a restart."""
        return Dispatcher(self.store, Queues(connect(self.url)), now=lambda: self.clock)

    def add(
        self,
        number: int = 1,
        *,
        action: str = "notify",
        queue: str = DOCUMENTS,
        due: float = NOW,
        doc: str = "offer-1",
    ) -> str:
        self.server.documents.setdefault(doc, {**OFFER, "_id": doc})
        job = Job(job_id(str(number), action), "offer.accepted", action, queue, doc, "2-a", due)
        with self.store.writing() as connection:
            self.store.add(connection, [job], NOW)
        return job.id

    def waiting(self) -> dict[str, int]:
        """Queue -> jobs that no worker has taken."""
        return {name: sum(len(bundle) for bundle in self.bundles(name)) for name in QUEUES}

    def bundles(self, queue: str) -> list[list[str]]:
        """Ids of the jobs that no worker has taken, as they go together."""
        with connect(self.url) as connection:
            ids = Queue(PREFIX + queue, connection=connection).get_job_ids()
            found = RqJob.fetch_many(ids, connection=connection, serializer=JSONSerializer)
            return [[str(work["id"]) for work in one.args[0]] for one in found if one is not None]

    def turn(self) -> None:
        """Looks at everything, as after a while."""
        self.dispatcher._collected = self.dispatcher._audited = self.dispatcher._scheduled = -1e9
        self.dispatcher.turn()

    def work(self, name: str = "one") -> None:
        def call(receiver: Receiver, bodies: Mapping[str, bytes]) -> Mapping[str, Mapping[str, Any]]:
            self.calls += bodies
            return dict.fromkeys(bodies, self.answer)

        work(self.url, f"{name}.{time.monotonic_ns()}", Means(self.server, None, call), burst=True)

    def state(self, jobid: str) -> JobState:
        entry = self.store.entry(jobid)
        assert entry is not None
        return entry.state
