"""What a reader of the changes feed asks for in the query.

CouchDB takes the names of these parameters in any case, and a boolean that isn't `true` for false.
Numbers it can't read make it fail with a 500; here they are the 400 that they should be.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from replication.http.document_options import ReadOptions
from replication.http.params import Query
from replication.protocol import errors, jsontext

DEFAULT_TIMEOUT = 60.0
"""Seconds after which an idle feed ends or gives a sign of life; nobody gets to wait longer."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,1000}", re.ASCII)
_UNBOUNDED = 1 << 62


class Feed(Enum):
    NORMAL = "normal"
    LONGPOLL = "longpoll"
    CONTINUOUS = "continuous"
    EVENTSOURCE = "eventsource"


_FEEDS = {feed.value: feed for feed in Feed} | {"live": Feed.CONTINUOUS}
_STYLES = {"main_only": False, "all_docs": True}


@dataclass(frozen=True, slots=True)
class ChangesOptions:
    """The parameters of one feed. Times in seconds."""

    feed: Feed = Feed.NORMAL
    since: str = "0"
    limit: int | None = None
    all_leaves: bool = False
    """`style=all_docs`: rows list every leaf."""
    descending: bool = False
    include_docs: bool = False
    documents: ReadOptions = field(default_factory=ReadOptions)
    heartbeat: float | None = None
    timeout: float = DEFAULT_TIMEOUT
    filter: str = ""
    seq_interval: int | None = None
    """Only every so many rows have a sequence."""

    @property
    def rewrites_documents(self) -> bool:
        """Whether the documents in the rows are not the stored texts."""
        return self.include_docs and (self.documents.conflicts or self.documents.rewrites_attachments)


def read_changes_options(query: Query, last_event_id: str | None = None) -> ChangesOptions:
    """Raises 400 for values that can't be read. `last_event_id`: the header that event sources send."""
    given = {name.lower(): text for name, text in query.items()}
    feed = _FEEDS.get(given.get("feed", "normal"))
    heartbeat = _heartbeat(given["heartbeat"]) if "heartbeat" in given else None
    interval = _interval(given["seq_interval"]) if "seq_interval" in given else None
    limit = _integer("limit", given["limit"]) if "limit" in given else -1
    style = given.get("style", "main_only")
    if style not in _STYLES:
        raise errors.bad_request(f"Invalid style: {jsontext.quote(style)}; it is main_only or all_docs")
    timeout = _integer("timeout", given["timeout"]) if "timeout" in given else None
    if feed is None:
        raise errors.bad_request("Supported `feed` types: normal, continuous, live, longpoll, eventsource")
    if timeout is not None and timeout < 0 and feed is not Feed.NORMAL:
        raise errors.bad_request("The timeout value should be a positive integer (in milliseconds).")
    since = next((given[name] for name in reversed(given) if name in ("since", "last-event-id")), "0")
    if feed is Feed.EVENTSOURCE and last_event_id is not None:
        since = last_event_id
    return ChangesOptions(
        feed=feed,
        since=since,
        limit=None if limit < 0 else limit,
        all_leaves=_STYLES[style],
        descending=given.get("descending") == "true",
        include_docs=given.get("include_docs") == "true",
        documents=ReadOptions(
            conflicts=given.get("conflicts") == "true",
            attachments=given.get("attachments") == "true",
            att_encoding_info=given.get("att_encoding_info") == "true",
        ),
        heartbeat=heartbeat,
        timeout=DEFAULT_TIMEOUT if timeout is None else min(DEFAULT_TIMEOUT, timeout / 1000),
        filter=given.get("filter", ""),
        seq_interval=interval,
    )


def _integer(name: str, text: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise errors.bad_request(f"Invalid value for integer `{name}`: {jsontext.quote(text)}")
    return max(-1, min(int(text), _UNBOUNDED))


def _heartbeat(text: str) -> float:
    if text == "true":
        return DEFAULT_TIMEOUT
    if _INTEGER.fullmatch(text) is None:
        raise errors.bad_request(
            "Invalid heartbeat value. Expecting a positive integer value (in milliseconds)."
        )
    value = _integer("heartbeat", text)
    if value <= 0:
        raise errors.bad_request("The heartbeat value should be a positive integer (in milliseconds).")
    return min(DEFAULT_TIMEOUT, value / 1000)


def _interval(text: str) -> int:
    if _INTEGER.fullmatch(text) is None or (value := _integer("seq_interval", text)) <= 0:
        raise errors.bad_request("invalid_seq_interval")
    return value
