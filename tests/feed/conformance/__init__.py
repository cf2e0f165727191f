"""What every sink of the change feed must do: the same tests over each of them.

A sink brings a `SinkHarness` and its line in `test_conformance.py`. The tests know nothing of a sink but the
interface and what the harness reads back.
"""

from __future__ import annotations

from tests.feed.conformance.applying import Applying
from tests.feed.conformance.faults import Faults
from tests.feed.conformance.generations import Generations
from tests.feed.conformance.oddities import Oddities
from tests.feed.conformance.readers import Readers


class SinkConformance(Applying, Readers, Faults, Generations, Oddities):
    """Derive from it, with a fixture `harness`."""
