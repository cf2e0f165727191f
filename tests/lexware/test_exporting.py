"""What goes to Lexware: each version of a contract once, whatever breaks off."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kompass.leases import held, take
from kompass.lexware import delivering, errors, runs
from kompass.lexware.exchange import BusyError
from kompass.lexware.exporting import ExportError, Wish
from kompass.lexware.runs import Kind, Mode, State
from kompass.lexware.store import LexwareStore
from kompass.lexware.targets import Folder
from kompass.server import Product
from tests.examples import examples
from tests.lexware.world import docid, edit, example, exchange, put

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.alone("its files are this process's"),
]
DUE = Wish(Kind.CONTRACTS, "buch1")


def rows(file: Path) -> list[str]:
    return file.read_text("utf-8-sig").splitlines()[1:]


def fetched(folder: Path) -> list[str]:
    """Rows of all files that lie there, which are taken away as Lexware does."""
    taken: list[str] = []
    for file in sorted(folder.glob("*.csv")):
        taken += rows(file)
        (folder / "processed").mkdir(exist_ok=True)
        file.rename(folder / "processed" / file.name)
    return taken


def numbers(taken: list[str]) -> list[str]:
    return sorted(row.split(";")[0] for row in taken)


async def test_signed_contracts_go_out_once_with_a_manifest(product: Product, tmp_path: Path) -> None:
    one = exchange(product, tmp_path)
    run, sheet = await one.export(DUE)
    assert (run.state, run.rows, run.target, sheet.problems) == (State.DELIVERED, 3, "folder", [])
    file = tmp_path / "lexware" / "exports" / run.file
    manifest = json.loads(file.with_name(f"{run.file}.manifest.json").read_text())
    assert manifest["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (manifest["rows"], manifest["sums"]) == (3, {"ContractValue": "3006"})
    assert {entry.name for entry in file.parent.iterdir()} == {file.name, f"{file.name}.manifest.json"}
    again, _ = await one.export(DUE)
    assert (again.state, again.rows) == (State.NOTHING, 0)
    await edit(product, docid("contract", 2), notes="Ein Vermerk, den Lexware nicht sieht")
    assert (await one.export(DUE))[0].rows == 0, "no version goes out twice"
    await edit(product, docid("opportunity", 2), title="Ladenbau und Kasse")
    changed, _ = await one.export(DUE)
    assert numbers(rows(file.with_name(changed.file))) == ["C-2026-00002"]
    await edit(product, docid("opportunity", 2), title="Ladenbau")
    back, _ = await one.export(DUE)
    assert back.rows == 1, "what it says now isn't what Lexware was told last"
    one.close()


async def test_contracts_go_out_though_their_index_is_dropped_meanwhile(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `_view_cleanup` does: a run that finds nothing then says that nothing was due."""
    one = exchange(product, tmp_path)
    database = one.gate_now().database
    scan, drops = database.scan_index, iter([True])

    async def scanned(*args: Any, **named: Any) -> Any:
        if next(drops, False):
            await database.drop_indexes([])
        return await scan(*args, **named)

    monkeypatch.setattr(database, "scan_index", scanned)
    assert (await one.export(DUE))[0].rows == 3
    one.close()


async def test_a_run_or_chosen_contracts_go_out_again(product: Product, tmp_path: Path) -> None:
    one = exchange(product, tmp_path)
    first, _ = await one.export(DUE)
    again, _ = await one.export(Wish(Kind.CONTRACTS, "buch1", Mode.AGAIN, first.num))
    assert (again.rows, again.of) == (3, first.num)
    chosen, _ = await one.export(Wish(Kind.CONTRACTS, "buch1", Mode.CHOSEN, ids=(docid("contract", 3),)))
    assert chosen.rows == 1
    assert (await one.export(DUE))[0].rows == 0
    with pytest.raises(ExportError, match="no run 77"):
        await one.export(Wish(Kind.CONTRACTS, "buch1", Mode.AGAIN, 77))
    one.close()


async def test_what_does_not_fit_is_told_until_it_does(product: Product, tmp_path: Path) -> None:
    one = exchange(product, tmp_path)
    address = {"street": "Graben", "zipCode": "1010", "city": "Wien", "country": "Österreich"}
    await put(product, example("customer", 5, billingAddress=address))
    due = Wish(Kind.CUSTOMERS, "buch1")
    run, sheet = await one.export(due)
    assert (run.rows, run.left_out) == (1, 1)
    assert [(name, problem.column) for name, problem in sheet.problems] == [(docid("customer", 5), "ZipCode")]
    assert (await one.export(due))[0].state is State.NOTHING
    (told,) = errors.listed(one.opened())
    assert (told.entity_id, told.error_type, told.retries) == (docid("customer", 5), "ValidationError", 1)
    await edit(product, docid("customer", 5), billingAddress={**address, "zipCode": "80331"})
    assert (await one.export(due))[0].rows == 1
    assert errors.listed(one.opened()) == []
    assert errors.listed(one.opened(), state="resolved")[0].resolution == "exported"
    one.close()


async def test_nothing_happens_in_a_preview(product: Product, tmp_path: Path) -> None:
    one = exchange(product, tmp_path)
    assert (await one.preview(DUE)).figures["rows"] == 3
    assert runs.listed(one.opened()) == []
    assert not (tmp_path / "lexware").exists()
    one.close()


async def test_two_at_once_export_everything_once(product: Product, tmp_path: Path) -> None:
    one, other = exchange(product, tmp_path), exchange(product, tmp_path)
    made = await asyncio.gather(one.export(DUE), other.export(DUE))
    assert sorted(run.rows for run, _ in made) == [0, 3]
    async with held(one.opened(), "export") as lease:
        assert lease is not None
        assert take(other.opened(), "export") is None
    one.close()
    other.close()


async def test_somebody_who_waits_too_long_is_told(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kompass.lexware.exchange.PATIENCE", 0.0)
    one = exchange(product, tmp_path)
    async with held(one.opened(), "export"):
        with pytest.raises(BusyError, match="under way"):
            await one.export(DUE)
    one.close()


async def test_a_folder_that_vanishes_or_is_another_one_loses_nothing(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "DELAYS", ())
    one = exchange(product, tmp_path)
    exports = tmp_path / "lexware" / "exports"
    real = Folder._publish

    def unmounted(self: Folder, *given: Any) -> None:
        exports.rename(tmp_path / "away")
        real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "_publish", unmounted)
        run, _ = await one.export(DUE)
    assert (run.state, "is the share mounted" in run.error) == (State.STAGED, True)
    assert len(await one.deliver()) == 1
    one.close()
    moved = exchange(product, tmp_path, lexware_directory=tmp_path / "elsewhere")
    assert await moved.deliver() == []
    assert numbers(fetched(tmp_path / "elsewhere" / "exports")) == [f"C-2026-0000{n}" for n in (1, 2, 3)]
    moved.close()


async def test_a_full_disk_loses_nothing(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "DELAYS", ())
    one = exchange(product, tmp_path)

    def full(self: Folder, name: str, pieces: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "_write", full)
        run, _ = await one.export(DUE)
    assert run.state is State.PREPARED
    assert "No space left on device" in run.error
    assert (await one.export(DUE))[0].rows == 0, "it is the first run's"
    assert numbers(fetched(tmp_path / "lexware" / "exports")) == [f"C-2026-0000{n}" for n in (1, 2, 3)]
    one.close()


# -- killed at every step --------------------------------------------------------------------------


class Killed(BaseException):
    pass


class Steps:
    """Counts what is written, before and after, and kills at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = -1
        self.count = 0
        for owner, name in (
            (LexwareStore, "writing"),
            (Folder, "_write"),
            (Folder, "_publish"),
            (Path, "replace"),
        ):
            monkeypatch.setattr(owner, name, self._wrapped(getattr(owner, name), name == "writing"))

    def _step(self) -> None:
        self.count += 1
        if self.count == self.at:
            raise Killed

    def _wrapped(self, work: Callable[..., Any], is_transaction: bool) -> Callable[..., Any]:
        if not is_transaction:

            def done(*given: Any) -> Any:
                self._step()
                answer = work(*given)
                self._step()
                return answer

            return done
        from contextlib import contextmanager

        @contextmanager
        def writing(store: LexwareStore) -> Iterator[apsw.Connection]:
            self._step()
            with work(store) as connection:
                yield connection
                self._step()
            self._step()

        return writing


async def one_life(product: Product, directory: Path, steps: Steps, kill_at: int) -> bool:
    """A process that exports, and is killed at a step. Whether it was. Its leases end."""
    one = exchange(product, directory)
    steps.at, steps.count = kill_at, 0
    try:
        await one.export(DUE)
        return False
    except (Killed, ExceptionGroup):
        return True
    finally:
        steps.at = -1
        with one.opened().writing() as connection:
            connection.execute("DELETE FROM leases")
        one.close()


@pytest.mark.slow
async def test_killed_at_every_step_no_contract_is_lost_and_none_goes_twice(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps(monkeypatch)
    kill_at, was_killed = 1, True
    while was_killed:
        for fetches in (False, True):
            directory = tmp_path / f"{kill_at}-{fetches}"
            exports = directory / "lexware" / "exports"
            was_killed = await one_life(product, directory, steps, kill_at)
            if fetches and not list(exports.glob("*.csv")):
                continue  # there is nothing to be fetched, and the rest was seen
            taken = fetched(exports) if fetches else []
            await one_life(product, directory, steps, -1)
            taken += fetched(exports)
            assert numbers(taken) == [f"C-2026-0000{n}" for n in (1, 2, 3)], (kill_at, fetches)
            last = exchange(product, directory)
            assert runs.undelivered(last.opened()) == []
            assert list(exports.glob(".*")) == [], "no drafts are left"
            last.close()
        kill_at += 1
    assert kill_at > 20, "there are steps to be killed at"


@pytest.mark.slow
@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=st.lists(st.tuples(st.integers(1, 30), st.booleans(), st.booleans()), min_size=1, max_size=4))
async def test_killed_again_and_again_with_changes_between(
    product: Product, tmp_path_factory: pytest.TempPathFactory, lives: list[tuple[int, bool, bool]]
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        steps = Steps(monkeypatch)
        directory = tmp_path_factory.mktemp("lives")
        exports = directory / "lexware" / "exports"
        taken: list[str] = []
        versions = 0
        for kill_at, fetches, changes in lives:
            if changes:
                versions += 1
                await edit(product, docid("opportunity", 1), title=f"Ladenbau {versions}")
            await one_life(product, directory, steps, kill_at)
            taken += fetched(exports) if fetches else []
        await one_life(product, directory, steps, -1)
        taken += fetched(exports)
        await edit(product, docid("opportunity", 1), title="Ladenbau")
    assert len(taken) == len(set(taken)), "no version twice"
    latest = [row for row in taken if row.startswith("C-2026-00001;")][-1]
    assert latest.endswith(f"Ladenbau {versions}" if versions else "Ladenbau")
    assert {row.split(";")[0] for row in taken} == {f"C-2026-0000{n}" for n in (1, 2, 3)}
