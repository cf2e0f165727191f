"""Programs and devices that some tests need and a machine may lack.

A test says what it needs with a marker (`@pytest.mark.node`); where that is missing it is skipped
with a line that says what to do. The environment variable KOMPASS_TEST_REQUIRE
(`node,keycloak`, names of `NEEDS`) turns such a skip into a failure: a machine that is meant to run
everything can't quietly run less.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kompass.jobs import redis
from kompass.readstore import embedded

ROOT = Path(__file__).parent.parent

COUCHDB_URL = os.environ.get("KOMPASS_TEST_COUCHDB_URL", "").rstrip("/")
"""Of a CouchDB, with an administrator's name and password."""
COUCHDB_DIRECTORY = os.environ.get("KOMPASS_TEST_COUCHDB_DIRECTORY", "")
"""Where the files of that CouchDB are, if the tests may read them."""

MEILI_URL = "KOMPASS_TEST_MEILI_URL"
"""Names a MeiliSearch; `KOMPASS_TEST_MEILI_KEY` its key."""


class Missing(Exception):
    """It isn't there; the message says how to get it."""


def _node() -> str:
    # scripts/test may have put Node.js into the virtual environment.
    found = shutil.which("node") or shutil.which("node", path=str(ROOT / ".venv" / "bin"))
    if found is None:
        raise Missing("Node.js is missing: run ./scripts/test, or install Node.js 20 or newer")
    if not (ROOT / "pwa-contract" / "node_modules" / "pouchdb").is_dir():
        raise Missing("the Node packages are missing: run ./scripts/test, or `npm ci` in pwa-contract/")
    return found


def _clients() -> str:
    if not (ROOT / "pwa-contract" / "clients" / "node_modules" / "rxdb").is_dir():
        raise Missing(
            "the other clients are missing: run ./scripts/test, or `npm ci` in pwa-contract/clients/"
        )
    return _node()


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise Missing("no Chromium on PATH: apt install chromium")


def _keycloak() -> str:
    home = os.environ.get("KOMPASS_TEST_KEYCLOAK")
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kompass"
    found = [Path(home)] if home else sorted(cached.glob("keycloak-*"))
    if not found or not (found[-1] / "bin" / "kc.sh").is_file():
        raise Missing("Keycloak is missing: run ./scripts/test, or name its folder in KOMPASS_TEST_KEYCLOAK")
    if shutil.which("java") is None:
        raise Missing("Keycloak needs Java: apt install openjdk-17-jre-headless")
    return str(found[-1])


def _postgres() -> str:
    why = embedded.available()
    if why is not None:
        raise Missing(why)
    return embedded.__file__


def _couchdb() -> str:
    if not COUCHDB_URL:
        raise Missing("KOMPASS_TEST_COUCHDB_URL names no CouchDB, with an administrator's name and password")
    return COUCHDB_URL


def _pouchdb_server() -> str:
    found = shutil.which("pouchdb-server")
    if found is None:
        raise Missing("no pouchdb-server on PATH: npm install --global pouchdb-server")
    return found


def _meilisearch() -> str:
    url = os.environ.get(MEILI_URL, "")
    if not url:
        raise Missing(f"{MEILI_URL} names no MeiliSearch, and KOMPASS_TEST_MEILI_KEY no key of it")
    return url


def _redis() -> str:
    try:
        return str(redis.program())
    except redis.RedisMissing as missing:
        raise Missing(str(missing)) from None


def _weaviate() -> str:
    named = os.environ.get("KOMPASS_TEST_WEAVIATE")
    built = Path(os.environ.get("GOBIN") or Path(os.environ.get("GOPATH") or Path.home() / "go") / "bin")
    found = named or shutil.which("weaviate-server") or shutil.which("weaviate-server", path=str(built))
    if not found or not os.access(found, os.X_OK):
        raise Missing(
            "Weaviate is missing: run .ci/run where Go is installed, or name its program in"
            " KOMPASS_TEST_WEAVIATE"
        )
    return found


def _verapdf() -> str:
    folder = os.environ.get("KOMPASS_TEST_VERAPDF", "")
    if not folder or not list(Path(folder).glob("greenfield-apps-*.jar")):
        raise Missing(
            "KOMPASS_TEST_VERAPDF names no folder with the jars of veraPDF:"
            " ./scripts/test fetches them by Maven"
        )
    if shutil.which("java") is None:
        raise Missing("veraPDF needs Java: apt install openjdk-17-jre-headless")
    return folder


def _schematron() -> str:
    folder = os.environ.get("KOMPASS_TEST_SCHEMATRON", "")
    jars = ("Saxon-HE-*.jar", "phive-rules-en16931-*.jar", "phive-rules-xrechnung-*.jar")
    if not folder or not all(list(Path(folder).glob(one)) for one in jars):
        raise Missing(f"KOMPASS_TEST_SCHEMATRON names no folder with {', '.join(jars)} of Maven Central")
    if shutil.which("java") is None:
        raise Missing("Saxon needs Java: apt install openjdk-17-jre-headless")
    return folder


def _libreoffice() -> str:
    found = shutil.which("soffice")
    if found is None:
        raise Missing("no soffice on PATH: apt install libreoffice-calc")
    return found


def _full_disk() -> str:
    if not Path("/dev/full").exists():
        raise Missing("no /dev/full, which takes nothing as a full disk does: Linux has it, macOS has not")
    return "/dev/full"


NEEDS: dict[str, Callable[[], str]] = {
    "node": _node,
    "clients": _clients,
    "chromium": _chromium,
    "keycloak": _keycloak,
    "postgres": _postgres,
    "weaviate": _weaviate,
    "redis": _redis,
    "meilisearch": _meilisearch,
    "couchdb": _couchdb,
    "libreoffice": _libreoffice,
    "full-disk": _full_disk,
    "pouchdb-server": _pouchdb_server,
    "verapdf": _verapdf,
    "schematron": _schematron,
}


def required_names() -> set[str]:
    """The names in KOMPASS_TEST_REQUIRE; a misspelt one is an error, it would require nothing."""
    names = {name.strip() for name in os.environ.get("KOMPASS_TEST_REQUIRE", "").split(",")} - {""}
    if unknown := names - NEEDS.keys():
        known = ", ".join(sorted(NEEDS))
        raise pytest.UsageError(f"KOMPASS_TEST_REQUIRE names {', '.join(sorted(unknown))}; known: {known}")
    return names


def require(name: str) -> str:
    """Its path or address. Skips the running test when it is missing, or fails it if required."""
    try:
        return NEEDS[name]()
    except Missing as missing:
        if name in required_names():
            pytest.fail(f"{missing} (required by KOMPASS_TEST_REQUIRE)", pytrace=False)
        pytest.skip(str(missing))
