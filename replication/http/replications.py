"""Replications that the server runs: `_replicate`, `_scheduler/jobs` and `_scheduler/docs`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from starlette.responses import Response

from replication.http import params
from replication.http.call import Call
from replication.http.responses import json_response
from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.replicator.failures import ReplicationError
from replication.replicator.jobs import STATES, Job, answer_status
from replication.replicator.options import parse

DEFAULT_LIMIT = 25


async def replicate(call: Call) -> Response:
    """`POST /_replicate`: replicates and answers what was done; begins or ends a continuous replication."""
    call.require_json()
    body = await call.json_object()
    jobs = call.server.jobs
    try:
        if body.get("cancel") is True:
            return await _cancel(call, body)
        description = parse(body)
        if description.options.continuous:
            job = await jobs.continuously(description, call.principal.name)
            return json_response({"ok": True, "_local_id": job.id}, 202)
        result = await jobs.once(description, call.principal.name)
    except ReplicationError as error:
        raise _refusal(error) from None
    return json_response(result.members(with_times=description.options.feed.doc_ids is not None))


def _refusal(error: ReplicationError) -> ProtocolError:
    return ProtocolError(answer_status(error), error.kind, str(error))


async def _cancel(call: Call, body: dict[str, Any]) -> Response:
    jobs = call.server.jobs
    job_id = body.get("replication_id", body.get("id", body.get("_local_id")))
    if job_id is None:
        job_id = await jobs.find_id(parse(body))
    job = jobs.find(job_id) if isinstance(job_id, str) else None
    if job is None or job.doc_id is not None:
        # What a document describes ends with the document.
        raise errors.missing()
    await jobs.cancel(job)
    return json_response({"ok": True, "_local_id": job_id})


async def scheduler(call: Call) -> Response:
    """`GET /_scheduler/jobs[/{id}]` and `GET /_scheduler/docs[/{db}[/{id}]]`."""
    match call.segments[1:]:
        case ["jobs"]:
            return _listing(call, call.server.jobs.listed(), "jobs", Job.as_job)
        case ["jobs", job_id]:
            # A plus sign in a path stands for a blank, and people forget to write it as %2B.
            job = call.server.jobs.find(job_id.replace(" ", "+"))
            if job is None:
                raise errors.missing()
            return json_response(job.as_job())
        case ["docs"] | ["docs", "_replicator"]:
            return _documents(call)
        case ["docs", "_replicator", *rest]:
            found = call.server.replications.find("/".join(rest))
            if found is None:
                raise errors.missing()
            return json_response(found.as_document())
        case ["docs", *_]:
            raise errors.bad_request("Invalid path")
        case _:
            raise errors.not_found("missing")


def _documents(call: Call) -> Response:
    wanted = [state for state in call.query.get("states", "").strip("[]").split(",") if state]
    unknown = [state for state in wanted if state not in STATES]
    if unknown:
        raise errors.query_parse_error(
            f"Unknown states [{','.join(unknown)}]. Choose from: [{','.join(STATES)}]"
        )
    jobs = [job for job in call.server.replications.jobs() if not wanted or job.state in wanted]
    return _listing(call, jobs, "docs", Job.as_document)


def _listing(call: Call, jobs: Sequence[Job], member: str, row: Callable[[Job], dict[str, Any]]) -> Response:
    skip = params.natural(call.query, "skip", 0) or 0
    limit = params.natural(call.query, "limit", DEFAULT_LIMIT)
    chosen = jobs[skip:] if limit is None else jobs[skip : skip + limit]
    return json_response(
        {"total_rows": len(jobs), "offset": min(skip, len(jobs)), member: [row(job) for job in chosen]}
    )
