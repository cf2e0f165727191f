"""How somebody asks for what isn't his at `/api/v1`, and at the product's other paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kompass.sync.opening import DATABASE
from tests.attack.asking import Ask, Asks, Target, get
from tests.attack.document_asks import FOR_DOCUMENTS


def own_paths(t: Target) -> Asks:
    for path in ("/healthz", "/readyz", "/metrics", "/app", "/app/", "/api", "/api/", "/api/v1", "/api/v1/"):
        yield from get(path)
    for path in ("..%2f..%2fpyproject.toml", "../server.py", "%2e%2e/server.py", "..\\server.py", "%00"):
        yield from get(f"/app/{path}")
    yield from get(f"/app/..%2f{DATABASE}/{t.path}")
    yield from get(f"/%61pi/v1/..%2f..%2f{DATABASE}/{t.path}")
    yield from get("/api/v1/openapi.json")


def _api(*asks: tuple[str, str, Any]) -> Callable[[Target], Asks]:
    def ask(t: Target) -> Asks:
        for method, path, body in asks:
            for one in (t.path, "0" * 32, "..%2fsession", "%2e%2e"):
                yield Ask(method, f"/api/v1/{path.format(id=one)}", body, changes=method != "GET")

    return ask


def _explained(t: Target) -> Asks:
    for user in (t.user, "nobody"):
        yield Ask("GET", f"/api/v1/access/explain?user={user}&doc={t.path}")


def _tried(t: Target) -> Asks:
    for change in ({"owner": t.user}, {"type": "role"}, {"private": None, "createdBy": t.user}):
        yield Ask("POST", "/api/v1/access/dry-run", {"changes": {t.id: change}})


def _booked(t: Target) -> Asks:
    yield Ask("POST", "/api/v1/datev/bookings?from=2026-01-01&to=2026-12-31&dry_run=true", None)


def _others(t: Target) -> Asks:
    for name in (t.user, "nobody"):
        yield from get(f"/api/v1/users/{name}")
        body = {"roles": ["GF"], "reason": "because I can"}
        yield Ask("PATCH", f"/api/v1/users/{name}", body, changes=True)


def _conflicting(t: Target) -> Asks:
    for query in ("", "?state=open,resolved,merged&limit=200", f"?entityId={t.path}", "?escalated=true"):
        yield Ask("GET", f"/api/v1/conflicts{query}")


def _quarantined(t: Target) -> Asks:
    for query in ("", "?own=false", "?own=true", "?state=waiting", "?limit=200", "?before=999999"):
        yield Ask("GET", f"/api/v1/quarantine{query}")


def _audited(path: str) -> Callable[[Target], Asks]:
    def ask(t: Target) -> Asks:
        yield from get(f"/api/v1/{path}")
        for query in ("limit=200", f"document={t.path}", f"user={t.user}", f"user=nobody&document={t.path}"):
            yield Ask("GET", f"/api/v1/{path}?{query}")

    return ask


def _erased(t: Target) -> Asks:
    wish = {"reason": "Antrag nach Art. 17", "dryRun": True}
    yield Ask("POST", f"/api/v1/privacy/subjects/{t.path}/erasure", wish)


def _followed(t: Target) -> Asks:
    for interval in ({"since": "0", "until": "now"}, {"since": "now", "until": "now"}):
        yield Ask("POST", "/api/v1/feed/access", {"ids": [t.id], **interval})


def _searched(t: Target) -> Asks:
    for text in ("", "MARK", "MRAK", "MAR", t.id, t.rev, "geheim", t.user):
        for more in (
            {},
            {"limit": "50", "sort": "-modifiedAt"},
            {"limit": "50", "offset": "50", "sort": "value"},
            {"customerId": t.id, "limit": "50"},
            {"projectId": t.id},
            {"owner": t.user, "type": "customer,project,expense"},
        ):
            yield from get("/api/v1/search", {"q": text, **more}, head=False)


def _reported(t: Target) -> Asks:
    for name in ("pipeline", "forecast", "margins", "aging", "invoices", "workload", "capacity", t.path):
        yield from get(f"/api/v1/reports/{name}")


def _bulk(t: Target) -> Asks:
    """Under another type, too, and under a key that somebody else may have used."""
    for name in ("contacts", "customer-finances", "user-tasks"):
        at = {"resource": name, "id": t.id}
        operations = [
            {"op": "create", "resource": name, "document": {"_id": t.id}},
            {"op": "replace", **at, "rev": "*", "document": {}},
            {"op": "update", **at, "rev": t.rev, "document": {}},
            {"op": "delete", **at, "rev": "*"},
            {"op": "action", **at, "rev": "*", "action": "complete"},
        ]
        for headers in ({}, {"idempotency-key": "one"}):
            yield Ask("POST", "/api/v1/bulk", {"operations": operations}, headers=headers, changes=True)


def _hooked(t: Target) -> Asks:
    """Somebody who would have the document sent to him."""
    body = {
        "url": "http://127.0.0.1:9/",
        "events": ["customer.updated"],
        "fields": ["notes"],
        "person": t.user,
    }
    yield Ask("PUT", "/api/v1/jobs/webhooks/n8n", body)
    yield Ask("DELETE", "/api/v1/jobs/webhooks/n8n")


def _viewed(t: Target) -> Asks:
    """Through somebody else's eyes."""
    for person in (t.user, "gf1", "_jobs"):
        yield Ask("POST", "/api/v1/jobs/service/view", {"person": person, "ids": [t.id]})


def _made_by_service(t: Target) -> Asks:
    body = {"type": "notification", "recipientId": t.user, "documentId": t.id, "isRead": False}
    yield Ask("PUT", f"/api/v1/jobs/service/documents/{t.path}", body)


def _exchanged(t: Target) -> Asks:
    """Somebody who would have it sent to Lexware, and then fetch the file."""
    for kind in ("contracts", "customers"):
        yield Ask("POST", "/api/v1/lexware/exports", {"kind": kind, "dryRun": True})
        yield Ask("POST", "/api/v1/lexware/exports", {"kind": kind, "ids": [t.id], "dryRun": True})
    yield from get("/api/v1/lexware/exports")


def _imported(t: Target) -> Asks:
    for kind in ("payments", "invoices"):
        yield Ask("POST", f"/api/v1/lexware/imports?dryRun=true&kind={kind}", {"id": t.id})
    yield from get("/api/v1/lexware/imports")


def _settled(t: Target) -> Asks:
    for wish in ({"action": "assign", "invoice": t.id}, {"action": "ignore", "reason": "because I can"}):
        yield Ask("POST", "/api/v1/lexware/errors/1/resolution", wish)


def _tabled(t: Target) -> Asks:
    """A file that names what isn't his, read and looked at; and everybody's imports."""
    yield from get("/api/v1/imports")
    for doctype in ("contact", "opportunity"):
        content = f"Kunde;Nachname;Vorname;Titel\n{t.id};MARK;Eva;Neu\n"
        yield Ask("POST", f"/api/v1/imports?type={doctype}&file=x.csv", content, changes=True)


FOR_API: Mapping[str, Callable[[Target], Asks]] = {
    **FOR_DOCUMENTS,
    "/lexware/exports": _exchanged,
    "/lexware/imports": _imported,
    "/lexware/status": lambda t: get("/api/v1/lexware/status"),
    "/lexware/reconciliation": lambda t: get("/api/v1/lexware/reconciliation", {"month": "2026-10"}),
    "/lexware/imports/poll": _api(("POST", "lexware/imports/poll", None)),
    "/lexware/imports/{num:number}": _api(("GET", "lexware/imports/1", None)),
    "/lexware/errors": _api(("GET", "lexware/errors", None), ("GET", "lexware/errors?state=all", None)),
    "/lexware/errors/{num:number}/resolution": _settled,
    "/lexware/exports/{num:number}": _api(("GET", "lexware/exports/1", None)),
    "/lexware/exports/{num:number}/file": _api(("GET", "lexware/exports/1/file", None)),
    "/bulk": _bulk,
    "/openapi.json": lambda t: get("/api/v1/openapi.json"),
    "/docs": lambda t: get("/api/v1/docs"),
    "/calendars": _api(("GET", "calendars", None), ("POST", "calendars", {"name": "x"})),
    "/calendars/{id}": _api(("DELETE", "calendars/{id}", None)),
    "/calendars/{token}.ics": _api(("GET", "calendars/{id}.ics", None)),
    "/access/explain": _explained,
    "/access/dry-run": _tried,
    "/devices": _api(("GET", "devices", None), ("GET", "devices?all=true", None)),
    "/devices/{id}": _api(("GET", "devices/{id}", None), ("PATCH", "devices/{id}", {"name": "x"})),
    "/devices/{id}/revoke": _api(("POST", "devices/{id}/revoke", None)),
    "/devices/{id}/lost": _api(("POST", "devices/{id}/lost", None)),
    "/devices/{id}/restore": _api(("POST", "devices/{id}/restore", None)),
    "/audit": _audited("audit"),
    "/audit/export": _audited("audit/export"),
    "/audit/verification": lambda t: get("/api/v1/audit/verification"),
    "/audit/keys": lambda t: get("/api/v1/audit/keys"),
    "/datev/bookings": _booked,
    "/datev/batches": lambda t: get("/api/v1/datev/batches"),
    "/datev/accounts": lambda t: get("/api/v1/datev/accounts?dry_run=true"),
    "/gobd/export": lambda t: get("/api/v1/gobd/export?from=2026-01-01&to=2026-12-31"),
    "/privacy/subjects/{id}/export": lambda t: get(f"/api/v1/privacy/subjects/{t.path}/export"),
    "/privacy/subjects/{id}/erasure": _erased,
    "/privacy/subjects/{id}/consents": lambda t: get(f"/api/v1/privacy/subjects/{t.path}/consents"),
    "/privacy/tickets": lambda t: get("/api/v1/privacy/tickets"),
    "/privacy/tickets/{num:number}/acknowledge": _api(("POST", "privacy/tickets/1/acknowledge", {})),
    "/imports": _tabled,
    "/imports/{id}": _api(("GET", "imports/{id}", None), ("DELETE", "imports/{id}", None)),
    "/imports/{id}/reading": _api(("PUT", "imports/{id}/reading", {})),
    "/imports/{id}/mapping": _api(("PUT", "imports/{id}/mapping", {"columns": {}})),
    "/imports/{id}/preview": _api(("GET", "imports/{id}/preview", None)),
    "/imports/{id}/execute": _api(("POST", "imports/{id}/execute", {})),
    "/imports/{id}/rows": _api(("GET", "imports/{id}/rows", None)),
    "/imports/{id}/errors": _api(("GET", "imports/{id}/errors", None)),
    "/imports/{id}/undo": _api(("POST", "imports/{id}/undo", {})),
    "/privacy/consumers": _api(("GET", "privacy/consumers", None)),
    "/privacy/consumers/{name}": _api(
        ("PUT", "privacy/consumers/search", {}), ("DELETE", "privacy/consumers/other", None)
    ),
    "/privacy/consumers/{name}/tickets": _api(
        ("GET", "privacy/consumers/search/tickets", None),
        ("POST", "privacy/consumers/search/tickets", {"tickets": [1]}),
    ),
    "/feed/access": _followed,
    "/feed/status": lambda t: get("/api/v1/feed/status"),
    "/feed/dead": lambda t: get("/api/v1/feed/dead"),
    "/feed/dead/{num:number}": _api(("GET", "feed/dead/1", None), ("DELETE", "feed/dead/1", None)),
    "/feed/dead/{num:number}/replay": _api(("POST", "feed/dead/1/replay", None)),
    "/feed/rebuilds/{sink}": _api(("POST", "feed/rebuilds/search", None)),
    "/jobs": lambda t: get("/api/v1/jobs"),
    "/jobs/status": lambda t: get("/api/v1/jobs/status"),
    "/jobs/events": lambda t: get("/api/v1/jobs/events", head=False, seconds="0", after="0"),
    "/jobs/{id}": _api(("GET", "jobs/1", None), ("DELETE", "jobs/1", None)),
    "/jobs/{id}/replay": _api(("POST", "jobs/1/replay", None)),
    "/jobs/webhooks": lambda t: get("/api/v1/jobs/webhooks"),
    "/jobs/webhooks/{name}": _hooked,
    "/jobs/webhooks/{name}/deliveries": lambda t: get("/api/v1/jobs/webhooks/n8n/deliveries"),
    "/jobs/service/view": _viewed,
    "/jobs/service/people": lambda t: get("/api/v1/jobs/service/people", role="GF"),
    "/jobs/service/webhooks/{name}": lambda t: get("/api/v1/jobs/service/webhooks/n8n"),
    "/jobs/service/documents/{id:path}": _made_by_service,
    "/feed/people": lambda t: get("/api/v1/feed/people"),
    "/search": _searched,
    "/search/documents/{id}": lambda t: get(f"/api/v1/search/documents/{t.path}"),
    "/reports": lambda t: get("/api/v1/reports"),
    "/reports/{name}": _reported,
    "/users": _api(("GET", "users", None)),
    "/users/{name}": _others,
    "/login": _api(("GET", "login", None)),
    "/session": _api(("GET", "session", None), ("DELETE", "session", None)),
    "/conflicts": _conflicting,
    "/conflicts/resolve": _api(("POST", "conflicts/resolve", {"ids": ["0" * 32], "strategy": "local"})),
    "/conflicts/{id}": _api(("GET", "conflicts/{id}", None)),
    "/conflicts/{id}/resolve": _api(("POST", "conflicts/{id}/resolve", {"strategy": "local"})),
    "/quarantine": _quarantined,
    "/quarantine/{id}": _api(("GET", "quarantine/{id}", None)),
    "/quarantine/{id}/attachments/{name:path}": _api(("GET", "quarantine/{id}/attachments/secret.txt", None)),
    "/quarantine/{id}/release": _api(("POST", "quarantine/{id}/release", {"overwrite": True})),
    "/quarantine/{id}/correct": _api(
        ("POST", "quarantine/{id}/correct", {"document": {"type": "contact"}, "rev": None})
    ),
    "/quarantine/{id}/discard": _api(("POST", "quarantine/{id}/discard", None)),
}
"""By the paths that routes have in the API."""

OWN: Mapping[str, Callable[[Target], Asks]] = {"own": own_paths}
