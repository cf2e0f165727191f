"""Nobody is answered what he may not read, by any endpoint, however he asks."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import httpx
import pytest
from starlette.routing import Route

from kompass.api.resources import RESOURCES
from tests.attack.api_asks import FOR_API, OWN
from tests.attack.asking import Ask, Asks, Target
from tests.attack.couchdb_asks import FOR
from tests.attack.document_asks import FOR_DOCUMENTS, pattern
from tests.attack.world import EVERYBODY, PEOPLE, World, said, whole
from tests.sync.personal.test_endpoints import existing

ALL = {**FOR, **{f"api{path}": asks for path, asks in FOR_API.items()}, **OWN}
SOME = (
    "customer_finance",
    "project_competitor",
    "activity",
    "user_task",
    "notification",
    "expense",
    "contact",
)
"""Types whose documents are asked for one by one. What is listed or counted is looked at for all."""


def test_every_route_is_attacked() -> None:
    assert FOR.keys() == existing().keys()
    routes = [route for resource in RESOURCES for route in resource]
    assert FOR_API.keys() == {pattern(route.path) for route in routes if isinstance(route, Route)}


def target(world: World, name: str, docid: str) -> Target:
    doc = world.documents[docid]
    attached = doc.get("_attachments", {}).get("secret.txt", {})
    return Target(
        docid,
        doc["_rev"],
        digest=attached.get("digest", Target.digest),
        own=own(world, name),
        user=next(other for other in PEOPLE if other != name),
    )


def own(world: World, name: str) -> str:
    return min(world.truths[name].readable, default="contact-none")


def neighbour(world: World, docid: str) -> str:
    """The id of a document that isn't there, with nothing in between."""
    other = docid[:-1] + next(digit for digit in "fedcba" if digit > docid[-1])
    assert not any(docid < each <= other for each in world.documents)
    return other


async def answer_to(world: World, name: str, ask: Ask) -> httpx.Response:
    client = await world.client(name)
    # Packed answers have lengths of their own.
    headers = {"accept-encoding": "identity", **ask.headers}
    if isinstance(ask.body, str):
        return await client.request(ask.method, ask.path, content=ask.body, headers=headers)
    if ask.body is None:
        return await client.request(ask.method, ask.path, headers=headers)
    return await client.request(ask.method, ask.path, json=ask.body, headers=headers)


def targets(world: World, name: str) -> list[Target]:
    hidden = [docid for docid in world.secrets_of(name) if world.documents[docid]["type"] in SOME]
    return [target(world, name, docid) for docid in hidden]


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("endpoint", ALL)
@pytest.mark.parametrize("name", EVERYBODY, ids=[name or "anonymous" for name in EVERYBODY])
async def test_nobody_reads_what_is_not_his(world: World, name: str, endpoint: str) -> None:
    asks: Callable[[Target], Asks] = ALL[endpoint]
    done: set[str] = set()
    for one in targets(world, name):
        for ask in asks(one):
            if ask.changes or str(ask) in done:
                continue
            done.add(str(ask))
            answer = await answer_to(world, name, ask)
            assert answer.status_code < 500 or answer.status_code in (501, 503), (str(ask), answer.text)
            found = world.leaks(name, whole(answer), said(answer.request))
            if endpoint.startswith("api/access/"):
                # Who administrates is told which documents there are and why, never what they say.
                found = [one for one in found if not one.startswith("that there is")]
            assert found == [], str(ask)


BY_DOCUMENT = (
    "{doc}",
    "{doc}/{attachment}",
    "_bulk_get",
    "_revs_diff",
    "_missing_revs",
    "_all_docs",
    "_all_docs/queries",
    "_changes",
    "_find",
    "_explain",
    "_shards",
    "_design/{d}/_view",
    "_design/{d}/_update",
    "_purge",
    "_bulk_docs",
    "api/quarantine/{id}",
    "api/devices/{id}",
    *(f"api{path}" for path in FOR_DOCUMENTS),
)


UNEQUAL = re.compile(
    rb'x-couch-request-id: \w+|"uuid":"\w+"|boundary="?\w+"?|--\w{32}|"execution_time_ms":[\d.e-]+'
    rb"|_export_[\d-]{10}_\d{4}\."
)


def comparable(answer: httpx.Response, one: Target) -> bytes:
    """An answer without what differs every time, and with the document's id and revision as names."""
    text = UNEQUAL.sub(b"", whole(answer))
    if b"execution_time_ms" in answer.content:
        text = re.sub(rb"content-length: \d+", b"", text)
    for value, instead in (
        (base64.b64encode(one.id.encode()), b"ID64"),
        (one.id.encode(), b"ID"),
        (one.rev.encode(), b"REV"),
        (one.digest.encode(), b"DIGEST"),
    ):
        text = text.replace(value, instead)
    return text


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("endpoint", BY_DOCUMENT)
@pytest.mark.parametrize("name", PEOPLE)
async def test_what_is_hidden_is_answered_like_what_is_not_there(
    world: World, name: str, endpoint: str
) -> None:
    """Also what would change something: it is refused in the same words, byte by byte."""
    for hidden in targets(world, name):
        unknown = Target(
            neighbour(world, hidden.id),
            f"{hidden.rev.partition('-')[0]}-{'a1' * 16}",
            digest="md5-BBBBBBBBBBBBBBBBBBBBBB==",
            own=hidden.own,
            user=hidden.user,
        )
        for there, not_there in zip(ALL[endpoint](hidden), ALL[endpoint](unknown), strict=True):
            if there == not_there:  # names neither
                continue
            found = await answer_to(world, name, there)
            missing = await answer_to(world, name, not_there)
            assert comparable(found, hidden) == comparable(missing, unknown), str(there)
