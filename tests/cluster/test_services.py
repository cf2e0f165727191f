"""What one machine's server has in its directory, the processes of a cluster have nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kompass.feed import registry
from kompass.readstore.reading import ReadStore, ReadStoreDownError
from kompass.search.setup import create_search
from kompass.settings import Settings
from kompass.vectors.setup import create_meaning

pytestmark = pytest.mark.slow  # imports

DSN = "postgresql://journal@nowhere.example/journal"
SERVICES = {
    "search": {"meilisearch_url": "http://nowhere.example:7700"},
    "vectors": {"weaviate_url": "http://nowhere.example:8080"},
    "readstore": {"readstore_dsn": DSN},
}


def settings(directory: Path, **given: Any) -> Settings:
    return Settings.model_validate({"data": directory, "journal_dsn": DSN, **given})


@pytest.mark.parametrize("name", SERVICES)
def test_a_sink_is_there_with_a_service_and_without_says_which_setting_names_one(
    name: str, tmp_path: Path
) -> None:
    (setting,) = SERVICES[name]
    for given in ({}, SERVICES[name]):
        there, absent = registry.present(settings(tmp_path, **given), {name: registry.SINKS[name]})
        assert (name in there) == bool(given)
        assert given or setting in absent[name]


async def test_a_server_says_the_same(tmp_path: Path) -> None:
    given = settings(tmp_path)
    search = create_search(given)
    assert search.index is None
    assert "meilisearch_url" in search.absent
    assert "weaviate_url" in create_meaning(given)[1]
    reports = ReadStore(given)
    with pytest.raises(ReadStoreDownError, match="readstore_dsn"):
        await reports.report("pipeline", "anna", (), limit=1, offset=0)
    await reports.close()
