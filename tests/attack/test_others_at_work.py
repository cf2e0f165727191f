"""What happens to documents that somebody may not see changes no answer to him, whatever he asks.

But for numbers of sequences: gaps in them show that something happens elsewhere.
"""

from __future__ import annotations

import re

import pytest

from kompass.sync.opening import DATABASE
from tests.attack.api_asks import FOR_API, OWN
from tests.attack.asking import Target
from tests.attack.couchdb_asks import FOR
from tests.attack.test_every_endpoint import UNEQUAL, answer_to, own
from tests.attack.world import ANONYMOUS, World, whole

ALL = {**FOR, **{f"api{path}": asks for path, asks in FOR_API.items()}, **OWN}

NUMBERS = re.compile(
    rb'etag: "[0-9a-f]{32}"|\b\d+(?::\d+)?-[0-9a-f]{12}\b|"(?:_local_seq|pending)":\d+|content-length: \d+'
)

EVERY_TIME = {"_uuids", "_design/{d}/_update", "api/session", "api/devices"}
"""What is another each time, or has chance or times inside."""

AUDIT = {"api/audit", "api/audit/export", "api/audit/verification"}
JOBS = {endpoint for endpoint in ALL if endpoint.startswith("api/jobs")}
WATCHED = {"gf1": AUDIT, "admin1": AUDIT | JOBS}
"""Where somebody reads what others do: management all of the chain, administration its outline, and what jobs
there are."""


async def answers(world: World, name: str) -> dict[str, bytes]:
    one = Target("expense-5f0c8a66-2a3f-4a1e-9a55-0123456789ab", own=own(world, name))
    found = {}
    for endpoint, asks in ALL.items():
        if endpoint in EVERY_TIME | WATCHED.get(name, set()):
            continue
        for ask in asks(one):
            # Positions given as plain numbers are another place once there is more behind them.
            if not ask.changes and "since=" not in ask.path:
                found[str(ask)] = NUMBERS.sub(b"", UNEQUAL.sub(b"", whole(await answer_to(world, name, ask))))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["adm1", "plan1", "gf1", "admin1", "niemand", ANONYMOUS], ids=lambda name: name or "anonymous"
)
async def test_others_at_work_change_no_answer(changing: World, name: str) -> None:
    admin = await changing.admin()
    hidden = [
        docid
        for docid in changing.secrets_of(name)
        if changing.documents[docid]["type"]
        in ("notification", "user_task", "activity", "calendar_subscription")
    ]
    before = await answers(changing, name)
    for place, docid in enumerate(hidden):
        doc = changing.documents[docid]
        copy = {key: value for key, value in doc.items() if key[:1] != "_"}
        path = f"/{DATABASE}/{docid[:-12]}{0xABCDEF000000 + place:x}"
        (await admin.put(path, json={**copy, "notes": "new"})).raise_for_status()
        (await admin.put(f"/{DATABASE}/{docid}", json={**doc, "notes": "changed"})).raise_for_status()
    rev = (await admin.get(f"/{DATABASE}/{hidden[0]}")).json()["_rev"]
    (await admin.delete(f"/{DATABASE}/{hidden[0]}", params={"rev": rev})).raise_for_status()
    after = await answers(changing, name)
    assert {ask: text for ask, text in after.items() if before[ask] != text} == {}
