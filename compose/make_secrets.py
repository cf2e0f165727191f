#!/usr/bin/env python3
"""Makes the secrets of compose.yaml, each a file of its own: `python3 make_secrets.py [--directory secrets]`.

What is there already stays, so it can be run again after a change. The files can be read by everybody and
their directory by its owner alone: containers run as different users, and see single files without the
directory. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

BYTES = 32
ITERATIONS = 600_000
"""Of CouchDB's hash, its own default. All nodes have the same hash, so none of them makes another one."""

DISTRIBUTION_PORT = 9100


class Made:
    """The files of one directory. A secret that others are made of is made with the first of them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.new: list[str] = []

    def __call__(self, name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(BYTES)) -> str:
        """The text of a secret, which is made if it isn't there."""
        file = self._directory / name
        if not file.exists():
            part = file.with_name(f".{name}")
            part.write_text(make(), "utf-8")
            part.chmod(0o444)
            part.rename(file)
            self.new.append(name)
        return file.read_text("utf-8")


def make(directory: Path) -> list[str]:
    """Names of the secrets that were made now."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    made = Made(directory)
    _own(made)
    _couchdb(made)
    _postgres(made)
    _others(made)
    return made.new


def _own(made: Made) -> None:
    made("kompass_admin", lambda: f"kompass:{secrets.token_urlsafe(BYTES)}")
    made("kompass_feed_secret")
    made("kompass_jobs_secret")
    made("keycloak_client_secret")
    made("keycloak_admin_password")
    made("backup_key")  # keep a copy elsewhere: without it no backup can be read
    for name in ("backup_s3_access_key", "backup_s3_secret_key"):  # whoever has a bucket puts its key there
        made(name)


def _couchdb(made: Made) -> None:
    service, admin = made("couchdb_password"), made("couchdb_admin_password")
    made("couchdb_url", lambda: f"http://kompass:{service}@couchdb:5984")
    made("couchdb_admin", lambda: f"admin:{admin}")
    made("couchdb_netrc", lambda: f"default login admin password {admin}\n")
    made("couchdb.ini", lambda: couchdb_settings(admin))
    made("couchdb_vm.args", lambda: erlang_arguments(secrets.token_urlsafe(BYTES)))


def couchdb_settings(password: str) -> str:
    """What the nodes of a cluster have in common and nobody else may know.

    The password is the administrator's, who makes databases. The server is somebody else, who may use them.
    """
    salt = secrets.token_hex(16)
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), ITERATIONS).hex()
    return (
        f"[admins]\nadmin = -pbkdf2:sha256-{key},{salt},{ITERATIONS}\n\n"
        f"[chttpd_auth]\nsecret = {secrets.token_hex(32)}\n\n"
        f"[couchdb]\nuuid = {secrets.token_hex(16)}\n"
    )


def erlang_arguments(cookie: str) -> str:
    """CouchDB's own `vm.args`, with the cookie that lets nodes in and one port for them to talk on."""
    return "\n".join(
        (
            f"-setcookie {cookie}",
            "-kernel error_logger silent",
            "-sasl sasl_error_logger false",
            "-kernel prevent_overlapping_partitions false",
            f"-kernel inet_dist_listen_min {DISTRIBUTION_PORT}",
            f"-kernel inet_dist_listen_max {DISTRIBUTION_PORT}",
            "+SDio 16",
            "+zdbbl 32768",
            "+Bd -noinput",
            # No core is kept busy with waiting: in a container with a limit that is time taken from work.
            "+sbwt none",
            "+sbwtdcpu none",
            "+sbwtdio none",
            "-ssl session_lifetime 300",
            "-os_mon start_cpu_sup false",
            "-os_mon start_memsup false",
            "-os_mon disk_space_check_interval 5",
            "-os_mon disk_almost_full_threshold 1.0",
            "",
        )
    )


def _postgres(made: Made) -> None:
    made("postgres_password")
    made("keycloak_db_password")
    for name, login, database in (
        ("journal", "journal", "journal"),
        ("readstore", "kompass_sink", "readstore"),
    ):
        password = made(f"{name}_password")
        url = f"postgresql://{login}:{password}@postgres:5432/{database}"
        made(f"{name}_dsn", lambda url=url: url)  # type: ignore[misc]


def _others(made: Made) -> None:
    redis = made("redis_password")
    made("redis_url", lambda: f"redis://:{redis}@redis:6379/0")
    made("redis.conf", lambda: redis_settings(redis))
    meilisearch = made("meilisearch_key")
    made("meilisearch.toml", lambda: f'master_key = "{meilisearch}"\n')
    made("weaviate_key")
    access, secret = made("s3_access_key", lambda: secrets.token_hex(10)), made("s3_secret_key")
    made("s3.json", lambda: s3_settings(access, secret))


def redis_settings(password: str) -> str:
    """A queue that may lose everything: the jobs' own list has it all. Full means no, never forgetting."""
    return f'requirepass {password}\nmaxmemory 192mb\nmaxmemory-policy noeviction\nsave ""\nappendonly no\n'


def s3_settings(access: str, secret: str) -> str:
    """One identity for one bucket."""
    actions = [f"{action}:weaviate" for action in ("Admin", "Read", "List", "Tagging", "Write")]
    credentials = [{"accessKey": access, "secretKey": secret}]
    return json.dumps({"identities": [{"name": "weaviate", "credentials": credentials, "actions": actions}]})


def main() -> int:
    parser = argparse.ArgumentParser(description="Makes the secrets of compose.yaml.")
    parser.add_argument("--directory", type=Path, default=Path(__file__).parent / "secrets")
    directory = parser.parse_args().directory
    new = make(directory)
    sys.stdout.write(f"{directory}: {len(new)} secrets made\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
