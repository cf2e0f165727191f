"""A server that speaks S3 for the tests that ask for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.backup.s3 import S3, s3


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3(tmp_path_factory.mktemp("s3")) as made:
        yield made
