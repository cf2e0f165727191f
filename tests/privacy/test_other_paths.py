"""Indexes, exports of the chain, local queries and the log: none of them tells of an erased person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kompass.audit.inspecting import opened
from kompass.audit.proving import proof
from kompass.audit.table import table
from kompass.domain import anonymity
from kompass.domain.changes import Change, Facts, NoFacts
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings
from replication.store.sqlite import Reading
from tests.privacy.world import LAST, erase, found_in, populated, raw
from tests.sync.gate_world import World, contact, contact_body, customer, new


class Anonymity:
    """The one rule of the business that this is about."""

    def facts(self, reading: Reading) -> Facts:
        return NoFacts()

    def check(self, change: Change, facts: Facts) -> Refusal | None:
        return anonymity.check(change, facts, BusinessSettings())


def by_name(value: Mapping[str, Any]) -> Sequence[bytes]:
    return [str(value.get("lastName") or value.get("title")).encode()]


async def test_an_index_that_nobody_asks_any_more_has_no_copies(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    await world.database.refresh_index("by-name", by_name)
    keys = [one.key for one in await world.database.scan_index("by-name", b"", None)]
    assert LAST.encode() in keys
    await erase(world, contact(1))
    assert found_in(raw(tmp_path)) == []
    await world.database.refresh_index("by-name", by_name)
    keys = [one.key for one in await world.database.scan_index("by-name", b"", None)]
    assert b"Kontakt #1" in keys
    await world.close()


async def test_exports_of_the_chain_and_the_log_tell_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    world = await populated(tmp_path)
    await erase(world, contact(1))
    with opened(tmp_path / "kompass.sqlite") as connection:
        whole = b"".join(proof(connection, (), values=True))
        lines = "".join(table(connection, values=True)).encode()
    assert found_in(whole) == []
    assert found_in(lines) == []
    told = capsys.readouterr()
    assert found_in((told.out + told.err + caplog.text).encode()) == []
    await world.close()


async def test_an_erased_person_is_not_typed_in_again_and_the_attempt_is_not_kept(tmp_path: Path) -> None:
    world = await World.open(tmp_path, follows=True, business=Anonymity())
    await world.has_customer(1)
    await world.put(contact(1), contact_body(customer(1), lastName=LAST))
    await erase(world, contact(1))
    body = await world.body(contact(1))
    assert body is not None
    typed = new({**body, "lastName": LAST, "modifiedBy": "adm1"}, await world.path(contact(1)))
    (reason,) = await world.push("adm1", (contact(1), typed))
    assert "lastName" in reason
    assert await world.quarantined("adm1") == [(contact(1), "quarantined")]
    assert found_in(raw(tmp_path)) == []
    await world.close()
