"""Who is let in, and that nothing of one person's view gets to another."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from kompass.access.principals import Principal, Role
from kompass.sync.personal import PersonalDatabase, PersonalViews
from replication.http.principal import Principal as Caller
from replication.protocol.errors import ProtocolError
from replication.store.interface import Database
from tests.sync.personal.world import DATABASE, World

PARTS = PersonalDatabase.__mro__[: PersonalDatabase.__mro__.index(Database)]
"""The classes that it is put together from."""


def written_out() -> dict[str, Any]:
    """What is written in them; nothing is written twice."""
    found: dict[str, Any] = {}
    for part in PARTS:
        own = {name: value for name, value in vars(part).items() if name[:2] != "__" and name != "_abc_impl"}
        assert found.keys().isdisjoint(own), part
        found.update(own)
    return found


def test_every_method_of_a_database_is_written_out() -> None:
    promised = {name for name in vars(Database) if not name.startswith("_")}
    assert promised <= written_out().keys()
    assert not hasattr(PersonalDatabase, "__getattr__")
    assert {part.__module__.rpartition(".")[0] for part in PARTS} == {"kompass.sync.personal"}


UNASKED = {
    "guarded": "says what it is",
    "partitioned": "says what it is",
    "partition_info": "there are no partitions",
    "epochs": "tells nothing, and must not fail",
    "design_version": "tells nothing",
    "read_attachment": "`attachments` was asked before",
    "discard_attachments": "whoever has staged some was asked",
}
"""Methods that don't ask whether their principal is let in, and why."""

ASKS = ("_reading()", "_admitted()", "_refuse()")


def test_every_method_asks_whether_its_principal_is_let_in() -> None:
    written = written_out()

    def asks(name: str, seen: frozenset[str] = frozenset()) -> bool:
        method: Any = written[name]
        if isinstance(method, property):
            method = method.fget
        source = inspect.getsource(method)
        called = set(re.findall(r"self\.([a-z_]+)\(", source)) & written.keys() - seen - {name}
        return any(word in source for word in ASKS) or any(asks(one, seen | {name}) for one in called)

    promised = {name for name in vars(Database) if not name.startswith("_")}
    assert {name for name in promised if not asks(name)} == UNASKED.keys()


async def test_nobody_is_let_in_without_a_login(world: World) -> None:
    for path in ("", "a", "_changes", "_all_docs", "_local/x", "_security"):
        assert (await world.client(None).get(path)).status_code == 401, path


async def test_nor_if_everybody_were_a_member(world: World) -> None:
    await world.database.set_security(b"{}")
    assert (await world.client(None).get("_changes")).status_code == 401


async def test_administrators_use_the_database_itself(world: World) -> None:
    await world.put("a", readers=["ben"])
    rows = await world.rows("admin")
    assert {row["id"] for row in rows} >= {"a", "user-ada"}
    assert (await world.client("admin").get("")).json()["sizes"]["file"] > 0


async def test_other_databases_are_closed(world: World) -> None:
    await world.client("admin").put("http://server/kompass-quarantine")
    for path in ("", "/_all_docs", "/_changes", "/x"):
        answer = await world.client("ada").get(f"http://server/kompass-quarantine{path}")
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert (await world.client("ada").get("http://server/_all_dbs")).status_code == 401


async def test_a_login_without_an_active_record_is_not_let_in(world: World) -> None:
    await world.put("a", readers=["ADM"])
    await world.add_login("new", ["ADM"])
    assert (await world.client("new").get("_changes")).status_code == 403
    await world.set_roles("new", ["ADM"])
    assert len(await world.rows("new")) == 1
    await world.set_roles("new", ["ADM"], active=False)
    for path in ("a", "_changes", "_all_docs", "_local/x", ""):
        assert (await world.client("new").get(path)).status_code == 403, path
    assert (await world.client("new").put("b", json={})).status_code == 403


async def test_nor_one_whose_record_was_deleted(world: World) -> None:
    await world.put("a", readers=["ADM"])
    assert (await world.client("ada").get("a")).status_code == 200
    await world.remove("user-ada")
    assert (await world.client("ada").get("a")).status_code == 403


async def test_a_record_with_more_roles_than_the_login_counts_for_nothing(world: World) -> None:
    await world.put("a", readers=["GF"])
    await world.set_roles("ada", ["ADM", "GF"])
    assert (await world.client("ada").get("a")).status_code == 401
    await world.add_login("ada", ["ADM", "GF"])
    assert (await world.client("ada").get("a")).status_code == 200
    await world.set_roles("ada", ["ADM"])
    assert (await world.client("ada").get("a")).status_code == 404


async def test_a_view_is_one_persons_with_one_set_of_roles(world: World) -> None:
    views = world.server.view
    assert isinstance(views, PersonalViews)
    ada = views(world.database, Caller("ada", ("ADM",)))
    assert views(world.database, Caller("ada", ("ADM",))) is ada
    for caller in (Caller("ben", ("ADM",)), Caller("ada", ("ADM", "GF")), Caller("ada", ())):
        assert views(world.database, caller) is not ada
    with_device = views.of(world.database, Principal("ada", frozenset({Role.ADM}), "tablet"))
    assert with_device is not ada
    with pytest.raises(ProtocolError, match="401"):
        views(world.database, Caller())


async def test_a_database_made_again_has_new_views(world: World) -> None:
    await world.put("a", readers=["ada"])
    assert (await world.client("ada").get("a")).status_code == 200
    admin = world.client("admin")
    await admin.delete(f"http://server/{DATABASE}")
    await admin.put(f"http://server/{DATABASE}")
    security = {"members": {"roles": ["ADM"]}}
    await admin.put("_security", json=security)
    assert (await world.client("ada").get("a")).status_code == 403
    await world.set_roles("ada", ["ADM"])
    assert (await world.client("ada").get("a")).status_code == 404
    await world.put("a", readers=["ada"])
    assert (await world.client("ada").get("a")).status_code == 200


async def test_what_only_administrators_do(world: World) -> None:
    client = world.client("ada")
    for method, path, status in (
        ("PUT", "_security", 403),
        ("PUT", "_revs_limit", 403),
        ("POST", "_compact", 401),
        ("POST", "_view_cleanup", 401),
        ("POST", "_purge", 401),
        ("GET", "_purged_infos_limit", 401),
        ("POST", "_sync_shards", 401),
        ("DELETE", "", 401),
    ):
        answer = await client.request(method, path, json={})
        assert answer.status_code == status, (method, path)
    assert (await client.get("_purged_infos")).json() == {"purged_infos": []}


async def test_administrators_of_the_database_alone_see_what_is_theirs(world: World) -> None:
    """`_security` may name some: they get a view as everybody does."""
    await world.add_login("somebody", ["ADM"])
    await world.set_roles("somebody", ["ADM"])
    await world.put("a", readers=["ben"])
    client = world.client("somebody")
    assert (await client.get("a")).status_code == 404
    for method, path in (("PUT", "_security"), ("POST", "_compact"), ("POST", "_view_cleanup")):
        answer = await client.request(method, path, json={})
        assert answer.status_code == 403, path
    assert (await client.put("_revs_limit", content="5")).status_code == 403
    assert (await world.client("admin").get("_security")).json()["admins"]["names"] == ["somebody"]


async def test_security_names_roles_and_no_names(world: World) -> None:
    answer = await world.client("ada").get("_security")
    assert answer.json() == {
        "admins": {"names": [], "roles": ["_admin"]},
        "members": {"names": [], "roles": ["ADM", "INNEN", "GF"]},
    }
