"""docs/access-endpoints.md has every endpoint there is, with its methods, and says what is so."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from replication.http import routes
from replication.http.routes import Access, Route
from tests.needs import ROOT
from tests.sync.personal.world import World

TEXT = (ROOT / "docs" / "access-endpoints.md").read_text()

NODE = [
    *routes.NODE.values(),
    *routes.NODE_CONFIG,
    routes.NODE_CONFIG_RELOAD,
    routes.NODE_INCOMPLETE,
    routes.NODE_UNKNOWN,
    routes.NODE_MISSING,
]

SHAPES: dict[str, list[Route]] = {
    "/": [routes.ROOT],
    "/{db}": [routes.DATABASE_ROOT],
    "_all_docs/queries": [routes.LISTING_QUERIES],
    "_index/…": [routes.INDEX_BELOW],
    "_partition/{p}": [routes.PARTITION],
    "{doc}": [routes.DOCUMENT],
    "_local/{doc}": [routes.LOCAL_DOCUMENT],
    "{doc}/{attachment}": [routes.ATTACHMENT],
    "_node/{name}/…": NODE,
}
"""Routes that have no name of their own in a table."""


def documented() -> dict[str, list[tuple[set[str], str]]]:
    """Endpoint -> its rows: methods, and what people get."""
    found: dict[str, list[tuple[set[str], str]]] = {}
    for name, methods, what in re.findall(r"^\| `([^`]+)` \| ([A-Z ]+) \| (.+) \|$", TEXT, re.MULTILINE):
        found.setdefault(name, []).append((set(methods.split()), what))
    return found


def existing() -> dict[str, set[str]]:
    def named(table: Mapping[str, Route], prefix: str = "") -> dict[str, list[Route]]:
        return {f"{prefix}{name}": [route] for name, route in table.items()}

    tables = SHAPES | named(routes.SERVER) | named(routes.DATABASE) | named(routes.DESIGN, "_design/{d}/")
    return {name: {method for route in some for method in route.methods} for name, some in tables.items()}


def test_every_route_is_in_the_table() -> None:
    listed = {
        name: {method for methods, _ in rows for method in methods} for name, rows in documented().items()
    }
    assert listed == existing()


def test_every_route_of_the_program_is_looked_at_here() -> None:
    """A route beside the tables would be in none of them."""
    known = [route for some in SHAPES.values() for route in some]
    for table in (routes.SERVER, routes.DATABASE, routes.DESIGN):
        known += table.values()
    named = {id(value) for value in vars(routes).values() if isinstance(value, Route)}
    assert named <= {id(route) for route in known}


def test_what_is_for_administrators_of_the_server_is_said_to_be() -> None:
    rows = documented()
    for name, route in routes.SERVER.items():
        for_administrators = route.access in (Access.SERVER_ADMIN, Access.METRICS)
        assert rows[name][0][1].startswith("server administrators") == for_administrators, name
    for name, route in routes.DATABASE.items():
        if route.access is Access.SERVER_ADMIN:
            assert rows[name][0][1].startswith("401"), name


REFUSALS = [
    (name, method, int(found[0]))
    for name, rows in documented().items()
    for methods, what in rows
    for method in sorted(methods - {"HEAD"})
    if (found := re.match(r"(401|410|501|400|403)\b(?!.*404)", what))
]


@pytest.mark.parametrize(("name", "method", "status"), REFUSALS)
async def test_what_is_refused_answers_so(world: World, name: str, method: str, status: int) -> None:
    await world.put("_design/d", kompass={"public": True}, views={"v": {"map": "function(doc) {}"}})
    path = name.replace("/{db}", "").replace("{d}", "d").replace("{p}", "p")
    answer = await world.client("ada").request(method, path, json={})
    assert answer.status_code == status, answer.text
