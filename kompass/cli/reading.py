"""Documents of a running server, as far as whoever asks may read them: every answer is of his own view."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kompass.client import Client

PAGE = 500
"""Documents that are asked for at a time."""
MOST_KEPT = 20_000
"""Documents that are remembered because others name them."""

Body = Mapping[str, Any]


class Reading:
    """Pages of a type's documents, and the documents that these name."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: OrderedDict[str, Body | None] = OrderedDict()
        self._missing: set[str] = set()

    def pages(self, doctype: str, where: Mapping[str, Sequence[str]]) -> Iterator[list[Body]]:
        """The documents in the order of their ids. `where`: members and the values that they may have."""
        selector: dict[str, Any] = {"type": doctype}
        selector |= {member: {"$in": list(values)} for member, values in where.items()}
        bookmark = None
        while True:
            asked = {"selector": selector, "limit": PAGE, **({"bookmark": bookmark} if bookmark else {})}
            found = self._client.couchdb("POST", "/kompass/_find", asked)
            if found["docs"]:
                yield found["docs"]
            while len(self._kept) > MOST_KEPT:  # never while a page is worked on, which may need them all
                self._kept.popitem(last=False)
            if len(found["docs"]) < PAGE:
                return
            bookmark = found["bookmark"]

    def __call__(self, docid: str) -> Body | None:
        """A document that is known; None if he may not read it, if there is none, and until `fetch`."""
        if docid not in self._kept:
            self._missing.add(docid)
        return self._kept.get(docid)

    def fetch(self) -> bool:
        """Makes known what was asked for in vain. Whether there was anything."""
        missing = sorted(self._missing)
        self._missing.clear()
        for first in range(0, len(missing), PAGE):
            keys = {"keys": missing[first : first + PAGE]}
            shown = {"include_docs": "true"}
            for row in self._client.couchdb("POST", "/kompass/_all_docs", keys, shown)["rows"]:
                self._kept[row["key"]] = row.get("doc")
        return bool(missing)
