"""The process that reads invoices, started by `kompass.einvoices.reading` as a module.

The data are a PDF with an invoice inside, or the invoice. The answer is `{"terms": …, "format": …}`: business
terms by their numbers in EN 16931 (`BT-1`), as texts; or `{"problem": …}` with `said` for what it was.
"""

from __future__ import annotations

import io
import logging
from typing import Any

from lxml import etree

from kompass.extraction.answering import Answer, serve

MEMORY = 1024 * 1024 * 1024
MOST_XML = 10 * 1024 * 1024
MOST_FILES = 100
"""Attachments of a PDF that are looked at."""
MOST_SAID = 300


class ProblemError(Exception):
    def __init__(self, problem: str, said: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.said = said


def answer(data: bytes, job: Answer) -> Answer:
    try:
        return _read(data)
    except ProblemError as error:
        return {"problem": error.problem, "said": error.said[:MOST_SAID]}
    except (MemoryError, RecursionError):
        return {"problem": "size", "said": "", "end": True}


def _read(data: bytes) -> Answer:
    if b"%PDF-" in data[:1024]:
        inner, inner_kind = _only(_attached(data))
        return {"terms": _terms(inner), "format": f"PDF with {inner_kind}"}
    root = _parsed(data)
    kind = _kind(root)
    if kind is None:
        raise ProblemError("kind")
    return {"terms": _terms(root), "format": kind}


def _attached(data: bytes) -> list[bytes]:
    """The XML files in a PDF. Their names count for nothing."""
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    found = []
    try:
        file = pypdf.PdfReader(io.BytesIO(data), strict=False)
        if file.is_encrypted and not file.decrypt(""):
            raise ProblemError("password")
        for number, one in enumerate(file.attachment_list):
            if number >= MOST_FILES:
                raise ProblemError("many")
            content = one.content
            if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
                found.append(content)
    except (MemoryError, RecursionError, ProblemError):
        raise
    except Exception as error:  # a broken file makes pypdf raise anything
        raise ProblemError("pdf", type(error).__name__) from error
    return found


def _only(files: list[bytes]) -> tuple[etree._Element, str]:
    """The one that is an invoice."""
    found = []
    for data in files:
        try:
            root = _parsed(data)
        except ProblemError as error:
            if len(files) == 1:
                raise
            if error.problem == "doctype":
                raise
            continue
        kind = _kind(root)
        if kind is not None:
            found.append((root, kind))
    if not found:
        raise ProblemError("none")
    if len(found) > 1:
        raise ProblemError("several")
    return found[0]


def _parsed(data: bytes) -> etree._Element:
    """XML without a document type: entities can't be declared, nothing is fetched."""
    if len(data) > MOST_XML:
        raise ProblemError("size")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise ProblemError("doctype" if b"<!DOCTYPE" in data[:4096] else "xml", str(error)) from error
    if root.getroottree().docinfo.doctype:
        raise ProblemError("doctype")
    return root


def _kind(root: etree._Element) -> str | None:
    name = etree.QName(root)
    if name.localname == "CrossIndustryInvoice":
        return "CII"
    if name.localname in {"Invoice", "CreditNote"} and "oasis" in (name.namespace or ""):
        return "UBL"
    if name.localname == "CrossIndustryDocument":
        raise ProblemError("zugferd1")
    return None


def _terms(root: etree._Element) -> dict[str, Any]:
    from facturx.parse_xml import parse_ubl_cii_xml  # type: ignore[import-untyped]

    logging.getLogger("factur-x").setLevel(logging.CRITICAL)
    try:
        terms: dict[str, Any] = parse_ubl_cii_xml(
            root, float_as="string", date_as="string", bytes_as="string", check_xsd=True
        )
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # it raises nothing narrower
        raise ProblemError("schema", str(error.__cause__ or error)) from error
    terms = {name: value for name, value in terms.items() if name != "BG-24"}  # files within: not needed
    terms["credit"] = etree.QName(root).localname == "CreditNote"
    plain: dict[str, Any] = _plain(terms)
    return plain


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | bool | int) or value is None else str(value)


if __name__ == "__main__":
    serve(answer, MEMORY)
