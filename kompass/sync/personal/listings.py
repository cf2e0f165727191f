"""Listings of documents in the order of their ids."""

from __future__ import annotations

from kompass.sync.index import listing
from kompass.sync.personal.local import within
from kompass.sync.personal.person import Person
from replication.protocol import jsontext
from replication.store.values import Document, KeyRange, RowsPage


class Listings(Person):
    """`_all_docs`, and what is counted for it."""

    async def all_docs(
        self, span: KeyRange, *, skip: int = 0, limit: int = 1000, include_docs: bool = False
    ) -> RowsPage:
        rows = []
        listed = await self.documents(span, skip=skip, limit=limit)
        for document in listed:
            docid = jsontext.encode(document.id)
            row = b'{"id":%b,"key":%b,"value":{"rev":"%b"}' % (docid, docid, document.rev.encode("ascii"))
            rows.append(row + (b',"doc":%b}' % document.text if include_docs else b"}"))
        return RowsPage(b",\r\n".join(rows), len(rows), listed[-1].id if listed else None)

    async def count_before(self, span: KeyRange) -> int:
        if span.start is None:
            return 0
        public = await self._public()
        with self._reading() as reading:
            count = listing.count_before(reading, self._user, span)
        behind = (docid > span.start if span.descending else docid < span.start for docid in public)
        return count + sum(behind)

    async def documents(self, span: KeyRange, *, skip: int = 0, limit: int = 1000) -> list[Document]:
        public = {docid: doc for docid, doc in (await self._public()).items() if within(span, docid)}
        # Of the first `skip` rows at most so many are design documents: the others are skipped in the index.
        skipped = max(0, skip - len(public))
        skip -= skipped
        with self._reading() as reading:
            ids = listing.ids(reading, self._user, span, skip=skipped, limit=skip + limit)
            if public:
                ids = sorted({*ids, *public}, reverse=span.descending)
            ids = ids[skip : skip + limit]
            found = {**self._winners(reading, ids), **public}
        documents = [found[docid] for docid in ids if docid in found]
        if len(documents) < len(ids) == limit:
            # Some turned out to be none of his. A page that isn't full would be the last.
            rest = span._replace(start=ids[-1], inclusive_start=False)
            documents += await self.documents(rest, limit=limit - len(documents))
        return documents
