"""Has PDFs made, in a process with limits."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from functools import cache
from importlib.resources import files as package_files
from importlib.util import find_spec
from pathlib import Path

from kompass.extraction.isolated import DiedError, Isolated, TooLongError
from kompass.printing.company import MOST_LOGO, CompanyError, read_company
from kompass.printing.content import Content

SECONDS = 10.0
"""Of processor time for a document, and twice that by the clock."""
MOST_DATA = 4 * 1024 * 1024
"""Bytes that a document may say."""
MOST_ROWS = 5000
"""Of all tables of a document."""
MOST_PDF = 10 * 1024 * 1024
"""Bytes of a PDF."""
MOST_FILE = 20 * 1024 * 1024
"""Bytes of a template."""
TEMPLATES = ("letter.typ", "document.typ")


class PrintingError(Exception):
    """There is no PDF. The text says why, for people."""


class NotInstalled(PrintingError):
    """The libraries are missing."""


class TooLarge(PrintingError):
    """The document says too much, or takes too long."""


class NoSuchSign(PrintingError):
    """A sign that no font has."""


class Typesetter:
    """One for a process of the server."""

    def __init__(
        self, letterhead: Path | None = None, templates: Path | None = None, *, seconds: float = SECONDS
    ) -> None:
        """`letterhead`: the file that describes the company. `templates`: a directory whose files stand in
        for the packaged ones, with fonts in `fonts/`.
        """
        self._letterhead = letterhead
        self._templates = templates
        self._process = Isolated("kompass.printing.worker", seconds=seconds, most=2 * MOST_PDF, idle=30)

    async def print(self, content: Content) -> bytes:
        """The PDF, of PDF/A-3b. The same content makes the same bytes. Raises `PrintingError`."""
        if find_spec("typst") is None:
            raise NotInstalled("Printing needs typst: pip install 'kompass[office]'")
        if sum(len(table.rows) for table in content.tables) > MOST_ROWS:
            raise TooLarge(f"A document of more than {MOST_ROWS} lines can't be printed.")
        try:
            files = self._files(content)
        except (CompanyError, OSError) as error:
            raise PrintingError(f"The letterhead or a template can't be used: {error}") from error
        data = json.dumps({name: base64.b64encode(one).decode("ascii") for name, one in files.items()})
        job = {"day": content.date.isoformat()[:10], "fonts": self._fonts()}
        try:
            found = await self._process.ask(job, data.encode("ascii"))
        except (TooLongError, DiedError):
            raise TooLarge(
                "The document is too long to be printed: it takes too much time or memory."
            ) from None
        if "pdf" in found:
            return base64.b64decode(found["pdf"])
        if found["problem"] == "sign":
            sign = found["said"]
            raise NoSuchSign(
                f"No font has the sign {sign} (U+{ord(sign[0]):04X}), so it can't be printed. Take it out, or"
                " have a font with it put into the folder fonts of the templates."
            )
        raise PrintingError(f"The logo or a template can't be used: {found.get('said') or found['problem']}")

    async def close(self) -> None:
        await self._process.close()

    def _files(self, content: Content) -> dict[str, bytes]:
        company = read_company(self._letterhead)
        found = {("main.typ" if name == "document.typ" else name): self._template(name) for name in TEMPLATES}
        if company.logo is not None:
            # The compiler takes no files from memory but texts.
            found["logo.json"] = json.dumps(list(_read(company.logo, MOST_LOGO))).encode("ascii")
        said = {
            **asdict(content),
            "date": [content.date.year, content.date.month, content.date.day],
            "company": {
                "name": company.name,
                "sender": company.sender,
                "footer": company.footer,
                "logo": company.logo is not None,
            },
        }
        found["data.json"] = json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")
        if len(found["data.json"]) > MOST_DATA:
            raise TooLarge(f"The document is too long to be printed: it says more than {MOST_DATA >> 20} MB.")
        return found

    def _fonts(self) -> str | None:
        """The folder with the company's, which the compiler takes from nowhere but a disk."""
        found = None if self._templates is None else (self._templates / "fonts").absolute()
        return None if found is None or not found.is_dir() else str(found)

    def _template(self, name: str) -> bytes:
        if self._templates is not None and (self._templates / name).is_file():
            return _read(self._templates / name)
        return _packaged(name)


@cache
def _packaged(name: str) -> bytes:
    return (package_files("kompass.printing") / "templates" / name).read_bytes()


def _read(file: Path, most: int = MOST_FILE) -> bytes:
    with file.open("rb") as opened:
        found = opened.read(most + 1)
    if len(found) > most:
        raise CompanyError(f"{file} is larger than {most} bytes")
    return found
