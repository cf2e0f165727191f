"""The feed index: who sees which documents, and in which order he hears of them."""

from kompass.sync.index.feed import FeedRow
from kompass.sync.index.feed_index import FeedIndex
from kompass.sync.index.rules import Rules

__all__ = ["FeedIndex", "FeedRow", "Rules"]
