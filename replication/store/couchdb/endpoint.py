"""Where the CouchDB server is, and as whom to log in there.

A login is one line: `NAME:PASSWORD` for a session, `basic NAME:PASSWORD` to send both with every request,
`bearer TOKEN` for a JSON Web Token, `bearer @FILE` for one that is read anew when it has run out.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from replication.replicator.options import Basic, Bearer, BearerFile, Credentials, Endpoint, Session


def read_login(text: str) -> Credentials:
    """Raises `ValueError` saying what is wrong with it, without quoting it."""
    line = text.strip()
    kind, blank, rest = line.partition(" ")
    if blank and kind == "bearer":
        if not rest.strip() or not rest.isascii() or not rest.isprintable():
            raise ValueError("a token must be printable ASCII")
        token = rest.strip()
        return BearerFile(Path(token[1:])) if token.startswith("@") else Bearer(token)
    if blank and kind == "basic":
        return Basic(*_pair(rest))
    return Session(*_pair(line))


def _pair(text: str) -> tuple[str, str]:
    name, colon, password = text.partition(":")
    if not colon or not name or not password or not text.isprintable():
        raise ValueError("a login must be NAME:PASSWORD, basic NAME:PASSWORD or bearer TOKEN, on one line")
    return name, password


def read_endpoint(url: str, login: Credentials | None = None) -> Endpoint:
    """The server at `url`. Raises `ValueError` saying what is wrong with it.

    `login` takes the place of credentials in the URL.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("the address of the database server is no URL") from None
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
        raise ValueError("the address of the database server must be http://HOST:PORT or https://HOST:PORT")
    if parts.query or parts.fragment:
        raise ValueError("the address of the database server must have no query and no fragment")
    if login is None and parts.username is not None:
        login = Session(unquote(parts.username), unquote(parts.password or ""))
    bracketed = f"[{host}]" if ":" in host else host
    netloc = bracketed if port is None else f"{bracketed}:{port}"
    return Endpoint(f"{parts.scheme}://{netloc}{parts.path.rstrip('/')}/", credentials=login)
