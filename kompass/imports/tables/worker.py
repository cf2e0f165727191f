"""The process that reads tables, started by `kompass.imports.tables.reader` as a module.

A job says with `columns` which headings are known (name, other names, kind), and with `said` what a person
knows better than what was found out. The answer is what `sheets` or `texts` read, or a `problem`.
"""

from __future__ import annotations

from dataclasses import asdict

from kompass.accounting.problems import Problem, UnreadableError
from kompass.accounting.profiles import Column, Profile
from kompass.extraction.answering import Answer, serve
from kompass.imports.tables import texts
from kompass.imports.tables.containers import Kind, broken, kind_of

NO_MEMORY = Problem(
    "file.memory",
    "needs too much memory: perhaps a value stands far away from the others",
    "braucht zu viel Speicher: vielleicht steht ein Wert weit weg von den anderen",
)


def answer(data: bytes, job: Answer) -> Answer:
    try:
        kind = kind_of(data)
        said = job["said"]
        if kind is Kind.CSV:
            columns = tuple(
                Column(heading=name, aliases=tuple(aliases), kind=held)
                for name, aliases, held in job["columns"]
            )
            profile = Profile(name="import", title="Import", direction="in", columns=columns)
            return {"kind": kind, **texts.read(data, profile, said)}
        from kompass.imports.tables import sheets

        return {"kind": kind, **sheets.read(data, kind, said.get("sheet"))}
    except UnreadableError as error:
        return {"problem": asdict(error.problem)}
    except MemoryError:
        return {"problem": asdict(NO_MEMORY), "end": True}
    except RecursionError:
        return {"problem": asdict(NO_MEMORY), "end": True}
    except (KeyboardInterrupt, SystemExit):
        raise
    except (
        BaseException
    ):  # what libraries make of hostile files: those in Rust panic, which is no `Exception`
        return {"problem": asdict(broken().problem), "end": True}


if __name__ == "__main__":
    serve(answer)
