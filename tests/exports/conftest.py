from __future__ import annotations

from pathlib import Path

import pytest

from tests.needs import require


@pytest.fixture
def full_disk() -> Path:
    """A file that can be opened, and takes nothing."""
    return Path(require("full-disk"))
