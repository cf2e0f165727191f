"""What an export reads: pages of a list as somebody sees it, and the documents that these name."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kompass.accounting.profiles import Profile
from kompass.accounting.sources import values
from kompass.resources import lists
from kompass.sync.personal import PersonalDatabase
from replication.protocol import jsontext
from replication.store.values import Document

PAGE = 500
"""Documents that are read at a time, of one state of the database."""
MOST_KEPT = 20_000
"""Documents that are remembered because others name them."""

Body = Mapping[str, Any]


async def pages(view: PersonalDatabase, question: lists.Question) -> AsyncGenerator[Sequence[Document], None]:
    """All documents of a list. Each time it is asked anew what he may read."""
    question = replace(question, limit=PAGE)
    cursor = None
    while True:
        page = await lists.page(view, question, cursor)
        if page.items:
            yield page.items
        if page.following is None:
            return
        cursor = page.following


class Named:
    """Documents that others name, as far as he may read them; asked for many at a time."""

    def __init__(self, view: PersonalDatabase) -> None:
        self._view = view
        self._kept: OrderedDict[str, Body | None] = OrderedDict()
        self._missing: set[str] = set()

    def __call__(self, docid: str) -> Body | None:
        """One that is known; None if he may not read it, if there is none, and until `fetch`."""
        if docid not in self._kept:
            self._missing.add(docid)
        return self._kept.get(docid)

    async def of(self, profile: Profile, bodies: Sequence[Body]) -> None:
        """Makes known whatever the rows of these documents need."""
        # Documents lead to others, and these to others again: each round asks for all that are new at once.
        while len(self._kept) > MOST_KEPT:  # never while a page is worked on, which may need them all
            self._kept.popitem(last=False)
        while True:
            for body in bodies:
                values(profile, body, self)
            if not await self.fetch():
                return

    def keep(self, bodies: Sequence[Body]) -> None:
        """He has just read these: as many as are remembered needn't be asked for."""
        room = max(0, MOST_KEPT - len(self._kept))
        self._kept.update((str(body["_id"]), body) for body in bodies[:room])

    async def known(self, docids: Iterable[str]) -> None:
        """Makes known these, as far as he may read them, and forgets others if they are many."""
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        for docid in docids:
            self(docid)
        await self.fetch()

    async def fetch(self) -> bool:
        """Makes known what was asked for in vain. Whether there was anything."""
        missing = sorted(self._missing)
        self._missing.clear()
        for start in range(0, len(missing), PAGE):
            asked = missing[start : start + PAGE]
            found = await self._view.winners(asked)
            for docid in asked:
                document = found.get(docid)
                here = document is not None and not document.deleted
                self._kept[docid] = jsontext.decode(document.text) if document is not None and here else None
            await asyncio.sleep(0)
        return bool(missing)
