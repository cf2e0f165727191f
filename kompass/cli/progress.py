"""How far something is, on a terminal."""

from __future__ import annotations

from typing import Self


class Bar:
    """A line for each thing that is being done; nothing where nobody looks."""

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import Progress, TaskID

        console = Console(stderr=True)
        self._progress = Progress(console=console, transient=True, disable=quiet or not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, what: str, done: int, of: int | None) -> None:
        """`of`: None if nobody knows."""
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=of)
        self._progress.update(self._tasks[what], completed=done, total=of)
