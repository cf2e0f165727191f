"""Following Keycloak's users, with a directory that says what the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kompass.access.principals import Role
from kompass.identity.keycloak import MAX_EVENTS, AdminEvent, KeycloakError, KnownUser
from kompass.identity.records import Records
from kompass.identity.sync import KeycloakSync
from replication.accounts.directory import Accounts
from replication.accounts.users import USERS_DATABASE
from replication.protocol.documents import parse_document
from replication.store.interface import Store
from replication.store.sqlite import SqliteStore


class Directory:
    """Keycloak as a list of users and a list of events."""

    def __init__(self, *users: KnownUser) -> None:
        self.users = {user.subject: user for user in users}
        self.recorded: list[AdminEvent] = []
        self.records_events = True
        self.down = False
        self.listings = 0
        self._time = 0

    def change(self, subject: str, **members: Any) -> None:
        self.users[subject] = replace(self.users[subject], **members)
        self.report(f"users/{subject}")

    def report(self, path: str) -> None:
        self._time += 1
        self.recorded.insert(0, AdminEvent(self._time, "UPDATE", path))

    def all(self) -> list[KnownUser]:
        self._check()
        self.listings += 1
        return list(self.users.values())

    def one(self, user_id: str) -> KnownUser | None:
        self._check()
        return self.users.get(user_id)

    def events(self) -> list[AdminEvent] | None:
        self._check()
        return self.recorded[:MAX_EVENTS] if self.records_events else None

    def _check(self) -> None:
        if self.down:
            raise KeycloakError("Keycloak can't be asked")


def known(name: str, *roles: Role, enabled: bool = True) -> KnownUser:
    return KnownUser(f"id-of-{name}", name, enabled, frozenset(roles))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await SqliteStore.open(tmp_path / "data")
    accounts = Accounts(store, admins={})
    await accounts.prepare()
    accounts.close()
    yield store
    await store.close()


@pytest.fixture
def records(store: Store) -> Records:
    return Records(store)


async def state(records: Records) -> dict[str, tuple[list[str], bool]]:
    return {each.name: (sorted(each.roles), each.active) for each in await records.all()}


async def test_a_listing_makes_changes_and_disables(records: Records) -> None:
    await records.record_roles("local", [Role.PLAN], "by hand")
    directory = Directory(
        known("anna", Role.ADM),
        known("bert", Role.GF, enabled=False),
        known("norole"),
        known("_bad", Role.GF),
    )
    sync = KeycloakSync(directory, records)
    outcome = await sync.list_all()
    assert await state(records) == {"local": (["PLAN"], True), "anna": (["ADM"], True)}
    assert (outcome.users, outcome.changed) == (3, ["anna"])
    assert [why for why in outcome.passed_over if "_bad" in why]

    directory.users["id-of-anna"] = known("anna", Role.ADM, Role.KALK)
    directory.users["id-of-bert"] = known("bert", Role.GF)
    assert (await sync.list_all()).changed == ["anna", "bert"]
    assert (await state(records))["anna"] == (["ADM", "KALK"], True)
    assert (await sync.list_all()).changed == []

    directory.users["id-of-anna"] = known("anna", Role.ADM, enabled=False)
    del directory.users["id-of-bert"]
    await sync.list_all()
    assert await state(records) == {
        "local": (["PLAN"], True),
        "anna": (["ADM", "KALK"], False),
        "bert": (["GF"], False),
    }
    directory.users["id-of-anna"] = known("anna", Role.ADM)
    await sync.list_all()
    assert (await state(records))["anna"] == (["ADM"], True)


async def test_who_is_called_otherwise_in_keycloak_gets_another_record(records: Records) -> None:
    directory = Directory(known("anna", Role.ADM))
    sync = KeycloakSync(directory, records)
    await sync.list_all()
    directory.users["id-of-anna"] = replace(known("anna", Role.ADM), name="anna.neu")
    await sync.list_all()
    assert await state(records) == {"anna": (["ADM"], False), "anna.neu": (["ADM"], True)}


async def test_another_user_of_the_same_name_gets_nothing(records: Records) -> None:
    directory = Directory(known("anna", Role.ADM))
    sync = KeycloakSync(directory, records)
    await sync.list_all()
    directory.users = {"other": KnownUser("other", "anna", True, frozenset({Role.GF}))}
    outcome = await sync.list_all()
    assert await state(records) == {"anna": (["ADM"], False)}
    assert "another identity" in outcome.passed_over[0]


async def test_what_an_administrator_disabled_or_deleted_stays_so(records: Records, store: Store) -> None:
    sync = KeycloakSync(Directory(known("anna", Role.ADM)), records)
    await sync.list_all()
    await records.disable("anna", "by the office")
    await sync.list_all()
    assert await state(records) == {"anna": (["ADM"], False)}


async def test_an_empty_listing_disables_nobody(records: Records) -> None:
    directory = Directory(known("anna", Role.ADM))
    sync = KeycloakSync(directory, records)
    await sync.list_all()
    directory.users = {}
    with pytest.raises(KeycloakError, match="no users at all"):
        await sync.list_all()
    assert await state(records) == {"anna": (["ADM"], True)}


async def test_roles_set_by_hand_give_way_to_keycloak_s(records: Records) -> None:
    await records.record_roles("anna", [Role.GF], "by hand")
    await KeycloakSync(Directory(known("anna", Role.ADM)), records).list_all()
    assert await state(records) == {"anna": (["ADM"], True)}


async def test_roles_are_recorded_of_a_login_that_this_process_has_never_seen(
    records: Records, store: Store
) -> None:
    """Another one has let him in before: here his login is as old as the first look at it."""
    login = {"_id": "org.couchdb.user:anna", "name": "anna", "type": "user", "roles": ["GF"]}
    (rev,) = await store.get(USERS_DATABASE).write([parse_document(login)])
    assert isinstance(rev, str)
    await records.record_roles("anna", [Role.ADM], "as it is now")
    assert await state(records) == {"anna": (["ADM"], True)}


async def test_a_local_user_whose_name_has_no_role_in_keycloak_stays(records: Records) -> None:
    await records.record_roles("anna", [Role.GF], "by hand")
    await KeycloakSync(Directory(known("anna"), known("anna2", enabled=False)), records).list_all()
    assert await state(records) == {"anna": (["GF"], True)}


async def eventually(records: Records, name: str, wanted: tuple[list[str], bool]) -> None:
    async with asyncio.timeout(5):
        while (await state(records)).get(name) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def failed(sync: KeycloakSync, wanted: bool) -> None:
    """Waits until the latest attempt has failed, or hasn't."""
    async with asyncio.timeout(5):
        while (sync.last_error is not None) is not wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_events_are_followed(records: Records) -> None:
    directory = Directory(known("anna", Role.ADM), known("bert", Role.GF))
    sync = KeycloakSync(directory, records, interval=0.02)
    task = asyncio.create_task(sync.run())
    await eventually(records, "bert", (["GF"], True))
    directory.change("id-of-anna", roles=frozenset({Role.PLAN}))
    await eventually(records, "anna", (["PLAN"], True))
    directory.change("id-of-anna", enabled=False)
    await eventually(records, "anna", (["PLAN"], False))
    assert directory.listings == 1

    # Something about a group concerns who knows whom.
    directory.users["id-of-bert"] = known("bert", Role.GF, Role.ADM)
    directory.report("groups/5/role-mappings/realm")
    await eventually(records, "bert", (["ADM", "GF"], True))
    assert directory.listings == 2

    # More than are told at once.
    directory.users["id-of-bert"] = known("bert", Role.BUCH)
    for place in range(MAX_EVENTS + 1):
        directory.report(f"users/nobody-{place}")
    await eventually(records, "bert", (["BUCH"], True))

    directory.down = True
    directory.users["id-of-bert"] = known("bert", Role.KALK)
    directory.report("users/id-of-bert")
    await failed(sync, True)
    directory.down = False
    await eventually(records, "bert", (["KALK"], True))
    await failed(sync, False)

    del directory.users["id-of-bert"]
    directory.report("users/id-of-bert")
    await eventually(records, "bert", (["KALK"], False))
    task.cancel()


async def test_a_realm_that_records_no_events_is_listed_each_time(records: Records) -> None:
    directory = Directory(known("anna", Role.ADM))
    directory.records_events = False
    task = asyncio.create_task(KeycloakSync(directory, records, interval=0.02).run())
    await eventually(records, "anna", (["ADM"], True))
    directory.users["id-of-anna"] = known("anna", Role.KALK)
    await eventually(records, "anna", (["KALK"], True))
    task.cancel()


async def test_news_older_than_the_record_changes_no_roles(records: Records) -> None:
    await records.record_roles("anna", [Role.ADM], "now", as_of=1000)
    await records.record_roles("anna", [Role.GF], "before", as_of=999)
    assert await state(records) == {"anna": (["ADM"], True)}
    await records.record_roles("anna", [Role.GF], "after", as_of=1001)
    assert await state(records) == {"anna": (["GF"], True)}
