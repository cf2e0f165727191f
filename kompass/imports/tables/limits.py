"""How large a table may be."""

from __future__ import annotations

MOST_BYTES = 10 * 1024 * 1024
"""Of a file, packed as it is."""
MOST_ROWS = 10_000
"""Rows below the headings."""
MOST_COLUMNS = 500
MOST_ABOVE = 100
"""Rows that may stand above the headings, and rows without anything between others."""
MOST_UNPACKED = 100 * 1024 * 1024
"""Bytes of everything in an archive."""
MOST_RATIO = 200
"""So many times may a part be larger than it is packed, unless it is small."""
SMALL = 1024 * 1024
MOST_PARTS = 2_000
"""Files in an archive."""
LONGEST_CELL = 12_000
"""Characters of a cell that are read: more than any field holds, so what is cut is refused."""
