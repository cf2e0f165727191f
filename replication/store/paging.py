"""How many documents to read at once, when nobody knows yet how large they are."""

from __future__ import annotations

from typing import Final

PAGE_BYTES: Final = 512 * 1024
"""Bytes that a page should have."""

FIRST_PAGE: Final = 8
"""Documents of a first page. They may all be as large as a document may be."""


class PageSize:
    """Rows of the next page, judged by the size of the page before."""

    __slots__ = ("_most", "rows")

    def __init__(self, first: int = FIRST_PAGE, *, most: int) -> None:
        """`first`: rows of the first page; `most`: of any."""
        self.rows = first
        self._most = most

    def saw(self, count: int, size: int) -> None:
        """The last page had `count` rows in `size` bytes."""
        if count:
            fitting = PAGE_BYTES * count // max(size, 1)
            self.rows = max(1, min(fitting, 4 * self.rows, self._most))
