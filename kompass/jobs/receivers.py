"""Webhooks: who is called for what, what became of the calls, and who is left alone for a while.

A receiver that fails `PATIENCE` times in a row isn't called for a minute, then, after one more failure, for
two, and so on up to an hour. Its jobs wait, without counting as attempts. Then one of them goes first.
"""

from __future__ import annotations

import re
import secrets
import time
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import apsw
import orjson

from kompass.jobs.catalogue import BY_NAME
from kompass.jobs.schedules import EVENTS
from kompass.jobs.store import Entry, JobStore

PATIENCE = 5
FIRST_REST, LONGEST_REST = 60.0, 3600.0
SECRET_PREFIX = "whsec_"  # noqa: S105 - how such secrets begin
MOST_FIELDS = 100
MOST_HISTORY = 500
"""Calls of one webhook that are shown."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")


class WebhookError(ValueError):
    """It can't be so. The text says what is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Webhook:
    name: str
    url: str
    secret: str
    """As Standard Webhooks write it: `whsec_` and Base64."""
    events: Sequence[str]
    fields: Sequence[str]
    """Of documents, that are sent along; always with their id, type and revision."""
    person: str
    """As whom it reads: it gets nothing that he may not read."""
    active: bool = True
    made: float = 0.0
    failures: int = 0
    """In a row."""
    closed_until: float = 0.0
    """It is left alone until then."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One call."""

    num: int
    job: str
    at: float
    attempt: int
    status: int | None
    milliseconds: int
    error: str


_COLUMNS = "name, url, secret, events, fields, person, active, made, failures, closed_until"


def webhooks(store: JobStore) -> list[Webhook]:
    rows = store.rows(f"SELECT {_COLUMNS} FROM webhooks ORDER BY name")  # noqa: S608 - constants
    return [
        Webhook(
            row[0], row[1], row[2], orjson.loads(row[3]), orjson.loads(row[4]), row[5], bool(row[6]), *row[7:]
        )
        for row in rows
    ]


def webhook(store: JobStore, name: str) -> Webhook | None:
    return next((one for one in webhooks(store) if one.name == name), None)


def put(
    store: JobStore,
    name: str,
    url: str,
    events: Iterable[str],
    fields: Iterable[str],
    person: str,
    *,
    secret: str | None = None,
    active: bool = True,
) -> Webhook:
    """Makes or changes it; a new one without a secret gets one. Raises `WebhookError`."""
    before = webhook(store, name)
    one = Webhook(
        name,
        url,
        secret or (before.secret if before is not None else new_secret()),
        sorted(set(events)),
        sorted(set(fields)),
        person,
        active,
        before.made if before is not None else time.time(),
    )
    _check(one)
    with store.writing() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO webhooks VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0)",
            (
                one.name, one.url, one.secret, orjson.dumps(one.events).decode(),
                orjson.dumps(one.fields).decode(), one.person, one.active, one.made,
            ),
        )  # fmt: skip
    return one


def remove(store: JobStore, name: str) -> bool:
    """With its history. False if there is none of that name."""
    with store.writing() as connection:
        connection.execute("DELETE FROM deliveries WHERE webhook = ?", (name,))
        connection.execute("DELETE FROM webhooks WHERE name = ?", (name,))
        return connection.changes() > 0


def history(store: JobStore, name: str, *, limit: int = 50) -> list[Delivery]:
    """The latest call first."""
    rows = store.rows(
        "SELECT num, job, at, attempt, status, milliseconds, error FROM deliveries WHERE webhook = ?"
        " ORDER BY num DESC LIMIT ?",
        (name, min(limit, MOST_HISTORY)),
    )
    return [Delivery(*row) for row in rows]


def new_secret() -> str:
    return SECRET_PREFIX + b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The bytes that sign. Raises `WebhookError`."""
    try:
        key = b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (Base64Error, ValueError):
        raise WebhookError("the secret is no Base64") from None
    if not 24 <= len(key) <= 64:
        raise WebhookError("the secret has 24 to 64 bytes, written in Base64")
    return key


def _check(one: Webhook) -> None:
    if _NAME.fullmatch(one.name) is None:
        raise WebhookError("the name has lower-case letters, digits, - and _, at most 64")
    try:
        parts = urlsplit(one.url)
        port = parts.port
    except ValueError:
        raise WebhookError("the URL can't be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or len(one.url) > 2000:
        raise WebhookError("the URL is one of http or https, with a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise WebhookError("the URL has neither a login nor a fragment: the signature tells who calls")
    if not all(33 <= ord(each) < 127 for each in one.url):
        raise WebhookError("the URL is written in ASCII, other characters escaped")
    key_of(one.secret)
    unknown = [each for each in one.events if each not in BY_NAME and each not in EVENTS]
    if unknown or not one.events:
        raise WebhookError(
            f"there are no such events: {', '.join(unknown)}" if unknown else "name its events"
        )
    if len(one.fields) > MOST_FIELDS or not all(_FIELD.fullmatch(each) for each in one.fields):
        raise WebhookError(f"fields are names of fields, at most {MOST_FIELDS}")
    if not one.person or len(one.person) > 200:
        raise WebhookError("name the person as whom it reads")


# -- what became of calls ----------------------------------------------------------------------


def succeeded(
    connection: apsw.Connection, name: str, entry: Entry, delivery: Mapping[str, Any], now: float
) -> None:
    """Within `writing` of the store."""
    _remember(connection, name, entry, delivery, now)
    connection.execute("UPDATE webhooks SET failures = 0, closed_until = 0 WHERE name = ?", (name,))


def failed(
    connection: apsw.Connection, name: str, entry: Entry, delivery: Mapping[str, Any], now: float
) -> None:
    """Within `writing` of the store."""
    _remember(connection, name, entry, delivery, now)
    row = connection.execute("SELECT failures, closed_until FROM webhooks WHERE name = ?", (name,)).fetchone()
    if row is None or now < row[1] <= now + LONGEST_REST:
        return  # it is left alone already: this was under way with the call for which it is
    failures = int(row[0]) + 1
    connection.execute("UPDATE webhooks SET failures = ? WHERE name = ?", (failures, name))
    if failures >= PATIENCE:
        rest = min(FIRST_REST * 2 ** min(failures - PATIENCE, 20), LONGEST_REST)
        connection.execute("UPDATE webhooks SET closed_until = ? WHERE name = ?", (now + rest, name))


def _remember(
    connection: apsw.Connection, name: str, entry: Entry, delivery: Mapping[str, Any], now: float
) -> None:
    connection.execute(
        "INSERT INTO deliveries (webhook, job, at, attempt, status, milliseconds, error)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            name, entry.id, now, entry.attempts + 1, delivery.get("status"),
            int(delivery.get("milliseconds") or 0), str(delivery.get("error") or ""),
        ),
    )  # fmt: skip
