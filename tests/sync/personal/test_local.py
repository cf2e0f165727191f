"""Local documents: everybody has his own."""

from __future__ import annotations

import pytest

from kompass.sync.personal import local
from kompass.sync.personal.local import LocalNotes
from replication.store.values import KeyRange
from tests.sync.personal.world import World


async def test_everybody_has_his_own(world: World) -> None:
    ada, ben = world.client("ada"), world.client("ben")
    made = await ada.put("_local/x", json={"n": 1})
    assert (made.status_code, made.json()["rev"]) == (201, "0-1")
    assert (await ben.get("_local/x")).status_code == 404
    assert (await world.client("admin").get("_local/x")).status_code == 404
    assert (await ada.get("_local/x")).json() == {"_id": "_local/x", "_rev": "0-1", "n": 1}
    again = await ada.put("_local/x", json={"_rev": "0-1", "n": 2})
    assert (again.status_code, again.json()["rev"]) == (201, "0-2")
    assert (await ben.delete("_local/x")).status_code == 404
    assert (await ben.put("_local/x", json={"n": 3})).status_code == 201
    assert (await ada.get("_local/x")).json()["n"] == 2
    assert (await ada.delete("_local/x")).status_code == 200
    assert (await ada.get("_local/x")).status_code == 404
    assert (await ben.get("_local/x")).json()["n"] == 3


async def test_the_servers_own_are_nobodys(world: World) -> None:
    await world.database.put_local("marker", 0, b'{"secret":1}')
    for path in ("_local/marker", '_all_docs?keys=["_local/marker"]', "_local_docs"):
        assert "secret" not in (await world.client("ada").get(path, params={"include_docs": "true"})).text
    assert (await world.client("ada").put("_local/marker", json={})).status_code == 201
    found = await world.database.local("marker")
    assert found is not None
    assert b"secret" in found.text


async def test_they_are_listed(world: World) -> None:
    ada = world.client("ada")
    assert (await ada.get("_local_docs")).json()["rows"] == []
    for name in "abc":
        await ada.put(f"_local/{name}", json={})
    await world.client("ben").put("_local/d", json={})

    async def listed(**parameters: str) -> list[str]:
        rows = (await ada.get("_local_docs", params=parameters)).json()["rows"]
        return [row["id"].removeprefix("_local/") for row in rows]

    assert await listed() == ["a", "b", "c"]
    assert await listed(descending="true", limit="2") == ["c", "b"]
    assert await listed(start_key='"_local/b"') == ["b", "c"]
    assert await listed(end_key='"_local/b"', inclusive_end="false") == ["a"]
    assert await listed(skip="1", limit="1") == ["b"]


async def test_what_nobody_uses_goes_after_some_time(world: World) -> None:
    day = 1000
    notes = LocalNotes(world.database, lambda: day)
    for name in ("read", "written", "left"):
        await notes.put("ada", name, 0, b"{}")
    day += 60
    assert await notes.get("ada", "read") is not None
    await notes.put("ada", "written", 1, b"{}")
    day += local.KEPT_DAYS - 10
    await notes.put("ben", "other", 0, b"{}")
    assert await notes.get("ada", "left") is None
    assert await notes.get("ada", "read") is not None
    assert await notes.get("ada", "written") is not None
    day += local.KEPT_DAYS + 1
    assert await notes.expire() == 3


async def test_one_person_can_keep_so_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MOST", 3)
    day = 1000
    notes = LocalNotes(world.database, lambda: day)
    await notes.put("ben", "x", 0, b"{}")
    for name in "abcde":
        day += 1
        await notes.put("ada", name, 0, b"{}")
    with world.database.reading() as reading:
        assert [note.id for note in notes.listed(reading, "ada", KeyRange(), 0, 10)] == ["c", "d", "e"]
        assert [note.id for note in notes.listed(reading, "ben", KeyRange(), 0, 10)] == ["x"]
