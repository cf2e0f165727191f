"""Files as people attach them, and as somebody makes them who means ill."""

from __future__ import annotations

import io
import zipfile
import zlib

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def pdf(*pages: str) -> bytes:
    """A PDF with a line on each page."""
    contents = [f"BT /F1 12 Tf 72 720 Td ({page}) Tj ET".encode("cp1252") for page in pages]
    return pdf_of([zlib.compress(content) for content in contents], "/FlateDecode")


def pdf_of(streams: list[bytes], coding: str) -> bytes:
    """A PDF whose pages have these streams."""
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(len(streams)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(streams)}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for at, stream in enumerate(streams):
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {5 + 2 * at} 0 R"
            "/Resources<</Font<</F1 3 0 R>>>>>>".encode()
        )
        head = f"<</Length {len(stream)}/Filter{coding}>>".encode()
        objects.append(head + b"stream\n" + stream + b"\nendstream")
    file = bytearray(b"%PDF-1.7\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(file))
        file += f"{number} 0 obj".encode() + body + b"endobj\n"
    start = len(file)
    file += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    file += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    file += f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF".encode()
    return bytes(file)


def archive(parts: dict[str, bytes | str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in parts.items():
            opened.writestr(name, content)
    return made.getvalue()


def docx(*paragraphs: str, **more: bytes | str) -> bytes:
    """`more`: parts beside the document, `/` in their names written `__`."""
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    parts: dict[str, bytes | str] = {
        "[Content_Types].xml": "<Types/>",
        "word/document.xml": f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>',
    }
    return archive(parts | {name.replace("__", "/"): content for name, content in more.items()})


def xlsx(*cells: str, inline: str = "") -> bytes:
    strings = "".join(f"<si><t>{cell}</t></si>" for cell in cells)
    sheet = f'<c t="inlineStr"><is><t>{inline}</t></is></c><c><v>4711</v></c>'
    return archive(
        {
            "[Content_Types].xml": "<Types/>",
            "xl/sharedStrings.xml": f'<sst xmlns="{_S}">{strings}</sst>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_S}"><sheetData><row>{sheet}</row></sheetData>'
            "</worksheet>",
        }
    )
