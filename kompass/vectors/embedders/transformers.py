"""A model of sentence-transformers, in this process: `intfloat/multilingual-e5-large`, or a folder with one.

The libraries are large (torch) and are loaded with the first text, and so is the model, which is fetched from
Hugging Face unless it is there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from kompass.vectors.embedders.interface import EmbedderUnavailableError, prefixes
from kompass.vectors.packing import Vectors


class TransformersEmbedder:
    """See `kompass.vectors.embedders.interface.Embedder`."""

    at_once = 32

    def __init__(self, model: str, *, weight: float = 1.0) -> None:
        self.name = f"sentence-transformers/{model}"
        self.weight = weight
        self._model = model
        self._lock = threading.Lock()
        self._loaded: Any = None

    def spans(self, text: str) -> list[tuple[int, int]]:
        tokenizer = self._encoder().tokenizer
        if hasattr(tokenizer, "encode_batch"):  # one of the library tokenizers itself
            return [(first, last) for first, last in tokenizer.encode(text, add_special_tokens=False).offsets]
        found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [(first, last) for first, last in found["offset_mapping"]]

    async def passages(self, texts: Sequence[str]) -> Vectors:
        before = prefixes(self._model).passage
        return await asyncio.to_thread(self._embed, [before + text for text in texts])

    async def question(self, text: str) -> Vectors:
        return await asyncio.to_thread(self._embed, [prefixes(self._model).question + text])

    async def close(self) -> None: ...

    def _embed(self, texts: list[str]) -> Vectors:
        encoder = self._encoder()
        with self._lock:
            found = encoder.encode(texts, batch_size=self.at_once, show_progress_bar=False)
        return np.asarray(found, np.float32)

    def _encoder(self) -> Any:
        with self._lock:
            if self._loaded is None:
                try:
                    from sentence_transformers import SentenceTransformer

                    self._loaded = SentenceTransformer(self._model)
                except Exception as error:  # libraries and the network, in many ways
                    raise EmbedderUnavailableError(
                        f"the model {self._model} can't be loaded: {type(error).__name__}: {error}"[:500]
                    ) from error
            return self._loaded
