"""Small real files made in code: a PNG picture of shop shelves and a one-page PDF.

Both are complete by their specifications (PNG: ISO/IEC 15948, PDF 1.4: ISO 32000-1): browsers show them, and
whatever reads attachments has something to read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from functools import cache
from random import Random

WIDTH, HEIGHT = 320, 240
SHELVES = 4
PHOTO_VARIANTS = 24

_PALETTE = (
    (246, 240, 228), (214, 190, 150), (122, 82, 48), (88, 60, 36), (196, 60, 48), (228, 140, 46),
    (240, 196, 70), (120, 164, 72), (66, 116, 64), (150, 92, 130), (250, 250, 246), (170, 166, 158),
)  # fmt: skip
_WALL, _FLOOR, _BOARD, _FRAME = 0, 1, 2, 3
_GOODS = range(4, len(_PALETTE))


@cache
def photo(variant: int) -> bytes:
    """A picture of stocked shelves as PNG, under 1 kB; `variant` counts from 0 to PHOTO_VARIANTS - 1."""
    random = Random(variant)
    rows = [bytes([_WALL]) * WIDTH] * HEIGHT
    rows[-30:] = [bytes([_FLOOR]) * WIDTH] * 30
    spacing = (HEIGHT - 50) // SHELVES
    for shelf in range(SHELVES):
        bottom = 40 + spacing * (shelf + 1) - 12
        _stock(rows, bottom, spacing - 14, random)
        rows[bottom : bottom + 6] = [_line([(_FRAME, 12), (_BOARD, WIDTH - 24), (_FRAME, 12)])] * 6
    for y in range(20, HEIGHT - 24):
        rows[y] = bytes([_FRAME]) * 8 + rows[y][8:-8] + bytes([_FRAME]) * 8
    return _png(rows)


def _stock(rows: list[bytes], bottom: int, room: int, random: Random) -> None:
    """Fills a shelf with boxes of goods standing on `bottom`."""
    boxes = []
    x = 14
    while x < WIDTH - 40:
        width = random.randint(14, 34)
        boxes.append((x, width, random.randint(room // 3, room), random.choice(_GOODS)))
        x += width + random.randint(2, 10)
    for height in range(1, room + 1):
        row = bytearray(rows[bottom - height])
        for x, width, tall, colour in boxes:
            if height <= tall:
                row[x : x + width] = bytes([colour]) * width
        rows[bottom - height] = bytes(row)


def _line(parts: Sequence[tuple[int, int]]) -> bytes:
    return b"".join(bytes([colour]) * length for colour, length in parts)


def _png(rows: Sequence[bytes]) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)  # 8 bits a pixel, palette
    palette = b"".join(bytes(colour) for colour in _PALETTE)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)  # each row begins with its filter: none
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"PLTE", palette)
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


def pdf(title: str, lines: Sequence[str]) -> bytes:
    """One A4 page with a heading and lines of text; characters outside Windows-1252 become `?`."""

    def text(value: str) -> bytes:
        escaped = value.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        return b"(" + escaped.encode("cp1252", "replace") + b")"

    content = b"BT /F1 18 Tf 56 780 Td " + text(title) + b" Tj /F1 11 Tf 0 -14 Td\n"
    content += b"".join(b"0 -16 Td " + text(line) + b" Tj\n" for line in lines) + b"ET"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Font << /F1 5 0 R >> >>",
    )
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)
