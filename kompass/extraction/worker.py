"""The process that reads the text of files, started by `kompass.extraction.extractor` as a module.

A job says with `plain` whether the file is said to be plain text. The answer is `{"text": …}`, null for a
kind of file that has no text, or `{"problem": …}`.
"""

from __future__ import annotations

from kompass.extraction.answering import Answer, serve
from kompass.extraction.readers import UnreadableError, text_of

NO_MEMORY = "it needs too much memory"


def answer(data: bytes, job: Answer) -> Answer:
    try:
        return {"text": text_of(data, plain=job["plain"])}
    except UnreadableError as error:
        return {"problem": str(error)}
    except MemoryError:
        return {"problem": NO_MEMORY, "end": True}
    except RecursionError:
        return {"problem": "it is built too deep", "end": True}


if __name__ == "__main__":
    serve(answer)
