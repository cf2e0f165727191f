"""Whoever changes a chain once, anywhere, is found; the chain as it was written isn't."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompass.audit.canonical import GENESIS, canonical, digest
from kompass.audit.checkpoints import Signer
from kompass.audit.inspecting import read_anchor
from kompass.audit.signing import LIFE, KeysError, PublicKey, SigningKeys, read_public
from kompass.texts import TextFile
from replication.protocol.revisions import parse_rev
from tests.audit.world import entries, look, tampering
from tests.examples import examples
from tests.sync.gate_world import World, contact, contact_body, customer, customer_body, new

Original = tuple[Path, tuple[PublicKey, ...]]


async def _company(directory: Path) -> tuple[PublicKey, ...]:
    """A chain with everything that stands in one, signed to its end."""
    keys = SigningKeys(TextFile(directory / "keys.json"))
    world = await World.open(directory, signer=Signer(keys, every=7))
    await world.has_customer(1)
    await world.has_customer(2, owner="adm2")
    first = new(contact_body(customer(1)))
    await world.push("adm1", (contact(1), first))
    await world.push("adm1", (contact(1), new(contact_body(customer(1), firstName="Wiebke"), first.path)))
    await world.push("adm1", (contact(2), new(contact_body(customer(1), authorityLevel="high"))))
    base = await world.path(customer(1))
    await world.put(customer(1), customer_body(website="https://a.example", version=2))
    await world.push("adm1", (customer(1), new(customer_body(phone="123", version=2), base)))
    await world.put(contact(3), contact_body(customer(2)))
    gone = await world.put(contact(3), None)
    await world.put(contact(4), contact_body(customer(2)))
    rev = await world.put(contact(4), None)
    await world.database.purge({contact(4): [parse_rev(rev)]})
    await world.set_roles("adm2", set())
    await world.transact(lambda writing: world.audit.shred(writing, contact(3)))
    await world.transact(world.audit.checkpoint)
    assert gone
    await world.close()
    return keys.public


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    directory = tmp_path_factory.mktemp("chain")
    public = asyncio.run(_company(directory))
    return directory / "kompass.sqlite", public


def test_the_chain_as_it_was_written_is_whole(original: Original) -> None:
    file, public = original
    report = look(file, public)
    assert report.findings == []
    assert report.checkpoint == report.entries > 20


# -- one change ---------------------------------------------------------------------------------

COLUMNS = {
    "audit_entries": ("hash", "text", "at", "user", "doc", "key", "sealed"),
    "audit_keys": ("subject", "secret"),
    "audit_head": ("entries", "hash", "checkpoint"),
    "audit_checkpoints": ("text", "signature"),
}


def _numbers(connection: apsw.Connection, table: str) -> list[int]:
    rows: Any = connection.execute(f"SELECT rowid FROM {table} ORDER BY rowid").fetchall()
    return [num for (num,) in rows]


@st.composite
def tamperings(draw: st.DrawFn) -> Callable[[apsw.Connection], str]:
    """One change to the file, which tells what it was."""
    kind = draw(
        st.sampled_from(["change", "delete", "insert", "swap", "swap values", "cut", "rewrite", "null"])
    )
    table = draw(st.sampled_from(sorted(COLUMNS)))
    column = draw(st.sampled_from(COLUMNS[table]))
    data = draw(st.randoms(use_true_random=False))

    def run(connection: apsw.Connection) -> str:
        nums = _numbers(connection, table)
        num = data.choice(nums)
        if kind in ("change", "null"):
            old = connection.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", (num,)).get
            if kind == "null" and old is not None and column in ("key", "sealed", "secret"):
                value: object = None
            else:
                value = _mutated(data, old)
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, num))
            return f"{column} of {num} in {table}: {old!r} -> {value!r}"
        if kind == "delete":
            connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (num,))
            return f"deleted {num} of {table}"
        entries = _numbers(connection, "audit_entries")
        one, other = sorted(data.sample(entries, 2))
        if kind == "insert":
            # A copy that takes the place of an entry, all after it moving on.
            connection.execute("UPDATE audit_entries SET num = -num - 1 WHERE num >= ?", (one,))
            connection.execute("UPDATE audit_entries SET num = -num WHERE num < 0")
            connection.execute(
                "INSERT INTO audit_entries SELECT ?, hash, text, at, user, doc, key, sealed"
                " FROM audit_entries WHERE num = ?",
                (one, data.choice([n for n in entries if n < one] or [other + 1])),
            )
            return f"inserted a copy before {one}"
        if kind == "swap":
            connection.execute("UPDATE audit_entries SET num = 0 WHERE num = ?", (one,))
            connection.execute("UPDATE audit_entries SET num = ? WHERE num = ?", (one, other))
            connection.execute("UPDATE audit_entries SET num = ? WHERE num = 0", (other,))
            return f"swapped {one} and {other}"
        if kind == "swap values":
            sealed = [
                connection.execute("SELECT sealed FROM audit_entries WHERE num = ?", (n,)).get
                for n in (one, other)
            ]
            if sealed[0] == sealed[1]:
                connection.execute("DELETE FROM audit_entries WHERE num = ?", (one,))
                return f"deleted {one}"
            for n, value in ((one, sealed[1]), (other, sealed[0])):
                connection.execute("UPDATE audit_entries SET sealed = ? WHERE num = ?", (value, n))
            return f"swapped the values of {one} and {other}"
        if kind == "cut":
            connection.execute("DELETE FROM audit_entries WHERE num >= ?", (other,))
            return f"cut off from {other}"
        _rewrite(connection, one, data.choice(["who", "received", "document", "action", "state"]))
        return f"rewrote the chain from {one}"

    return run


def _mutated(data: Any, value: object) -> object:
    if isinstance(value, bytes) and value:
        place = data.randrange(len(value))
        if data.random() < 0.3:
            return value[:place]
        return value[:place] + bytes([value[place] ^ (1 << data.randrange(8))]) + value[place + 1 :]
    if isinstance(value, int):
        return value + data.choice([-1, 1, 1000])
    if isinstance(value, str):
        return data.choice([value + "x", value[:-1], "x" + value[1:]])
    return data.choice([1, 10**6]) if data.random() < 0.5 else b"x" * 40


def _rewrite(connection: apsw.Connection, first: int, member: str) -> None:
    """Somebody who knows the format changes an entry and computes every hash after it anew."""
    rows: Any = connection.execute(
        "SELECT num, text FROM audit_entries WHERE num >= ? ORDER BY num", (first,)
    ).fetchall()
    before = connection.execute("SELECT hash FROM audit_entries WHERE num = ?", (first - 1,)).get
    previous = GENESIS if before is None else before.hex()
    for num, text in rows:
        entry = orjson.loads(text)
        if num == first:
            entry[member] = "2026-01-01T00:00:00.000Z" if member == "received" else "somebody else"
        entry["previous"] = previous
        made = canonical(entry)
        previous = digest(made)
        at = round(datetime.fromisoformat(entry["received"]).timestamp() * 1000)
        connection.execute(
            "UPDATE audit_entries SET text = ?, hash = ?, at = ?, user = ?, doc = ? WHERE num = ?",
            (made, bytes.fromhex(previous), at, entry["who"], entry["document"], num),
        )
    connection.execute("UPDATE audit_head SET hash = ?", (previous,))


@pytest.mark.slow
@given(tamper=tamperings())
@settings(max_examples=examples(250), deadline=None)
def test_any_single_change_is_found(
    original: Original, tmp_path_factory: pytest.TempPathFactory, tamper: Callable[[apsw.Connection], str]
) -> None:
    file, public = original
    copy = tmp_path_factory.mktemp("copy") / "kompass.sqlite"
    shutil.copy(file, copy)
    connection = tampering(copy)
    try:
        what = tamper(connection)
    except apsw.ConstraintError:
        return
    finally:
        connection.close()
    assert look(copy, public).findings, what


@pytest.mark.parametrize("member", ["after", "before", "state", "action", "purged", "document"])
@pytest.mark.parametrize("value", ["x", "-1", "1", "0-a", "", [], {}, [[]], 7, None], ids=repr)
def test_nonsense_in_an_entry_is_found_and_stops_nothing(
    original: Original, tmp_path: Path, member: str, value: Any
) -> None:
    file, public = original
    copy = tmp_path / "kompass.sqlite"
    shutil.copy(file, copy)
    connection = tampering(copy)
    rows: Any = connection.execute("SELECT num, text FROM audit_entries ORDER BY num").fetchall()
    changed = 0
    for num, text in rows:
        entry = orjson.loads(text)
        if member in entry and entry[member] != value:
            made = canonical({**entry, member: value})
            connection.execute("UPDATE audit_entries SET text = ? WHERE num = ?", (made, num))
            changed += 1
    connection.close()
    assert changed
    assert look(copy, public).findings


# -- what somebody does who knows how it works -----------------------------------------------------


@pytest.fixture
def copied(original: Original, tmp_path: Path) -> Iterator[tuple[apsw.Connection, Path]]:
    copy = tmp_path / "kompass.sqlite"
    shutil.copy(original[0], copy)
    connection = tampering(copy)
    try:
        yield connection, copy
    finally:
        connection.close()


def _cut(connection: apsw.Connection, last: int) -> None:
    """Cuts the chain off and makes everything else look as if it had ended there."""
    connection.execute("DELETE FROM audit_entries WHERE num > ?", (last,))
    connection.execute("DELETE FROM audit_checkpoints WHERE num > ?", (last,))
    found = connection.execute("SELECT hash FROM audit_entries WHERE num = ?", (last,)).get
    assert isinstance(found, bytes)
    point = connection.execute("SELECT max(num) FROM audit_checkpoints").get
    connection.execute(
        "UPDATE audit_head SET entries = ?, hash = ?, checkpoint = ?", (last, found.hex(), point or 0)
    )


def test_a_rewritten_chain_lacks_the_signatures(
    original: Original, copied: tuple[apsw.Connection, Path]
) -> None:
    connection, file = copied
    _rewrite(connection, 20, "who")
    found = look(file, original[1]).findings
    assert found[0].what == "isn't the one that was signed"
    first = connection.execute("SELECT min(num) FROM audit_checkpoints WHERE num >= 20").get
    assert found[0].entry == first


def test_a_rewritten_end_without_its_checkpoint_is_found_by_what_somebody_noted_down(
    original: Original, copied: tuple[apsw.Connection, Path]
) -> None:
    connection, file = copied
    whole = look(file, original[1])
    last = connection.execute("SELECT max(num) FROM audit_checkpoints WHERE num < ?", (whole.entries,)).get
    assert isinstance(last, int)
    _cut(connection, last)
    noted = look(file, original[1], expected={whole.entries: whole.hash}).findings
    assert f"entry {whole.entries}: is missing, and was expected" in map(str, noted)


def test_the_first_wrong_entry_is_named_first(
    original: Original, copied: tuple[apsw.Connection, Path]
) -> None:
    connection, file = copied
    connection.execute("UPDATE audit_entries SET user = 'somebody' WHERE num = 9")
    connection.execute("DELETE FROM audit_entries WHERE num = 5")
    connection.execute("DELETE FROM audit_entries WHERE num = 14")
    found = look(file, original[1]).findings
    assert [one.entry for one in found if one.entry is not None][:1] == [5]
    assert found[0].what == "missing, the next one is 6"


@pytest.mark.parametrize(
    "statement",
    [
        (
            "UPDATE bodies SET text = replace(CAST(text AS TEXT), 'Hofladen Rode', 'Hofladen Rose')"
            " WHERE seq = (SELECT body FROM docs WHERE id = :id)"
        ),
        "DELETE FROM docs WHERE id = :id",
        (
            "UPDATE docs SET rev = (SELECT rev FROM revs WHERE doc = docs.num AND rev LIKE '1-%'),"
            " body = (SELECT body FROM revs WHERE doc = docs.num AND rev LIKE '1-%') WHERE id = :id"
        ),
        (
            "INSERT INTO docs SELECT 'customer-made-up', num + 100000, seq, rev, deleted, body, leaves,"
            " attached, tree FROM docs WHERE id = :id"
        ),
        "DELETE FROM bodies WHERE seq = (SELECT body FROM docs WHERE id = :id)",
    ],
    ids=["text", "deleted", "older revision", "inserted", "without text"],
)
def test_a_document_that_was_changed_past_the_chain_is_found(
    original: Original, copied: tuple[apsw.Connection, Path], statement: str
) -> None:
    connection, file = copied
    connection.execute(statement, {"id": customer(1)})
    assert connection.changes() == 1
    (found, *_) = look(file, original[1]).findings
    assert found.document in (customer(1), "customer-made-up")


def test_shredded_values_are_gone_and_the_rest_still_verifies(
    original: Original, copied: tuple[apsw.Connection, Path]
) -> None:
    connection, file = copied
    rows: Any = connection.execute(
        "SELECT key, sealed FROM audit_entries WHERE doc = ? AND key IS NOT NULL", (contact(3),)
    ).fetchall()
    assert rows
    assert {sealed for _, sealed in rows[:-1]} == {None}
    secrets: Any = connection.execute(
        "SELECT secret FROM audit_keys WHERE subject = ? ORDER BY num", (contact(3),)
    ).fetchall()
    assert secrets[0] == (None,), "and there is another key for what came after"
    connection.execute("UPDATE audit_keys SET secret = NULL WHERE subject = ?", (customer(1),))
    found = look(file, original[1]).findings
    assert any("nobody has shredded" in one.what or "again" in one.what for one in found)


# -- signatures ---------------------------------------------------------------------------------


async def test_keys_are_their_owner_s_and_change_in_time(tmp_path: Path) -> None:
    keys = SigningKeys(TextFile(tmp_path / "audit-keys.json"))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    text, signature = keys.sign(lambda key: key.encode(), start)
    assert (tmp_path / "audit-keys.json").stat().st_mode & 0o777 == 0o600
    keys.sign(lambda key: key.encode(), start + LIFE - timedelta(days=1))
    assert len(keys.public) == 1
    keys.sign(lambda key: key.encode(), start + LIFE)
    again = SigningKeys(TextFile(tmp_path / "audit-keys.json"))
    assert [key.id for key in again.public] == [key.id for key in keys.public]
    assert len(again.public) == 2
    first, second = again.public
    assert first.verifies(signature, text)
    assert not second.verifies(signature, text)
    forged = [first.as_json(), {**second.as_json(), "public": "00" * 32}]
    with pytest.raises(KeysError, match="isn't signed"):
        read_public(forged)


@pytest.mark.alone("its file is changed behind its back: a copy of a cluster is fetched anew then")
async def test_checkpoints_are_added_to_a_file_elsewhere_that_proves_a_chain_with_new_keys(
    tmp_path: Path,
) -> None:
    anchor = tmp_path / "elsewhere.jsonl"
    data = tmp_path / "data"
    data.mkdir()
    signer = Signer(SigningKeys(TextFile(data / "keys.json")), every=5, anchor=anchor)
    world = await World.open(data, signer=signer)
    await world.has_customer(1)
    await world.transact(world.audit.checkpoint)
    count = len(entries(world))
    await world.close()
    kept = read_anchor(anchor)
    assert kept[-1][0] == count
    file = data / "kompass.sqlite"
    assert look(file, signer.keys.public, anchored=kept).findings == []
    connection = tampering(file)
    _cut(connection, kept[0][0])
    connection.execute("DELETE FROM docs WHERE id LIKE 'customer%'")
    connection.close()
    (found, *_) = look(file, signer.keys.public, anchored=kept).findings
    assert found.what.endswith("kept elsewhere)")
