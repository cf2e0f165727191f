"""The product in this process: its application, without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from kompass.server import Product, create_product
from kompass.settings import Settings
from kompass.sync.serving import Sync


@asynccontextmanager
async def running_product(
    directory: Path,
    admin: tuple[str, str],
    *,
    sync: Sync | None = None,
    feed_secret: str = "",
    jobs_secret: str = "",
    **settings: Any,
) -> AsyncIterator[Product]:
    """The product with its data in `directory` and `admin` as its administrator; closed behind the block.
    `sync`: what stands before that directory's documents, if it isn't the simplest there is. `feed_secret`
    lets the service in that follows the feed, `jobs_secret` the one that does jobs.
    """
    async with AsyncExitStack() as stack:
        sync = sync or Sync(directory)
        store = await sync.open_store()
        stack.push_async_callback(store.close)
        given = Settings(admin=":".join(admin), data=directory, **settings)
        product = await create_product(
            store, sync, given, password_iterations=10, feed_secret=feed_secret, jobs_secret=jobs_secret
        )
        stack.push_async_callback(product.documents.server.close)
        stack.push_async_callback(product.close)
        yield product
