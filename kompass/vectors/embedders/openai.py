"""Any service with OpenAI's `POST /embeddings`: OpenAI, Ollama, vLLM, LocalAI, Text Embeddings Inference.

What it is given leaves the process, and maybe the house: texts whose customers have agreed, and questions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import orjson

from kompass.vectors.embedders.interface import (
    EmbedderRefusedError,
    EmbedderUnavailableError,
    prefixes,
)
from kompass.vectors.packing import Vectors

TIMEOUT = httpx.Timeout(120.0, connect=5.0)
MOST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer."""
MOST_DIMENSIONS = 8192
NOT_NOW = frozenset({401, 403, 404, 408, 409, 425, 429})
"""What isn't any text's fault, beside every fault of the service itself."""

_TOKEN = re.compile(r"\w{1,4}|[^\w\s]")


class OpenAIEmbedder:
    """See `kompass.vectors.embedders.interface.Embedder`."""

    at_once = 64

    def __init__(self, url: str, model: str, key: str = "", *, weight: float = 1.0) -> None:
        """`url`: up to what comes before `/embeddings`, as `https://api.openai.com/v1`."""
        self.name = f"openai/{model}"
        self.weight = weight
        self._url = f"{url.rstrip('/')}/embeddings"
        self._model = model
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http: httpx.AsyncClient | None = None

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Its tokens aren't known. Those of usual models have about four letters of German, so that pieces
        come out a little too small."""
        return [found.span() for found in _TOKEN.finditer(text)]

    async def passages(self, texts: Sequence[str]) -> Vectors:
        before = prefixes(self._model).passage
        found = [
            await self._ask([before + text for text in texts[at : at + self.at_once]])
            for at in range(0, len(texts), self.at_once)
        ]
        if len({part.shape[1] for part in found}) > 1:
            raise EmbedderUnavailableError(f"{self._url} answers with vectors of different lengths")
        return np.concatenate(found) if found else np.zeros((0, 1), np.float32)

    async def question(self, text: str) -> Vectors:
        return await self._ask([prefixes(self._model).question + text])

    async def close(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def _ask(self, texts: Sequence[str]) -> Vectors:
        if self._http is None:
            self._http = httpx.AsyncClient(headers=self._headers, timeout=TIMEOUT)
        asked = {"model": self._model, "input": list(texts), "encoding_format": "float"}
        try:
            async with self._http.stream("POST", self._url, json=asked) as answer:
                content = await _content(answer, self._url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise EmbedderUnavailableError(f"{self._url} doesn't answer: {type(error).__name__}") from error
        if answer.is_success:
            return _vectors(content, len(texts), self._url)
        said = f"{self._url} answers {answer.status_code}"
        if answer.is_client_error and answer.status_code not in NOT_NOW:
            # Without what it says: that may quote the text.
            raise EmbedderRefusedError(said)
        raise EmbedderUnavailableError(said)


async def _content(answer: httpx.Response, url: str) -> bytes:
    content = bytearray()
    async for piece in answer.aiter_bytes():
        content += piece
        if len(content) > MOST_ANSWER:
            raise EmbedderUnavailableError(f"{url} answers with more than {MOST_ANSWER:,} bytes")
    return bytes(content)


def _vectors(content: bytes, number: int, url: str) -> Vectors:
    try:
        rows = sorted(orjson.loads(content)["data"], key=lambda row: int(row["index"]))
        if [row["index"] for row in rows] != list(range(number)):
            raise ValueError("not one for each text")
        found = np.array([_vector(row) for row in rows], np.float32)
        if found.ndim != 2 or not 1 <= found.shape[1] <= MOST_DIMENSIONS or not np.isfinite(found).all():
            raise ValueError("no vectors of one length")
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise EmbedderUnavailableError(f"{url} answers with something else than vectors: {error}") from error
    return found


def _vector(row: Any) -> list[float]:
    vector = row["embedding"]
    if not isinstance(vector, list):
        raise ValueError("no list of numbers")
    return [float(one) for one in vector]
