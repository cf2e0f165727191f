"""The process that makes PDFs, started by `kompass.printing.typesetter` as a module.

Of a job `day` counts, and `fonts`, a folder or null; its data are the files, as JSON: name -> bytes in
base64. The answer has `pdf` in base64, or `problem`. All files but fonts are in memory: the compiler is given
no folder that a template could read, and no file may be written.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any

from kompass.extraction.answering import Answer, serve

MEMORY = 2 * 1024 * 1024 * 1024
"""Bytes of address space; the compiler reserves more than it uses."""
_NO_SIGN = re.compile(r'the text `"(?:\\u\{([0-9a-f]+)\}|(.))[^`]*` could not be displayed', re.DOTALL)
"""The first sign of it, or its number if it can't be shown."""


def answer(data: bytes, job: Answer) -> Answer:
    import typst

    files: Any = {name: base64.b64decode(text) for name, text in json.loads(data).items()}
    fonts = [] if job["fonts"] is None else [job["fonts"]]
    try:
        made = typst.compile(
            files,
            font_paths=typst.Fonts(include_system_fonts=False, font_paths=fonts),
            ignore_system_fonts=True,
            format="pdf",
            pdf_standards=["a-3b"],
            timestamp=datetime.fromisoformat(job["day"]).replace(tzinfo=UTC),
        )
    except (MemoryError, RecursionError):
        return {"problem": "it needs too much memory", "end": True}
    except RuntimeError as error:  # typst.TypstError, and what the library says of files
        lacking = _NO_SIGN.search(str(error))
        if lacking is not None:
            number, sign = lacking.groups()
            return {"problem": "sign", "said": sign or chr(int(number, 16))}
        return {"problem": "template", "said": str(error)[:500]}
    assert isinstance(made, bytes)
    return {"pdf": base64.b64encode(made).decode("ascii")}


if __name__ == "__main__":
    serve(answer, memory=MEMORY)
