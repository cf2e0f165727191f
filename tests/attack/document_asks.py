"""How somebody asks for documents that aren't his as resources of `/api/v1`. Every resource has these routes:
they are asked for under the types of documents that hold secrets, whatever type the document is of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kompass.resources.catalogue import RESOURCES
from tests.attack.asking import Ask, Asks, Target, query_of

ASKED = ("customer-finances", "project-competitors", "activities", "user-tasks", "expenses", "contacts")

_ANY = {"if-match": "*"}


def pattern(path: str) -> str:
    """A route's path without the name of its resource."""
    name, slash, rest = path.lstrip("/").partition("/")
    return f"/{{resource}}{slash}{rest}" if name in RESOURCES else path


def _listed(t: Target) -> Asks:
    for name in ASKED:
        for query in (
            {},
            {"sort": "-createdAt", "limit": "200"},
            {"sort": "modifiedBy", "limit": "1"},
            {"fields": "createdBy"},
            {"_id": t.id},
            {"createdBy": t.user},
            {"notes.contains": "MARK"},
            {"modifiedAt.gt": "2000-01-01", "version.exists": "true"},
            {"cursor": "AAAA"},
        ):
            yield Ask("GET", f"/api/v1/{name}?{query_of(**query)}")
        yield Ask("POST", f"/api/v1/{name}", {"type": "customer"}, changes=True)


def _exported(t: Target) -> Asks:
    for name in ASKED:
        for form in ("csv", "json", "ndjson"):
            yield Ask("GET", f"/api/v1/{name}/export?{query_of(format=form)}")
        for query in (
            {"_id": t.id},
            {"sort": "-modifiedAt", "fields": "createdBy"},
            {"notes.contains": "MARK"},
        ):
            yield Ask("GET", f"/api/v1/{name}/export?{query_of(**query)}")
    yield Ask("GET", "/api/v1/expenses/export?profile=expenses")
    yield Ask("GET", "/api/v1/customers/export?profile=lexware-customers")


def _one(suffix: str, *writes: tuple[str, Any], queries: tuple[str, ...] = ("",)) -> Callable[[Target], Asks]:
    def ask(t: Target) -> Asks:
        for name in ASKED:
            path = f"/api/v1/{name}/{t.path}{suffix.format(attachment=t.attachment)}"
            for query in queries:
                yield Ask("GET", path + query)
                yield Ask("GET", path + query, headers={"if-none-match": f'"{t.rev}"'})
            for method, body in writes:
                for headers in (_ANY, {"if-match": f'"{t.rev}"'}, {}):
                    yield Ask(method, path, body, headers=headers, changes=True)

    return ask


def _printed(suffix: str, *, writes: bool = False) -> Callable[[Target], Asks]:
    """What few types have: asked for with documents of any."""

    def ask(t: Target) -> Asks:
        for name in ("offers", "contracts", "tours"):
            path = f"/api/v1/{name}/{t.path}{suffix}"
            yield Ask("GET", path)
            yield Ask("GET", path, headers={"if-none-match": f'"{t.rev}"'})
            if writes:
                for headers in (_ANY, {"if-match": f'"{t.rev}"'}, {}):
                    yield Ask("POST", path, headers=headers, changes=True)

    return ask


def _imported(t: Target) -> Asks:
    xml = {"content-type": "application/xml"}
    yield Ask(
        "POST", f"/api/v1/supplier-invoices/import?supplierId={t.path}", "<x/>", headers=xml, changes=True
    )


FOR_DOCUMENTS: Mapping[str, Callable[[Target], Asks]] = {
    "/{resource}": _listed,
    "/{resource}/export": _exported,
    "/{resource}/{id}": _one(
        "", ("PUT", {}), ("PATCH", {"notes": "x"}), ("DELETE", None), queries=("", "?fields=createdBy")
    ),
    "/{resource}/{id}/actions": _one("/actions"),
    "/{resource}/{id}/actions/{action}": _one("/actions/approve", ("POST", {})),
    "/{resource}/{id}/history": _one("/history", queries=("", "?limit=200", "?user=nobody")),
    "/{resource}/{id}/comments": _one(
        "/comments", ("POST", {"content": "x"}), queries=("", "?sort=-createdAt&limit=1")
    ),
    "/{resource}/{id}/attachments": _one("/attachments"),
    "/{resource}/import": _imported,
    "/{resource}/{id}/pdf": _printed("/pdf"),
    "/{resource}/{id}/expense-sheet": _printed("/expense-sheet"),
    "/{resource}/{id}/archive": _printed("/archive", writes=True),
    "/{resource}/{id}/attachments/{name:path}": _one(
        "/attachments/{attachment}", ("PUT", {}), ("DELETE", None)
    ),
}
