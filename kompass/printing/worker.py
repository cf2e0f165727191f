"""The process that makes PDFs, started by `kompass.printing.typesetter` as a module.

Of a job `day` counts; its data are the files, as JSON: name -> bytes in base64. The answer has `pdf` in
base64, or `problem`. All files are in memory: the compiler is given no folder, and no file may be written.
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
_NO_SIGN = re.compile(r'the text `"(.{1,4})"` could not be displayed')


def answer(data: bytes, job: Answer) -> Answer:
    import typst

    files = {name: base64.b64decode(text) for name, text in json.loads(data).items()}
    fonts = [value for name, value in files.items() if name.startswith("fonts/")]
    rest: Any = {name: value for name, value in files.items() if not name.startswith("fonts/")}
    try:
        made = typst.compile(
            rest,
            font_paths=typst.Fonts(include_system_fonts=False, font_paths=fonts) if fonts else [],
            ignore_system_fonts=True,
            format="pdf",
            pdf_standards=["a-3b"],
            timestamp=datetime.fromisoformat(job["day"]).replace(tzinfo=UTC),
        )
    except (MemoryError, RecursionError):
        return {"problem": "it needs too much memory", "end": True}
    except typst.TypstError as error:
        lacking = _NO_SIGN.search(str(error))
        if lacking is not None:
            return {"problem": "sign", "said": lacking[1]}
        return {"problem": "template", "said": str(error)[:500]}
    assert isinstance(made, bytes)
    return {"pdf": base64.b64encode(made).decode("ascii")}


if __name__ == "__main__":
    serve(answer, memory=MEMORY)
