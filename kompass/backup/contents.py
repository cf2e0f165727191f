"""Which files of a data directory a backup has, and which follow from them.

Databases (`*.sqlite`) have documents, trees, attachments, local documents, the chain of writes, numbers,
conflicts, who may see what; quarantine; users; devices; replications. Those of `kompass.kept` are the truth
about what isn't in documents, as jobs. Small files have the server's name, its settings, the keys of the
chain, and the logs of erasures and revocations.

Left out are `search/`, `vectors/`, `postgres/` and `feed/`: copies of documents, and how far each is. They
are made anew, because the feed tells them that the database was restored. Redis has nothing that
`jobs.sqlite` hasn't. `LOCK` and `processes.json` are about processes.
"""

from __future__ import annotations

from pathlib import Path

from kompass import kept
from kompass.audit.signing import FILE as KEYS
from kompass.privacy.journal import FILE as ERASURES
from kompass.revocations.log import FILE as REVOCATIONS
from replication.store.sqlite.store import SUFFIX

SERVER = "server.json"
LOGS = (ERASURES, REVOCATIONS)
"""Files that lines are added to, and that outlive a restore: what they say counts after it as well."""
SMALL = (SERVER, "settings.json", KEYS, *LOGS)
"""Files that are replaced whole, or that lines are added to."""


def databases(directory: Path) -> list[Path]:
    """The SQLite files that are there, the operational database and others like it first."""
    found = sorted(directory.glob(f"*{SUFFIX}"))
    return [*found, *(directory / file for file in kept.FILES if (directory / file).is_file())]


def is_database(name: str) -> bool:
    """Whether a file of a backup is a database of documents."""
    return "/" not in name and name.endswith(SUFFIX)
