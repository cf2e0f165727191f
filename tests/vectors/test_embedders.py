"""Embedders beside the packaged one: a service over HTTP, and a model of sentence-transformers."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from kompass.domain.examples import docid
from kompass.feed.sink import SinkUnavailableError
from kompass.settings import Settings
from kompass.settings_values import EmbedderKind
from kompass.vectors.embedded.reader import EmbeddedVectors
from kompass.vectors.embedded.store import EmbeddedStore
from kompass.vectors.embedders.interface import EmbedderRefusedError, EmbedderUnavailableError, prefixes
from kompass.vectors.embedders.openai import OpenAIEmbedder
from kompass.vectors.embedders.packaged import PackagedEmbedder
from kompass.vectors.embedders.transformers import TransformersEmbedder
from kompass.vectors.readings import Readings
from kompass.vectors.setup import absent, create_meaning, create_sink
from kompass.vectors.sink import VectorSink
from tests.feed.changes import batch, change
from tests.in_process import serving
from tests.vectors.embedded import Documents, embedder

KEY = "a key of somebody's"


class Service:
    """Answers as OpenAI does, with the vectors of the packaged model."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.instead: Callable[[dict[str, Any]], Response] | None = None

    async def embeddings(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return JSONResponse({"error": {"message": "wrong key"}}, 401)
        body = await request.json()
        self.asked.append(body)
        if self.instead is not None:
            return self.instead(body)
        return JSONResponse({"object": "list", "model": body["model"], "data": await rows(body)})

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        async with serving(
            Starlette(routes=[Route("/v1/embeddings", self.embeddings, methods=["POST"])])
        ) as url:
            yield f"{url}/v1"


async def rows(body: dict[str, Any]) -> list[dict[str, Any]]:
    found = await embedder().passages(body["input"])
    rows = [
        {"object": "embedding", "index": at, "embedding": [float(one) for one in vector]}
        for at, vector in enumerate(found)
    ]
    return rows[::-1]  # the order is in `index`


@asynccontextmanager
async def service() -> AsyncIterator[tuple[Service, OpenAIEmbedder]]:
    one = Service()
    async with one.served() as url:
        made = OpenAIEmbedder(url, "multilingual-e5-small", KEY)
        yield one, made
        await made.close()


async def test_a_service_is_given_texts_together_and_in_order() -> None:
    async with service() as (server, made):
        texts = [f"Hofladen {number}" for number in range(150)]
        found = await made.passages(texts)
        assert [len(body["input"]) for body in server.asked] == [64, 64, 22]
        assert server.asked[0]["input"][:2] == ["passage: Hofladen 0", "passage: Hofladen 1"]
        expected = await embedder().passages([f"passage: {text}" for text in texts])
        assert np.allclose(found, expected)
        await made.question("Wo?")
        assert server.asked[-1]["input"] == ["query: Wo?"]


def test_only_the_family_that_wants_them_gets_prefixes() -> None:
    for model in ("intfloat/multilingual-e5-large", "multilingual-e5-small", "/models/e5-base", "E5-mistral"):
        assert prefixes(model).question == "query: ", model
    for model in ("text-embedding-3-small", "nomic-embed-text", "BAAI/bge-m3", "abe5-x"):
        assert prefixes(model) == ("", ""), model


async def test_the_wrong_key_is_not_the_texts_fault() -> None:
    async with Service().served() as url:
        made = OpenAIEmbedder(url, "m", "wrong")
        with pytest.raises(EmbedderUnavailableError, match="401"):
            await made.question("x")
        await made.close()


HUGE = b'{"data": [' + b" " * (65 * 1024 * 1024) + b"]}"
ANSWERS: dict[str, Callable[[dict[str, Any]], Response]] = {
    "no JSON": lambda _: Response("<html>"),
    "no data": lambda _: JSONResponse([]),
    "too few": lambda _: JSONResponse({"data": []}),
    "twice the same": lambda _: JSONResponse({"data": [{"index": 0, "embedding": [1.0]}] * 2}),
    "of different lengths": lambda body: JSONResponse(
        {"data": [{"index": at, "embedding": [1.0] * (at + 1)} for at, _ in enumerate(body["input"])]}
    ),
    "no numbers": lambda _: JSONResponse(
        {"data": [{"index": 0, "embedding": ["a"]}, {"index": 1, "embedding": ["b"]}]}
    ),
    "not finite": lambda _: Response(
        '{"data": [{"index": 0, "embedding": [1e999]}, {"index": 1, "embedding": [1]}]}'
    ),
    "base64": lambda _: JSONResponse(
        {"data": [{"index": 0, "embedding": "AAAA"}, {"index": 1, "embedding": "AAAA"}]}
    ),
    "empty": lambda _: JSONResponse({"data": [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}]}),
    "many dimensions": lambda _: JSONResponse(
        {"data": [{"index": at, "embedding": [1.0] * 9000} for at in (0, 1)]}
    ),
    "endless": lambda _: Response(HUGE),
    "elsewhere": lambda _: RedirectResponse("http://169.254.169.254/"),
    "a fault of its own": lambda _: JSONResponse({}, 500),
    "too much at once": lambda _: JSONResponse({}, 429),
}


@pytest.mark.parametrize("what", ANSWERS)
async def test_a_service_is_not_believed(what: str) -> None:
    async with service() as (server, made):
        server.instead = ANSWERS[what]
        with pytest.raises(EmbedderUnavailableError) as error:
            await made.passages(["eins", "zwei"])
        assert len(str(error.value)) < 500


async def test_a_text_that_it_refuses_is_the_texts_fault() -> None:
    """Then a follower looks for the document, and the others go on; nobody is told what it says."""
    async with service() as (server, made):
        server.instead = lambda body: JSONResponse({"error": {"message": body["input"][0]}}, 400)
        with pytest.raises(EmbedderRefusedError) as error:
            await made.passages(["Zwetschgenbaron"])
        assert "Zwetschgenbaron" not in str(error.value)


async def test_a_sink_waits_for_a_service_that_is_away(tmp_path: Path) -> None:
    async with service() as (server, made):
        sink = VectorSink(
            EmbeddedStore(tmp_path, made.name), made, Documents(), Readings(tmp_path, made.name)
        )
        await sink.open()
        server.instead = ANSWERS["a fault of its own"]
        with pytest.raises(SinkUnavailableError, match="500"):
            await sink.apply(batch(change(1, 1, "Hofladen")))
        assert await sink.checkpoint() is None
        server.instead = None
        await sink.apply(batch(change(1, 1, "Hofladen")))
        index = EmbeddedVectors(tmp_path, made.name)
        found = await index.inspect(docid("customer", 1))
        assert found is not None
        assert found["chunks"]
        await index.close()
        await sink.close()


async def test_only_what_was_agreed_to_leaves_the_house(tmp_path: Path) -> None:
    async with service() as (server, made):
        sink = VectorSink(
            EmbeddedStore(tmp_path, made.name), made, Documents(), Readings(tmp_path, made.name)
        )
        await sink.open()
        await sink.apply(batch(change(1, 1, "Zwetschgenbaron", dsgvoConsent=None), change(2, 2, "Hofladen")))
        assert "Zwetschgenbaron" not in str(server.asked)
        assert "Hofladen" in str(server.asked)
        await sink.close()


async def test_nobody_there() -> None:
    made = OpenAIEmbedder("http://127.0.0.1:1/v1", "m")
    with pytest.raises(EmbedderUnavailableError, match="doesn't answer"):
        await made.question("x")
    await made.close()


# -- sentence-transformers --------------------------------------------------------------------------


async def test_a_model_of_sentence_transformers(tmp_path: Path) -> None:
    library = pytest.importorskip(
        "sentence_transformers", reason="sentence-transformers is missing: pip install 'kompass[embeddings]'"
    )
    modules = importlib.import_module("sentence_transformers.models")
    model = modules.StaticEmbedding(embedder()._model()[0], embedding_dim=32)
    library.SentenceTransformer(modules=[model], device="cpu").save(str(tmp_path / "model"))
    made = TransformersEmbedder(str(tmp_path / "model"))
    found = await made.passages(["Hofladen", "Kühltheke", "Hofladen"])
    assert found.shape == (3, 32)
    assert np.allclose(found[0], found[2])
    assert not np.allclose(found[0], found[1])
    assert (await made.question("Hofladen")).shape == (1, 32)
    assert [("Kühltheke groß"[first:last]) for first, last in made.spans("Kühltheke groß")]


async def test_a_model_that_is_not_there_is_said(tmp_path: Path) -> None:
    made = TransformersEmbedder(str(tmp_path / "nothing"))
    with pytest.raises(EmbedderUnavailableError, match="can't be loaded"):
        await made.question("x")


# -- which one ---------------------------------------------------------------------------------------


def test_settings_say_which_one(tmp_path: Path) -> None:
    service = Settings(data=tmp_path, vectors_embedder=EmbedderKind.OPENAI, vectors_model="m")
    assert absent(service) == "vectors_embedder is openai, but vectors_url names no service"
    service = service.model_copy(update={"vectors_url": "http://127.0.0.1:1/v1"})
    assert create_sink(service).name == "vectors"
    meaning, _ = create_meaning(service)
    assert meaning is not None
    assert meaning.weight == 1.0
    packaged, _ = create_meaning(Settings(data=tmp_path))
    assert packaged is not None
    assert packaged.weight == PackagedEmbedder().weight == 0.1
    weighed, _ = create_meaning(Settings(data=tmp_path, vectors_weight=0.7))
    assert weighed is not None
    assert weighed.weight == 0.7
    assert create_meaning(Settings(data=tmp_path, vectors=False)) == (
        None,
        "turned off by the setting vectors",
    )
