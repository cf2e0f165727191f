"""Imports go one way: kompass -> replication, and rules never import I/O."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import ROOT

IO_MODULES = {
    "aiohttp", "apsw", "asyncio", "concurrent", "httpx", "io", "multiprocessing", "os", "pathlib", "shutil",
    "socket", "sqlite3", "ssl", "starlette", "subprocess", "tempfile", "threading", "urllib3", "uvicorn",
    "uvloop",
}  # fmt: skip


def imports(file: Path) -> Iterator[str]:
    """Absolute names of everything the file imports, relative imports resolved."""
    package = file.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(file.read_text(), filename=str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *((node.module,) if node.module else ())))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def sources(package: str) -> list[Path]:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, f"no sources under {package}/"
    return files


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", sources("replication"), ids=name)
def test_replication_knows_nothing_of_kompass(file: Path) -> None:
    assert [module for module in imports(file) if module.split(".")[0] == "kompass"] == []


@pytest.mark.parametrize("file", sources("replication/protocol"), ids=name)
def test_protocol_rules_import_no_io(file: Path) -> None:
    assert [module for module in imports(file) if module.split(".")[0] in IO_MODULES] == []


@pytest.mark.parametrize("file", sources("replication/protocol"), ids=name)
def test_protocol_rules_import_no_other_layer(file: Path) -> None:
    own = [module for module in imports(file) if module.startswith("replication.")]
    assert [module for module in own if not module.startswith("replication.protocol")] == []


@pytest.mark.parametrize("file", sources("kompass/access"), ids=name)
def test_access_rules_import_no_io_and_no_other_layer(file: Path) -> None:
    used = list(imports(file))
    assert [module for module in used if module.split(".")[0] in IO_MODULES] == []
    own = [module for module in used if module.split(".")[0] in ("kompass", "replication")]
    assert [module for module in own if not module.startswith("kompass.access")] == []


@pytest.mark.parametrize("file", sources("kompass/domain"), ids=name)
def test_rules_of_the_business_import_no_io_and_only_those_of_access(file: Path) -> None:
    used = list(imports(file))
    assert [module for module in used if module.split(".")[0] in IO_MODULES] == []
    own = [module for module in used if module.split(".")[0] in ("kompass", "replication")]
    assert [module for module in own if not module.startswith(("kompass.domain", "kompass.access"))] == []


@pytest.mark.parametrize("file", sources("kompass/accounting"), ids=name)
def test_files_of_the_accountant_are_made_without_io_from_the_rules_alone(file: Path) -> None:
    used = list(imports(file))
    assert [module for module in used if module.split(".")[0] in IO_MODULES] == []
    below = ("kompass.accounting", "kompass.domain", "kompass.access")
    own = [module for module in used if module.split(".")[0] in ("kompass", "replication")]
    assert [module for module in own if not module.startswith(below)] == []


@pytest.mark.parametrize("file", sources("kompass/client"), ids=name)
def test_the_client_needs_nothing_of_the_server(file: Path) -> None:
    foreign = {module.split(".")[0] for module in imports(file)} - sys.stdlib_module_names
    assert foreign <= {"httpx", "kompass"}
    own = [module for module in imports(file) if module.split(".")[0] == "kompass"]
    assert [module for module in own if not module.startswith("kompass.client")] == []


OFFICE = (
    *("printing/content", "printing/german", "printing/offers", "printing/expense_sheets"),
    *("einvoices/invoices", "einvoices/importing", "calendars/events"),
)


@pytest.mark.parametrize("file", OFFICE)
def test_what_stands_on_paper_and_in_calendars_is_decided_without_io(file: str) -> None:
    used = list(imports(ROOT / "kompass" / f"{file}.py"))
    assert [module for module in used if module.split(".")[0] in IO_MODULES] == []
    below = ("kompass.domain", "kompass.access", f"kompass.{file.partition('/')[0]}")
    own = [module for module in used if module.split(".")[0] in ("kompass", "replication")]
    assert [module for module in own if not module.startswith(below)] == []


@pytest.mark.parametrize("file", sources("kompass/business") + sources("kompass/audit"), ids=name)
def test_the_business_at_work_knows_nothing_of_sync(file: Path) -> None:
    used = list(imports(file))
    assert [module for module in used if module.startswith(("kompass.sync", "kompass.api"))] == []


@pytest.mark.parametrize("file", sources("kompass/sync"), ids=name)
def test_what_judges_writes_knows_nothing_of_copies(file: Path) -> None:
    copies = ("kompass.feed", "kompass.jobs", "kompass.readstore", "kompass.search", "kompass.vectors")
    assert [module for module in imports(file) if module.startswith(copies)] == []


@pytest.mark.parametrize("file", sources("kompass/feed"), ids=name)
def test_the_consumer_knows_the_server_by_its_address_alone(file: Path) -> None:
    others = ("kompass.sync", "kompass.api", "kompass.readstore", "kompass.search", "replication.http")
    assert [module for module in imports(file) if module.startswith(others)] == []


@pytest.mark.parametrize("file", sources("kompass/jobs"), ids=name)
def test_jobs_know_the_server_by_its_address_alone(file: Path) -> None:
    others = ("kompass.sync", "kompass.api", "kompass.identity", "kompass.business", "replication.http")
    assert [module for module in imports(file) if module.startswith(others)] == []


@pytest.mark.parametrize("file", ["catalogue.py", "judging.py", "triggers.py", "letters.py"])
def test_what_follows_from_a_change_is_decided_without_io(file: str) -> None:
    used = list(imports(ROOT / "kompass" / "jobs" / file))
    assert [module for module in used if module.split(".")[0] in IO_MODULES] == []


@pytest.mark.parametrize(
    "file",
    ["making", "manifest", "repository", "retention", "sealing", "source", "target", "verifying"],
)
def test_repositories_of_backups_know_nothing_of_what_is_backed_up(file: str) -> None:
    used = list(imports(ROOT / "kompass" / "backup" / f"{file}.py"))
    places = tuple(f"kompass.backup.{one}" for one in ("contents", "directory", "moment", "returning"))
    others = ("apsw", "kompass.sync", "kompass.audit", "kompass.privacy", "kompass.jobs", "kompass.identity")
    assert [module for module in used if module.startswith((*places, *others))] == []


@pytest.mark.parametrize("file", sources("kompass/vectors") + sources("kompass/extraction"), ids=name)
def test_vectors_know_nothing_of_the_server(file: Path) -> None:
    outside = ("kompass.sync", "kompass.api", "kompass.identity", "replication")
    assert [module for module in imports(file) if module.startswith(outside)] == []


@pytest.mark.parametrize("file", sources("kompass/extraction"), ids=name)
def test_what_reads_hostile_files_needs_nothing_else_of_this_program(file: Path) -> None:
    own = [module for module in imports(file) if module.startswith("kompass")]
    assert [module for module in own if not module.startswith("kompass.extraction")] == []


@pytest.mark.parametrize("file", sources("kompass/readstore"), ids=name)
def test_the_read_store_knows_nothing_of_the_server(file: Path) -> None:
    used = list(imports(file))
    outside = ("kompass.sync", "kompass.api", "kompass.identity", "replication")
    assert [module for module in used if module.startswith(outside)] == []


REGISTER = ["register", "schema", "erasures", "pending", "tickets", "enrolments", "consents", "journal"]


@pytest.mark.parametrize("file", REGISTER)
def test_what_the_gate_asks_of_privacy_knows_nothing_of_sync(file: str) -> None:
    used = list(imports(ROOT / "kompass" / "privacy" / f"{file}.py"))
    assert [module for module in used if module.startswith(("kompass.sync", "kompass.api"))] == []


@pytest.mark.parametrize("file", sources("replication/store"), ids=name)
def test_stores_know_nothing_of_http(file: Path) -> None:
    assert [module for module in imports(file) if module.startswith(("replication.http", "starlette"))] == []


@pytest.mark.parametrize("package", ["accounts", "http", "queries", "replicator", "store/sqlite"])
def test_only_a_command_line_chooses_couchdb(package: str) -> None:
    used = [module for file in sources(f"replication/{package}") for module in imports(file)]
    assert [module for module in used if module.startswith("replication.store.couchdb")] == []


@pytest.mark.parametrize("file", sources("replication/replicator"), ids=name)
def test_the_replicator_knows_nothing_of_the_server(file: Path) -> None:
    assert [module for module in imports(file) if module.startswith(("replication.http", "starlette"))] == []


@pytest.mark.parametrize("file", sources("kompass"), ids=name)
def test_kompass_uses_only_public_names_of_replication(file: Path) -> None:
    used = [module for module in imports(file) if module.split(".")[0] == "replication"]
    assert [module for module in used if any(part.startswith("_") for part in module.split("."))] == []
