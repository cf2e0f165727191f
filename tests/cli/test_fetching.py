"""Files that a server makes, where server or disk do something else."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from kompass.cli.errors import UsableError
from kompass.cli.fetching import MANIFEST, archived, refuse_existing, write_pieces
from kompass.client import Client


def zipped(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return made.getvalue()


def answering(body: bytes) -> Client:
    class Answering:
        @contextmanager
        def stream(self, *_: Any, **__: Any) -> Iterator[Iterator[bytes]]:
            yield iter([body])

    return cast(Client, Answering())


WHOLE = zipped(manifest_json=b'{"files": []}' * 50)
BROKEN = {
    "no archive": b"<html>",
    "half of one": WHOLE[: len(WHOLE) // 2],
    "without a manifest": zipped(other=b"x"),
    "a manifest that is none": zipped(manifest_json=b"<html>"),
    "bytes that can't be unpacked": WHOLE[:45] + b"\xff" * 8 + WHOLE[53:],
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_is_no_archive_is_told(body: bytes) -> None:
    with (
        pytest.raises(UsableError, match="can't be read"),
        archived(answering(body), "/x/export", {}, "en", quiet=True),
    ):
        pass


def test_what_goes_wrong_with_the_files_is_not_taken_for_a_lack_of_room_for_the_answer() -> None:
    asked = archived(answering(zipped(manifest_json=b"{}")), "/x/export", {}, "en", quiet=True)

    def use() -> None:
        with asked as found:
            assert found.names == []
            raise PermissionError(MANIFEST)

    with pytest.raises(PermissionError):
        use()


def test_a_file_that_nobody_can_look_for_is_not_there(tmp_path: Path) -> None:
    refuse_existing(tmp_path / ("x" * 300))
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(UsableError, match="is there already"):
        refuse_existing(tmp_path / "link")


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsableError, match="can't be written: Not a directory"):
        write_pieces(tmp_path / "file" / "x.csv", iter([b"x"]))
