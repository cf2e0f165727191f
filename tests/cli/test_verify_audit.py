"""`kompass verify-audit` and `kompass audit`: for who has the directory, a file, or a server's address."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from kompass.audit.checkpoints import Signer
from kompass.audit.signing import SigningKeys
from kompass.cli.app import app
from kompass.texts import TextFile
from tests.audit.world import tampering
from tests.sync.gate_world import World, customer, customer_body

runner = CliRunner()


def run(*args: object) -> Result:
    return runner.invoke(app, [str(one) for one in args])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    async def fill() -> None:
        world = await World.open(
            tmp_path / "data", signer=Signer(SigningKeys(TextFile(tmp_path / "data/audit-keys.json")))
        )
        await world.has_customer(1)
        await world.put(customer(1), customer_body(phone="=1+1"))
        await world.transact(world.audit.checkpoint)
        await world.close()

    (tmp_path / "data").mkdir()
    asyncio.run(fill())
    return tmp_path / "data"


def test_a_whole_chain_tells_what_to_note_down(data: Path) -> None:
    told = run("verify-audit", "--data", data)
    assert told.exit_code == 0, told.output
    assert "entries are as they were written, and the documents agree" in told.output
    noted = told.output.partition("latest: ")[2].split()[0]
    assert run("verify-audit", "--data", data, "--expect", noted).exit_code == 0
    number, _, hashed = noted.partition(":")
    wrong = run("verify-audit", "--data", data, "--expect", f"{number}:{'0' * 64}")
    assert wrong.exit_code == 1
    assert f"entry {number}: isn't the one that was expected" in wrong.output
    later = run("verify-audit", "--data", data, "--expect", f"{int(number) + 1}:{hashed}", "--json")
    assert json.loads(later.output)["findings"][0]["entry"] == int(number) + 1


def test_the_first_wrong_entry_is_named_and_ends_with_code_1(data: Path) -> None:
    connection = tampering(data / "kompass.sqlite")
    connection.execute("UPDATE audit_entries SET text = replace(text, 'CREATE', 'UPDATE') WHERE num = 4")
    connection.close()
    told = run("verify-audit", "--data", data)
    assert told.exit_code == 1
    assert told.output.startswith("entry 4 (")
    assert run("verify-audit", "--data", data, "--from", 5).exit_code == 0, "what comes before is believed"


def test_an_export_verifies_without_the_server(data: Path, tmp_path: Path) -> None:
    told = run("audit", "export", "--data", data, "--format", "json", "--output", tmp_path / "out")
    assert told.exit_code == 0, told.output
    file = tmp_path / "out" / "audit_export.json"
    assert file.stat().st_mode & 0o777 == 0o600
    kept = tmp_path / "keys.json"
    kept.write_text(run("audit", "keys", "--data", data).output)
    assert run("verify-audit", "--file", file, "--keys", kept).exit_code == 0
    value = orjson.loads(file.read_bytes())
    opened = [number for number, one in enumerate(value["entries"]) if one.get("opening", {}).get("fields")]
    opening = value["entries"][opened[-1]]["opening"]["fields"]["phone"]
    opening[1] = opening[1].replace("=1+1", "=2+2")
    file.write_bytes(orjson.dumps(value))
    wrong = run("verify-audit", "--file", file, "--keys", kept)
    assert wrong.exit_code == 1
    assert wrong.output.startswith(f"entry {opened[-1] + 1}: its values of phone aren't those it commits to")
    del value["entries"][2]
    file.write_bytes(orjson.dumps(value))
    assert run("verify-audit", "--file", file).output.startswith("entry 3: missing")
    other = SigningKeys(TextFile(tmp_path / "other.json"))
    other.sign(lambda key: key.encode(), datetime.now(UTC))
    file.write_bytes(orjson.dumps({**value, "keys": [key.as_json() for key in other.public]}))
    assert "unknown key" in run("verify-audit", "--file", file).output
    file.write_text("{}")
    assert run("verify-audit", "--file", file).exit_code == 1


@pytest.mark.slow
def test_a_stretch_of_the_chain_and_one_without_values_verify_too(data: Path, tmp_path: Path) -> None:
    told = run("audit", "export", "--data", data, "--format", "json", "--from", 3, "--to", 8, "--no-values")
    assert told.exit_code == 0
    assert "Hofladen" not in told.output
    file = tmp_path / "part.json"
    file.write_text(told.output)
    assert len(orjson.loads(file.read_bytes())["entries"]) == 6
    assert run("verify-audit", "--file", file).exit_code == 0


@pytest.mark.slow
def test_the_table_of_a_directory(data: Path) -> None:
    told = run("audit", "export", "--data", data)
    assert "'=1+1" in told.output
    assert "Hofladen Rode" in told.output
    assert "Hofladen" not in run("audit", "export", "--data", data, "--no-values").output


def test_what_cant_be_verified_says_what_to_do(tmp_path: Path) -> None:
    told = run("verify-audit", "--data", tmp_path)
    assert told.exit_code == 1
    assert "--data" in str(told.exception)
    both = run("verify-audit", "--data", tmp_path, "--server", "http://127.0.0.1:1")
    assert "one at a time" in str(both.exception)
    bad = run("verify-audit", "--server", "http://127.0.0.1:1", "--user", "x", "--password", "y")
    assert "can't be reached" in str(bad.exception)
