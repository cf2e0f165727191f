"""`kompass serve --demo` as a process."""

from __future__ import annotations

import sys
from pathlib import Path

from kompass.demo import PASSWORD
from tests.servers import ServerProcess


class DemoProcess(ServerProcess):
    """With the demo's people and documents, which it makes when its directory is new."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, admin=("admin", PASSWORD))
        self._command = self.kompass("serve", "--demo", "--port", str(self.port), "--data", str(data))

    @staticmethod
    def kompass(*arguments: str) -> list[str]:
        """The command."""
        return [sys.executable, "-m", "kompass", *arguments]
