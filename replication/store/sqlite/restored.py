"""What a database has to forget when its file comes back from a backup.

Its numbers count anew from where the backup was: what they stood for afterwards is lost, and devices may
have seen it. And the checkpoints of replications say how far a device was then: one that pushed more
meanwhile, within the same session, would believe that the server has it. Without a checkpoint both sides
compare what they have.
"""

from __future__ import annotations

from typing import Any

import apsw

from replication.protocol.sequences import new_epoch_name
from replication.store.sqlite.schema import migrate


def come_back(connection: apsw.Connection) -> tuple[int, int]:
    """Begins an epoch and drops checkpoints, in one transaction. The number of the last change that is still
    known, and how many checkpoints went.
    """
    migrate(connection)
    with connection:
        last: Any = connection.execute("SELECT update_seq FROM counters").get
        connection.execute("INSERT INTO epochs VALUES (?, ?)", (last, new_epoch_name()))
        dropped = drop_checkpoints(connection, "local")
    return int(last), dropped


def drop_checkpoints(connection: apsw.Connection, table: str) -> int:
    """Of all replications, from a table of local documents (`body`). How many there were."""
    # PouchDB's and CouchDB's: an object with the session that wrote it and those before.
    connection.execute(
        f"DELETE FROM {table} WHERE json_valid(CAST(body AS TEXT))"
        " AND json_type(CAST(body AS TEXT), '$.session_id') = 'text'"
        " AND json_type(CAST(body AS TEXT), '$.history') = 'array'"
    )
    return connection.changes()
