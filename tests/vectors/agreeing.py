"""Puts what a database has into an index of vectors at once, as if every customer had agreed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from kompass.feed.sink import Batch, Change
from kompass.server import Product
from kompass.vectors.embedded.store import EmbeddedStore
from kompass.vectors.embedders.packaged import NAME
from kompass.vectors.originals import Document
from kompass.vectors.readings import Readings
from kompass.vectors.sink import VectorSink
from tests.feed.changes import CONSENT
from tests.search.filling import follow
from tests.vectors.embedded import Documents, embedder


class Agreeing(VectorSink):
    """A sink to which every customer agrees; of other documents only some come, if those are named."""

    only: frozenset[str] | None = None

    async def apply(self, batch: Batch) -> None:
        await super().apply(replace(batch, changes=list(self._agreed(batch.changes))))

    def _agreed(self, changes: Iterable[Change]) -> Iterable[Change]:
        for one in changes:
            if self.only is not None and one.id not in self.only:
                continue
            yield replace(one, doc={**one.doc, "dsgvoConsent": CONSENT}) if one.doc else one


async def filled(
    product: Product, directory: Path, documents: Iterable[Document], only: Iterable[str] | None = None
) -> None:
    """`documents`: what the server has, of which customers are looked up."""
    there = {doc["_id"]: {**doc, "dsgvoConsent": CONSENT} for doc in documents}
    store, readings = EmbeddedStore(directory, NAME), Readings(directory, NAME)
    sink = Agreeing(store, embedder(), Documents(there), readings)
    sink.only = None if only is None else frozenset(only)
    await sink.open()
    await follow(product, sink)
    await sink.close()
