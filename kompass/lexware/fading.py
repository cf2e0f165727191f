"""What stood in rows that didn't fit isn't kept for ever: once it is settled, or of files, after a while.

That a file came, how many of its rows came to what, and who settled what and when stays.
"""

from __future__ import annotations

import orjson

from kompass.leases import Lease
from kompass.lexware.errors import bare
from kompass.lexware.store import LexwareStore, note
from kompass.sqlfile import fetch

_NOTE = "faded"
_SAID = "What it said was removed when it had been settled for long."
_GESAGT = "Was dort stand, wurde entfernt: es war seit langem erledigt."


def fade(store: LexwareStore, lease: Lease, before: float) -> None:
    """Of errors that were settled, and files that came, before this time. Blocks. Raises `LeaseLostError`."""
    noted = store.noted(_NOTE)
    since = 0.0 if noted is None else float(noted[1]["before"])
    with store.writing() as connection:
        lease.check(connection)
        for num, detail in fetch(
            connection,
            "SELECT num, detail FROM errors WHERE resolved_at >= ? AND resolved_at < ?",
            (since, before),
        ):
            connection.execute(
                "UPDATE errors SET reason = ?, grund = ?, value = '', detail = ? WHERE num = ?",
                (_SAID, _GESAGT, orjson.dumps(bare(orjson.loads(detail))).decode(), num),
            )
        for sha256, text in fetch(
            connection, "SELECT sha256, report FROM arrivals WHERE at >= ? AND at < ?", (since, before)
        ):
            report = orjson.dumps({**orjson.loads(text), "problems": []}).decode()
            connection.execute("UPDATE arrivals SET report = ? WHERE sha256 = ?", (report, sha256))
        note(connection, _NOTE, {"before": before})
