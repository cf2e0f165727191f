"""The product in this process: its application, without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from kompass.server import Product, create_product
from kompass.settings import Settings
from kompass.sync.serving import Sync
from tests.cluster import over


@asynccontextmanager
async def running_product(
    directory: Path,
    admin: tuple[str, str],
    *,
    sync: Callable[..., Sync] = Sync,
    feed_secret: str = "",
    jobs_secret: str = "",
    **settings: Any,
) -> AsyncIterator[Product]:
    """The product with its data in `directory` and `admin` as its administrator; closed behind the block.
    `sync` makes what stands before that directory's documents, if it isn't the simplest there is.
    `feed_secret` lets the service in that follows the feed, `jobs_secret` the one that does jobs.

    Over a cluster, the one that leads, whose requests are answered by those that serve.
    """

    async def start(directory: Path, stack: AsyncExitStack, more: dict[str, Any], **how: Any) -> Product:
        made = sync(directory, **how)
        store = await made.open_store()
        stack.push_async_callback(store.close)
        given = Settings(admin=":".join(admin), data=directory, **{**settings, **more})
        product = await create_product(
            store, made, given, password_iterations=10, feed_secret=feed_secret, jobs_secret=jobs_secret
        )
        stack.push_async_callback(product.documents.server.close)
        stack.push_async_callback(product.close)
        return product

    async with AsyncExitStack() as stack:
        if not over.IS_CLUSTER:
            yield await start(directory, stack, {})
            return
        cluster = await over.cluster_of(directory)
        products = []
        for number in range(1 + over.APIS):
            process = await cluster.join()
            stack.push_async_callback(cluster.leave, process)
            if number:
                _share_search(directory, process.directory)
            how = {"texts": process.texts, "opens": process.open_store, "leads": number == 0}
            # No worker runs beside it, which `/readyz` would say.
            more = {"journal_dsn": cluster.address.dsn, "jobs": settings.get("jobs", bool(jobs_secret))}
            products.append(await start(process.directory, stack, more, **how))
        yield _Led(products[0], products[1:])


def answering(product: Product) -> list[Product]:
    """Those that answer what this one is asked: itself, but over a cluster."""
    return product.others if isinstance(product, _Led) else [product]


def _share_search(directory: Path, other: Path) -> None:
    """Where a cluster has a server of its own for it."""
    other.mkdir()
    (other / "search").symlink_to(directory / "search")


class _Led(Product):
    """The product that leads, to be looked at; others answer what it is asked."""

    def __init__(self, leader: Product, others: list[Product]) -> None:
        vars(self).update(vars(leader))
        self.others = others
        self._balanced = over.Balanced.of(others, leader.documents.server.store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._balanced(scope, receive, send)
