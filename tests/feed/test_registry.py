from __future__ import annotations

from pathlib import Path

import pytest

from kompass.feed.registry import Registered, SinkAbsentError, create, present
from kompass.feed.sink import Sink
from kompass.settings import Settings
from tests.feed.reference import ReferenceSink

SINKS = {
    "reference": Registered("tests.feed.test_registry:made", (), "reference"),
    "elsewhere": Registered("tests.feed.test_registry:unplaced", (), "elsewhere"),
    "foreign": Registered("no.such.module:made", ("no.such.library",), "foreign"),
}


def made(settings: Settings) -> Sink:
    return ReferenceSink(settings.directory)


def unplaced(settings: Settings) -> None:
    return None


def test_a_sink_is_made_from_the_settings(tmp_path: Path) -> None:
    assert create("reference", Settings(data=tmp_path), SINKS).name == "reference"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("elsewhere", "not configured"),
        ("foreign", "no.such.library not installed: pip install 'kompass\\[foreign\\]'"),
        ("nobody", "there is no sink nobody; there are: elsewhere, foreign, reference"),
    ],
)
def test_why_a_sink_is_not_there(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(SinkAbsentError, match=reason):
        create(name, Settings(data=tmp_path), SINKS)


def test_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    there, absent = present(Settings(data=tmp_path), SINKS)
    assert list(there) == ["reference"]
    assert list(absent) == ["elsewhere", "foreign"]
