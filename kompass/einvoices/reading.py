"""Has invoices read by a process with limits."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

from kompass.extraction.isolated import DiedError, Isolated, TooLongError

MOST_BYTES = 20 * 1024 * 1024
"""Of a file."""
SECONDS = 15.0
"""Of processor time, and twice that by the clock."""
NEEDS = "Reading invoices needs factur-x: pip install 'kompass[office]'"


class Words(NamedTuple):
    """What is said to people, in English and in German."""

    reason: str
    grund: str


class UnreadableError(Exception):
    """The file is no invoice that can be taken."""

    def __init__(self, problem: str, words: Words) -> None:
        super().__init__(words.reason)
        self.problem = problem
        self.words = words


class Terms(NamedTuple):
    """What an invoice says."""

    terms: Mapping[str, Any]
    """By the numbers of EN 16931; texts, lists of groups, and parties."""
    format: str


_SAID: Mapping[str, Words] = {
    "kind": Words(
        "The file is neither a PDF nor an invoice in XML (CII or UBL).",
        "Die Datei ist weder ein PDF noch eine Rechnung in XML (CII oder UBL).",
    ),
    "pdf": Words("The PDF is broken.", "Das PDF ist beschädigt."),
    "password": Words("The PDF has a password.", "Das PDF ist mit einem Kennwort geschützt."),
    "many": Words("The PDF has too many files inside.", "Das PDF enthält zu viele Dateien."),
    "none": Words(
        "The PDF has no electronic invoice inside (ZUGFeRD, Factur-X, XRechnung): enter it by hand.",
        "Das PDF enthält keine elektronische Rechnung (ZUGFeRD, Factur-X, XRechnung): bitte von Hand"
        " erfassen.",
    ),
    "several": Words(
        "The PDF has more than one invoice inside: nobody can tell which one counts.",
        "Das PDF enthält mehr als eine Rechnung: welche gilt, ist nicht erkennbar.",
    ),
    "zugferd1": Words(
        "ZUGFeRD 1 isn't read, only 2 and newer: ask for a newer one, or enter it by hand.",
        "ZUGFeRD 1 wird nicht gelesen, nur ab Version 2: bitte neu anfordern oder von Hand erfassen.",
    ),
    "xml": Words("The XML is broken.", "Das XML ist fehlerhaft."),
    "doctype": Words(
        "XML with a document type is refused: no invoice has one.",
        "XML mit Dokumenttyp wird abgewiesen: keine Rechnung hat einen.",
    ),
    "schema": Words("The invoice doesn't follow its schema.", "Die Rechnung entspricht nicht ihrem Schema."),
    "size": Words("The invoice is too large.", "Die Rechnung ist zu groß."),
    "time": Words(
        "Reading the invoice takes too much time or memory.",
        "Die Rechnung zu lesen braucht zu viel Zeit oder Speicher.",
    ),
}


class InvoiceReader:
    """One for a process of the server."""

    def __init__(self, *, seconds: float = SECONDS) -> None:
        self._process = Isolated("kompass.einvoices.worker", seconds=seconds, idle=30)

    @property
    def missing(self) -> str | None:
        """Why nothing can be read here; None if it can."""
        return None if find_spec("facturx") is not None and find_spec("lxml") is not None else NEEDS

    async def read(self, data: bytes) -> Terms:
        """What an invoice says. Raises `UnreadableError`."""
        if len(data) > MOST_BYTES:
            raise _unreadable("size")
        try:
            found = await self._process.ask({}, data)
        except (TooLongError, DiedError):
            raise _unreadable("time") from None
        if "terms" in found:
            return Terms(found["terms"], found["format"])
        raise _unreadable(found["problem"], found.get("said", ""))

    async def close(self) -> None:
        await self._process.close()


def _unreadable(problem: str, said: str = "") -> UnreadableError:
    words = _SAID[problem]
    if said:
        words = Words(f"{words.reason} ({said})", f"{words.grund} ({said})")
    return UnreadableError(problem, words)
