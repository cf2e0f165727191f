"""Vectors as they are computed with, and as they are stored.

This is what needs numpy, which a server loads when somebody asks by meaning, and not before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""One row for each text."""


def packed(vector: npt.NDArray[np.float32]) -> bytes | None:
    """A vector as it is stored: a signed byte for each dimension. Only its direction counts, so the greatest
    is made 127. None for one without direction."""
    greatest = float(np.max(np.abs(vector), initial=0.0))
    if not np.isfinite(greatest) or greatest == 0.0:
        return None
    return bytes(np.rint(vector * (127.0 / greatest)).astype(np.int8).tobytes())


def repacked(vector: Sequence[float]) -> bytes:
    """The vector as it is stored, of one that was stored before."""
    return packed(np.asarray(vector, np.float32)) or b""


def unpacked(stored: bytes) -> list[float]:
    """The same vector as numbers, of length 1."""
    vector = np.frombuffer(stored, dtype=np.int8).astype(np.float32)
    return [float(one) for one in vector / np.linalg.norm(vector)]
