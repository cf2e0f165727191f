"""docs/operations/: what the pages say of the program and of figures is so."""

from __future__ import annotations

import math
import re

import pytest

from kompass.cluster import bases, catalogue, connections, index
from kompass.cluster.api import Api
from kompass.cluster.mirror import keeping, showing
from tests.compose.described import FOLDER, has_command, read
from tests.needs import ROOT

PAGES = {page.name: page.read_text() for page in (ROOT / "docs" / "operations").glob("*.md")}


def flat(name: str) -> str:
    return " ".join(PAGES[name].split())


@pytest.mark.parametrize(
    ("page", "claim"),
    [
        ("failures.md", f"the first waits at most {showing.PATIENCE_SECONDS:.0f} seconds and is stored"),
        ("failures.md", f"writes wait up to {connections.TURN_SECONDS} seconds, then 503"),
        ("failures.md", f"after {connections.HELD_SECONDS} seconds if not"),
        ("failures.md", f"each within {connections.CONNECT_SECONDS} seconds of a try"),
        ("failures.md", f"counts as gone after {connections.STUCK_SECONDS}"),
        ("failures.md", f"and hangs after {connections.ANSWER_SECONDS}"),
        (
            "failures.md",
            "in {:.0f} seconds is asked again, then after {:.0f}".format(*showing.SILENT_SECONDS),
        ),
        ("failures.md", f"tried again by the leader, {keeping.ATTEMPTS} times"),
        ("failures.md", f"tries its work again every {index._AGAIN_SECONDS:.0f} seconds"),
        ("failures.md", f"it isn't ready for {Api.NOTICE_SECONDS:.0f} seconds"),
        ("failures.md", f"answers what is in flight for {Api.SHUTDOWN_SECONDS} seconds at most"),
        ("upgrades.md", f"says for {Api.NOTICE_SECONDS:.0f} seconds that it isn't ready"),
        ("topology.md", f"every {bases.ENTRIES:,} entries, or {bases.ENTRIES_PER_MB} for each MB"),
        ("processes.md", f"every {bases.ENTRIES:,} entries, or {bases.ENTRIES_PER_MB} for each MB"),
        ("topology.md", f"looks every {keeping.EVERY_SECONDS:.0f} seconds"),
        ("topology.md", "four idle and one that listens"),
    ],
)
def test_times_are_those_of_the_program(page: str, claim: str) -> None:
    assert claim in flat(page)
    assert connections._MOST_IDLE == 4
    assert catalogue.BASES_KEPT == 2


def test_the_index_has_every_page() -> None:
    listed = set(re.findall(r"^\| \[([a-z]+\.md)\]", PAGES["README.md"], re.MULTILINE))
    assert listed == PAGES.keys() - {"README.md"}


def numbers(row: str) -> list[float]:
    return [float(re.sub(r"[^\d.]", "", cell)) for cell in row.strip("|").split("|")]


def test_the_figures_on_paper_follow_from_what_is_assumed() -> None:
    page = PAGES["sizing.md"]
    given = page.partition("| assumption | value |")[2].partition("\n\n")[0]
    values = re.findall(r"^\| [^|]+ \| ([\d.,]+)[^|]* \|", given, re.MULTILINE)
    writes, hours, peak, live, fetched, turn, entry, feeds, handed, feed = (
        float(value.replace(",", "")) for value in values
    )
    table = page.partition("| devices | live feeds |")[2].partition("\n\n")[0]
    rows = [numbers(row) for row in re.findall(r"^\| [\d,]+ \|.*\|$", table, re.MULTILINE)]
    assert [row[0] for row in rows] == [100, 1_000, 10_000, 100_000]
    for row in rows:
        devices = row[0]
        open_feeds = devices * live / 100
        a_second = devices * writes / (hours * 3600) * peak
        in_the_morning = devices * fetched / 3600
        processes = max(2, math.ceil(max(open_feeds / feeds, in_the_morning / handed)) + 1)
        expected = [
            devices,
            open_feeds,
            round(a_second, 1),
            round(100 * a_second / turn, 1),
            round(in_the_morning),
            processes,
            round(open_feeds * feed / 1000),
            round(devices * writes * entry / 1e6, 1),
        ]
        assert row == expected


def test_what_follows_from_measured_figures_is_worked_out_from_them() -> None:
    page = flat("sizing.md")
    costs = PAGES["sizing.md"].partition("| API | each other copy |")[2].partition("\n\n")[0]
    _, rest = costs.split("| through one API process |")
    judged, played, _, _, written, validated = numbers(rest.partition("\n")[0])
    alone = re.search(r"CouchDB alone, validating [| ]*([\d.]+) \| ([\d.]+) \|", costs)
    bare = re.search(r"CouchDB alone [| ]*([\d.]+) \|", costs)
    assert alone
    assert bare
    floor = float(alone[1]) + float(alone[2])
    pushes = round(1000 / judged, -2)
    couchdb = written + validated
    busiest = 100_000 * 40 / (8 * 3600) * 5
    per_mb = bases.ENTRIES_PER_MB
    packed = 0.47
    for claim in (
        f"more than writing the document: {floor - float(bare[1]):.2f} ms",
        f"{floor:.2f} ms, is the floor: two cores for everything give {round(2000 / floor, -1):,.0f} pushes",
        f"{judged} ms are {pushes:,.0f} pushes a second",
        f"CouchDB needs {couchdb:.2f} ms for each of them, so {pushes * couchdb / 1000:.1f} cores",
        f"{busiest:.0f} a second are {busiest * couchdb / 1000:.1f} cores of each",
        f"and 3,000 are {3 * couchdb:.1f}",
        f"{busiest:.0f} entries a second, at {played:.2f} ms, cost each copy {busiest * played / 10:.0f} %",
        f"{busiest * 1.6 / 1000:.1f} MB/s for each process",
        f"{11 * busiest * 1.6 / 1000:.0f} MB/s at the busiest moment",
        f"{2 * per_mb} entries for each MB of it, 1.6 KB each: {2 * packed + 2 * per_mb * 1.6e-3:.1f} times",
        f"{1000 * packed / per_mb:.1f} KB are written for files",
        f"{1000 * packed / per_mb + 1.6:.1f} KB together, {4 * (1000 * packed / per_mb + 1.6):.0f} GB a day",
        f"{50_000 * 0.02:,.0f} seconds, at 20 ms for each MB",
        f"200 in 8 ms, as above, would be {200 / 0.008:,.0f}",
    ):
        assert claim in page, claim


def test_the_limits_of_compose_are_what_is_said() -> None:
    services = read(FOLDER / "compose.yaml")["services"].values()
    given = [
        one["deploy"]["resources"]["limits"]["memory"]
        for one in services
        if one["restart"] == "unless-stopped"
    ]
    total = sum(float(one[:-1]) * {"m": 1e-3, "g": 1}[one[-1]] for one in given)
    assert f"add up to {total:.0f} GB of memory" in flat("sizing.md")


def test_what_was_measured_stands_where_it_is_said_to() -> None:
    decision = (ROOT / "docs/decisions/0032-several-processes-by-one-journal.md").read_text()
    jobs = (ROOT / "docs/jobs.md").read_text()
    for claim in ("3,600 pushes a second become 3,000", "3.7 KB", "1.6 KB", "under 1 GB"):
        assert claim in decision
    memory = re.search(r"^\| memory: (.*?) \|", PAGES["sizing.md"], re.MULTILINE)
    assert memory
    for process in memory[1].split(", "):
        assert re.search(rf"\| memory of all processes .*\b{process}\b", jobs), process
    assert "234 MB" in (ROOT / "docs/readstore.md").read_text()
    assert "1,000 idle long polls cost 9 MB" in (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_commands_and_services_that_pages_name_are_there() -> None:
    services = read(FOLDER / "compose.yaml")["services"]
    text = "\n".join(PAGES.values())
    for service in re.findall(
        r"docker compose (?:exec|restart|logs|run --rm)(?: --\S+)* ([a-z][a-z0-9-]*)", text
    ):
        assert service in services, service
    for command in re.findall(r"`kompass ([a-z-]+(?: [a-z-]+)?)", text):
        words = [word for word in command.split() if word.islower()]
        assert has_command(words[:1]), command
