"""Everything a curious person can ask the server about a document, whose id and revisions he knows.

The answers are searched for what he may not know by whoever sends the requests.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import orjson

from replication.protocol.revisions import format_rev
from tests.sync.promises.company import Company
from tests.sync.promises.device import BrokenPromiseError

Probe = Callable[[Company, str, str, int], Awaitable[None]]


_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


async def _revisions(company: Company, docid: str) -> list[str]:
    with company.database.reading() as reading:
        state = reading.revisions(docid)
        return [] if state is None else [format_rev(rev) for rev in sorted(state.tree)]


def _get(*parameters: str) -> Probe:
    async def probe(company: Company, user: str, docid: str, more: int) -> None:
        revs = await _revisions(company, docid) or ["1-0"]
        chosen = [revs[(more + step) % len(revs)] for step in range(min(3, len(revs)))]
        listed = quote(orjson.dumps(revs).decode())
        for query in parameters:
            for rev in chosen if "{rev}" in query else chosen[:1]:
                await company.request(user, "GET", f"{docid}?{query.format(rev=rev, revs=listed)}")

    return probe


async def _bulk_get(company: Company, user: str, docid: str, more: int) -> None:
    revs: list[str | None] = [None, *await _revisions(company, docid)]
    wanted = [{"id": docid} if rev is None else {"id": docid, "rev": rev} for rev in revs]
    query = ("revs=true&latest=true&attachments=true", "revs=true", "attachments=true", "latest=true")[
        more % 4
    ]
    accept = "multipart/mixed" if more % 3 == 0 else "application/json"
    await company.request(user, "POST", f"_bulk_get?{query}", {"docs": wanted}, accept=accept)


async def _all_docs(company: Company, user: str, docid: str, more: int) -> None:
    """What is listed with documents is exactly what he may see."""
    query = "include_docs=true&attachments=true&conflicts=true"
    if more % 3 == 0:
        await company.request(user, "POST", f"_all_docs?{query}", {"keys": [docid]})
        return
    if more % 3 == 1:
        query += f"&start_key=%22{docid}%22&limit=5&descending=true&update_seq=true"
        await company.request(user, "GET", f"_all_docs?{query}")
        return
    answer = await company.request(user, "GET", f"_all_docs?{query}")
    if answer.status_code == 200:
        listed = {row["id"] for row in answer.json()["rows"]} - {"_design/kompass"}
        if listed != company.oracle.may_see[user]:
            raise BrokenPromiseError(f"{user} is listed {listed ^ company.oracle.may_see[user]} wrongly")


async def _find(company: Company, user: str, docid: str, more: int) -> None:
    doc = company.oracle.world.get(docid, {})
    selectors: list[dict[str, Any]] = [
        {"_id": {"$gte": ""}},
        {"notes": doc.get("notes", "x")},
        {"type": doc.get("type", "x")},
        {"notes": {"$regex": "^zq"}},
    ]
    body = {"selector": selectors[more % len(selectors)], "limit": 200, "conflicts": True}
    await company.request(user, "POST", "_explain" if more % 5 == 0 else "_find", body)


async def _changes(company: Company, user: str, docid: str, more: int) -> None:
    queries = (
        "include_docs=true&attachments=true&conflicts=true&style=all_docs",
        "include_docs=true&descending=true&limit=20",
        "since=0&limit=0",
        "feed=longpoll&include_docs=true&timeout=1",
        "feed=continuous&include_docs=true&timeout=1&heartbeat=false",
        "feed=eventsource&include_docs=true&timeout=1",
        "feed=longpoll&since=now&timeout=1",
        "att_encoding_info=true&include_docs=true&since=5",
        "last-event-id=3&include_docs=true",
    )
    await company.request(user, "GET", f"_changes?{queries[more % len(queries)]}")


async def _filtered_changes(company: Company, user: str, docid: str, more: int) -> None:
    if more % 2:
        body: dict[str, Any] = {"doc_ids": [docid]}
        path = "_changes?filter=_doc_ids&include_docs=true&style=all_docs"
    else:
        body = {"selector": {"_id": docid}}
        path = "_changes?filter=_selector&include_docs=true&style=all_docs"
    await company.request(user, "POST", path, body)


async def _attachments(company: Company, user: str, docid: str, more: int) -> None:
    name = ("plan.bin", "photo.bin")[more % 2]
    revs = await _revisions(company, docid)
    query = f"?rev={revs[more % len(revs)]}" if revs and more % 3 else ""
    headers = {"range": "bytes=0-100"} if more % 4 == 3 else {}
    method = "HEAD" if more % 5 == 4 else "GET"
    await company.request(user, method, f"{docid}/{name}{query}", **headers)


async def _comparing(company: Company, user: str, docid: str, more: int) -> None:
    revs = await _revisions(company, docid)
    path = ("_revs_diff", "_missing_revs")[more % 2]
    await company.request(user, "POST", path, {docid: [*revs, f"9-{more:032x}"]})


async def _view(company: Company, user: str, docid: str, more: int) -> None:
    queries = (
        "include_docs=true",
        "",
        "key=%22customer%22&include_docs=true",
        "include_docs=true&conflicts=true&descending=true&limit=10",
        "update_seq=true&stable=true&update=lazy",
    )
    await company.request(user, "GET", f"_design/kompass/_view/notes?{queries[more % len(queries)]}")


async def _elsewhere(company: Company, user: str, docid: str, more: int) -> None:
    paths = (
        "/kompass-quarantine/_all_docs?include_docs=true",
        "/kompass-quarantine/_changes?include_docs=true&since=0",
        "/kompass/_local_docs?include_docs=true",
        "/kompass/_design_docs?include_docs=true",
        "/kompass/_security",
        "/kompass/_design/kompass/_info",
        "/kompass/_shards",
        "/kompass/_purged_infos",
        "/_users/_all_docs?include_docs=true",
        "/_users/_changes?include_docs=true",
        "/_all_dbs",
        "/_db_updates?timeout=1",
        "/_active_tasks",
        "/_scheduler/docs",
        "/_replicator/_all_docs?include_docs=true",
        f"/kompass/_local/{docid}",
        f"/kompass/{docid}/_shards",
    )
    await company.request(user, "GET", paths[more % len(paths)], database="")


async def _writing(company: Company, user: str, docid: str, more: int) -> None:
    """Refusals tell nothing, either; what they write is dropped again by the rest of the program or stays."""
    rev = company.oracle.winners.get(docid, "1-00000000000000000000000000000000")
    match more % 6:
        case 0:
            await company.request(user, "PUT", docid, {"type": "contact", "notes": "x"})
        case 1:
            await company.request(user, "PUT", docid, {"_rev": rev, "type": "contact", "notes": "x"})
        case 2:
            await company.request(user, "COPY", docid, destination=company.new_id("contact"))
        case 3:
            body = {
                "docs": [{"_id": docid, "type": "contact"}, {"_id": docid, "_rev": rev, "_deleted": True}]
            }
            await company.request(user, "POST", "_bulk_docs?all_or_nothing=true", body)
        case 4:
            stub = {"plan.bin": {"stub": True, "digest": "md5-AAAAAAAAAAAAAAAAAAAAAA==", "revpos": 1}}
            fresh = company.new_id("contact")
            await company.request(user, "PUT", fresh, {"type": "contact", "_attachments": stub})
        case 5:
            await company.request(user, "POST", "_purge", {docid: [rev]})


async def _existence(company: Company, user: str, docid: str, more: int) -> None:
    """What he never heard of is answered like what isn't there."""
    heard = company.oracle.heard_of[user]
    unheard = sorted(one for one in company.oracle.world if _UUID.search(one) and one.encode() not in heard)
    if not unheard:
        return
    docid = unheard[more % len(unheard)]
    # Another id of the same type: what an id may look like is no secret.
    nowhere = _UUID.sub(company.new_id("contact").removeprefix("contact-"), docid)
    rev = company.oracle.winners[docid]
    requests: list[tuple[str, str, Any]] = [
        ("GET", "{}", None),
        ("GET", f"{{}}?rev={rev}", None),
        ("GET", "{}?open_revs=all", None),
        ("HEAD", "{}", None),
        ("GET", "{}/plan.bin", None),
        ("DELETE", f"{{}}?rev={rev}", None),
        ("PUT", f"{{}}?rev={rev}", {"type": "contact"}),
        ("PUT", "{}", {"type": "contact"}),
        ("POST", "_bulk_get", {"docs": [{"id": "{}"}]}),
        ("POST", "_all_docs", {"keys": ["{}"]}),
    ]
    for method, path, body in requests:
        answers = []
        for one in (docid, nowhere):
            text = orjson.dumps(body).decode().replace("{}", one)
            company.oracle.heard_of[user] = set(heard)
            answer = await company.request(user, method, path.replace("{}", one), orjson.loads(text))
            answers.append((answer.status_code, answer.text.replace(one, "")))
        company.oracle.heard_of[user] = heard
        if answers[0] != answers[1]:
            raise BrokenPromiseError(f"{user} can tell that {docid} exists by {method} {path}: {answers}")


PROBES: tuple[Probe, ...] = (
    _get(
        "",
        "revs_info=true",
        "conflicts=true&deleted_conflicts=true&meta=true",
        "attachments=true",
        "local_seq=true",
    ),
    _get("rev={rev}", "rev={rev}&revs=true&attachments=true", "rev={rev}&latest=true"),
    _get("open_revs=all&revs=true", "open_revs={revs}", "open_revs={revs}&latest=true&attachments=true"),
    _bulk_get,
    _all_docs,
    _find,
    _changes,
    _filtered_changes,
    _attachments,
    _comparing,
    _view,
    _elsewhere,
    _writing,
    _existence,
)
