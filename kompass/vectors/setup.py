"""Which index of vectors there is, and which embedder makes them."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from kompass.feed.registry import SinkAbsentError
from kompass.feed.sink import Sink
from kompass.search.index import Meaning
from kompass.settings import Settings
from kompass.settings_values import EmbedderKind

if TYPE_CHECKING:
    from kompass.vectors.embedders.interface import Embedder
    from kompass.vectors.index import VectorIndex, VectorStore
    from kompass.vectors.weaviate.place import Address

OFF = "turned off by the setting vectors"
NO_SERVICE = "vectors_embedder is openai, but vectors_url names no service"
EMBEDDED = {"numpy": "vectors", "pypdf": "vectors", "sqlite_vec": "vectors"}
WEAVIATE = {"numpy": "weaviate", "pypdf": "weaviate", "weaviate": "weaviate"}
EMBEDDERS = {
    EmbedderKind.PACKAGED: {"tokenizers": "vectors", "wordllama": "vectors"},
    EmbedderKind.OPENAI: {},
    EmbedderKind.TRANSFORMERS: {"sentence_transformers": "embeddings"},
}
"""Module -> extra that brings it."""


def create_sink(settings: Settings) -> Sink:
    """For the registry. Raises `SinkAbsentError`."""
    why = absent(settings)
    if why is not None:
        raise SinkAbsentError(why)
    from kompass.vectors.originals import ServerOriginals
    from kompass.vectors.readings import Readings
    from kompass.vectors.sink import VectorSink

    embedder = _embedder(settings)
    secret = settings.feed_secret.get_secret_value() if settings.feed_secret else ""
    originals = ServerOriginals(settings.feed_server or f"http://127.0.0.1:{settings.port}", secret)
    readings = Readings(settings.directory / "vectors", embedder.name)
    return VectorSink(_store(settings, embedder.name), embedder, originals, readings)


def create_meaning(settings: Settings) -> tuple[Meaning | None, str]:
    """For a server; or None, and why there is none."""
    why = absent(settings)
    if why is not None:
        return None, why
    from kompass.vectors.meaning import VectorMeaning

    embedder = _embedder(settings)
    return VectorMeaning(_index(settings, embedder.name), embedder), ""


def absent(settings: Settings) -> str | None:
    """Why there are no vectors here; None if there are."""
    if not settings.vectors:
        return OFF
    if settings.vectors_embedder is EmbedderKind.OPENAI and settings.vectors_url is None:
        return NO_SERVICE
    needed = (WEAVIATE if settings.weaviate_url else EMBEDDED) | EMBEDDERS[settings.vectors_embedder]
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        extras = sorted({needed[name] for name in missing})
        return f"{', '.join(missing)} not installed: pip install 'kompass[{','.join(extras)}]'"
    return None if settings.weaviate_url else settings.needs_service("weaviate_url")


def _store(settings: Settings, embedder: str) -> VectorStore:
    if settings.weaviate_url is not None:
        from kompass.vectors.weaviate.store import WeaviateStore

        return WeaviateStore(_address(settings), embedder)
    from kompass.vectors.embedded.store import EmbeddedStore

    return EmbeddedStore(settings.directory / "vectors", embedder)


def _index(settings: Settings, embedder: str) -> VectorIndex:
    if settings.weaviate_url is not None:
        from kompass.vectors.weaviate.reader import WeaviateVectors

        return WeaviateVectors(_address(settings), embedder)
    from kompass.vectors.embedded.reader import EmbeddedVectors

    return EmbeddedVectors(settings.directory / "vectors", embedder)


def _address(settings: Settings) -> Address:
    from kompass.vectors.weaviate.place import Address

    key = settings.weaviate_key.get_secret_value() if settings.weaviate_key else ""
    return Address(
        settings.weaviate_url or "",
        settings.weaviate_grpc_port,
        key,
        settings.weaviate_prefix,
        settings.weaviate_tenant,
    )


def _embedder(settings: Settings) -> Embedder:
    weight = 1.0 if settings.vectors_weight is None else settings.vectors_weight
    match settings.vectors_embedder:
        case EmbedderKind.OPENAI:
            from kompass.vectors.embedders.openai import OpenAIEmbedder

            key = settings.vectors_key.get_secret_value() if settings.vectors_key else ""
            return OpenAIEmbedder(settings.vectors_url or "", settings.vectors_model, key, weight=weight)
        case EmbedderKind.TRANSFORMERS:
            from kompass.vectors.embedders.transformers import TransformersEmbedder

            return TransformersEmbedder(settings.vectors_model, weight=weight)
        case EmbedderKind.PACKAGED:
            from kompass.vectors.embedders.packaged import WEIGHT, PackagedEmbedder

            return PackagedEmbedder(WEIGHT if settings.vectors_weight is None else weight)
