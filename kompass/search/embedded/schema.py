"""How an entry lies in a tantivy index."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

import orjson
import tantivy

from kompass.feed.sink import Checkpoint
from kompass.search.catalogue import FACETS
from kompass.search.entries import Entry, key, sound
from kompass.search.synonyms import tail

VERSION = "3"
"""Of schema and spelling rules."""

CHECKPOINT = "checkpoint"
"""The key of the document that holds the checkpoint. No hash of an id looks like it."""


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("key", tokenizer_name="raw", index_option="basic")
    builder.add_bytes_field("stored", stored=True)
    builder.add_bytes_field("entry", stored=True)
    builder.add_text_field("channels", fast=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("codes", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("title", tokenizer_name="spelled", index_option="position")
    builder.add_text_field("all", tokenizer_name="spelled", index_option="basic")
    for field in ("title_stems", "strong_stems", "plain_stems"):
        builder.add_text_field(field, tokenizer_name="stems", index_option="basic")
    for facet in FACETS:
        builder.add_text_field(facet, fast=True, tokenizer_name="raw", index_option="basic")
    builder.add_unsigned_field("position", fast=True)
    builder.add_unsigned_field("number", indexed=True, fast=True)
    builder.add_unsigned_field("base", indexed=True, fast=True)
    builder.add_boolean_field("primary", indexed=True)
    builder.add_boolean_field("companion", indexed=True)
    builder.add_integer_field("modified", indexed=True, fast=True)
    builder.add_float_field("value", indexed=True, fast=True)
    builder.add_float_field("weight", fast=True)
    return builder.build()


SCHEMA = _schema()

SPELLED = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
STEMS = (
    tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    .filter(tantivy.Filter.stemmer("german"))
    .build()
)


def opened(directory: Path) -> tantivy.Index:
    """The index in a directory, made if there is none. Raises `ValueError` and `OSError`."""
    index = tantivy.Index(SCHEMA, path=str(directory))
    index.register_tokenizer("spelled", SPELLED)
    index.register_tokenizer("stems", STEMS)
    index.config_reader("manual")
    return index


@lru_cache(50_000)
def stem(word: str) -> str:
    """A folded word without its ending."""
    return (STEMS.analyze(word) or [word])[0]


def number(docid: str) -> int:
    """A document as a number, for telling many apart quickly."""
    return int.from_bytes(blake2b(docid.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def document(entry: Entry) -> tantivy.Document:
    found = tantivy.Document()
    found.add_text("key", key(entry.id))
    found.add_unsigned("position", entry.position)
    stored = {
        "id": sound(entry.id),
        "base": sound(entry.base),
        "rev": sound(entry.rev),
        "type": entry.facets["type"],
        "channels": sorted(map(sound, entry.channels)),
        "title": entry.shown,
    }
    found.add_bytes("stored", orjson.dumps(stored))
    found.add_bytes("entry", _packed(entry))
    for channel in entry.channels:
        found.add_text("channels", sound(channel))
    for code in entry.codes:
        found.add_text("codes", code)
    found.add_text("title", entry.title)
    found.add_text("all", f"{entry.title} {entry.strong} {entry.plain}")
    # The end of a compound counts less than the whole word.
    found.add_text("title_stems", entry.title)
    found.add_text("strong_stems", f"{entry.strong} {_tails(entry.title)}")
    found.add_text("plain_stems", f"{entry.plain} {_tails(entry.strong)} {_tails(entry.plain)}")
    for facet, value in entry.facets.items():
        found.add_text(facet, value)
    found.add_unsigned("number", number(entry.id))
    found.add_unsigned("base", number(entry.base))
    found.add_boolean("primary", entry.primary)
    found.add_boolean("companion", entry.companion)
    found.add_integer("modified", entry.modified)
    if entry.value is not None:
        found.add_float("value", entry.value)
    found.add_float("weight", entry.weight)
    return found


def gone(docid: str, position: int) -> tantivy.Document:
    """What is left of a document that is no more: that an older change of it is not to be believed."""
    return _gone(key(docid), position)


def _gone(name: str, position: int) -> tantivy.Document:
    found = tantivy.Document()
    found.add_text("key", name)
    found.add_bytes("entry", orjson.dumps({"gone": name, "position": position}))
    found.add_unsigned("position", position)
    return found


def again(searcher: tantivy.Searcher, address: tantivy.DocAddress) -> tantivy.Document:
    """What a document of an index was made from, made again."""
    stored = searcher.doc(address)
    packed = stored.get_first("entry")
    if packed is None:
        value = orjson.loads(stored.get_first("stored") or b"")
        return checkpoint_document(Checkpoint(**value))
    value = orjson.loads(packed)
    if "gone" in value:
        return _gone(value["gone"], value["position"])
    sets = {name: frozenset(value[name]) for name in ("channels", "codes")}
    return document(Entry(**{**value, **sets}))


def _packed(entry: Entry) -> bytes:
    """All of it, so that an index can be written again without what its files remember besides."""
    value = {name: getattr(entry, name) for name in Entry.__slots__}
    value |= {"id": sound(entry.id), "base": sound(entry.base), "rev": sound(entry.rev)}
    value |= {"channels": sorted(map(sound, entry.channels)), "codes": sorted(entry.codes)}
    value["facets"] = dict(entry.facets)
    return orjson.dumps(value)


def checkpoint_document(checkpoint: Checkpoint) -> tantivy.Document:
    found = tantivy.Document()
    found.add_text("key", CHECKPOINT)
    stored = {"epoch": checkpoint.epoch, "since": checkpoint.since, "position": checkpoint.position}
    found.add_bytes("stored", orjson.dumps(stored))
    return found


def checkpoint_of(searcher: tantivy.Searcher) -> Checkpoint | None:
    query = tantivy.Query.term_query(SCHEMA, "key", CHECKPOINT)
    for _, address in searcher.search(query, 1).hits:
        value = orjson.loads(searcher.doc(address).get_first("stored") or b"")
        return Checkpoint(value["epoch"], value["since"], value["position"])
    return None


def is_panic(error: BaseException) -> bool:
    """Whether tantivy has given up: what it raises then is no `Exception`, and has no public name."""
    return type(error).__name__ == "PanicException"


def _tails(text: str) -> str:
    return " ".join(found for word in text.split() if (found := tail(word)) is not None)
