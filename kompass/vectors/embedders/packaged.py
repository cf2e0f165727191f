"""The model that comes with the package wordllama: a vector for each of 32,000 tokens, and their mean.

Its files are read directly: to import the package brings libraries that nobody needs here, and changes the
settings of logging for the whole process. The table stays in half precision and on the disk (16 MB, of which
what is used is in memory, once for all processes). Libraries are loaded with the first text.
"""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kompass.vectors.embedders.interface import EmbedderUnavailableError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from tokenizers import Tokenizer

    from kompass.vectors.packing import Vectors

    _Table = npt.NDArray[np.float16]

DIMENSIONS = 256
NAME = f"wordllama/l2_supercat_{DIMENSIONS}"
_WEIGHTS = f"weights/l2_supercat_{DIMENSIONS}.safetensors"
_TOKENS = "tokenizers/l2_supercat_tokenizer_config.json"
WEIGHT = 0.1
"""It knows little German: with more it would bring names that are written right out of order."""


class PackagedEmbedder:
    """See `kompass.vectors.embedders.interface.Embedder`."""

    name = NAME
    at_once = 256

    def __init__(self, weight: float = WEIGHT) -> None:
        self.weight = weight
        self._lock = threading.Lock()
        self._loaded: tuple[Tokenizer, _Table] | None = None

    def spans(self, text: str) -> list[tuple[int, int]]:
        tokenizer, _ = self._model()
        return [(first, last) for first, last in tokenizer.encode(text, add_special_tokens=False).offsets]

    async def passages(self, texts: Sequence[str]) -> Vectors:
        return await asyncio.to_thread(self._embed, texts)

    async def question(self, text: str) -> Vectors:
        return await asyncio.to_thread(self._embed, [text])

    async def close(self) -> None: ...

    def _embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        tokenizer, table = self._model()
        found = np.zeros((len(texts), DIMENSIONS), np.float32)
        for row, encoded in enumerate(tokenizer.encode_batch(list(texts), add_special_tokens=False)):
            if encoded.ids:
                found[row] = table[encoded.ids].mean(axis=0, dtype=np.float32)
        return found

    def _model(self) -> tuple[Tokenizer, _Table]:
        with self._lock:
            if self._loaded is None:
                self._loaded = _load()
            return self._loaded


def _load() -> tuple[Tokenizer, _Table]:
    from tokenizers import Tokenizer

    found = importlib.util.find_spec("wordllama")
    if found is None or not found.submodule_search_locations:
        raise EmbedderUnavailableError("wordllama not installed: pip install 'kompass[vectors]'")
    directory = Path(found.submodule_search_locations[0])
    try:
        tokenizer = Tokenizer.from_file(str(directory / _TOKENS))
        table = _table(directory / _WEIGHTS)
    except Exception as error:  # tokenizers raises nothing more precise
        raise EmbedderUnavailableError(
            f"the model in {directory} can't be read: {error}; pip install --force-reinstall wordllama"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer, table


def _table(file: Path) -> _Table:
    """The only tensor of a safetensors file: eight bytes of length, a header in JSON, numbers."""
    import numpy as np

    with file.open("rb") as opened:
        start = 8 + int.from_bytes(opened.read(8), "little")
    return np.memmap(file, np.float16, "r", offset=start).reshape(-1, DIMENSIONS)
