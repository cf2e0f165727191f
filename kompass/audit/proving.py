"""A stretch of the chain in a file that proves itself: whoever has it can verify it without the server.

```
{"format": "kompass-audit/1", "database": UUID,
 "keys": [public keys, each signed by the one before],
 "checkpoints": [{"checkpoint": text, "signature": hex}],
 "entries": [{"entry": text, "hash": hex, "opening": values and salts, where they are given}]}
```

Texts are the bytes that were hashed and signed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apsw
import orjson

from kompass.audit.inspecting import Report
from kompass.audit.signing import KeysError, PublicKey, read_public
from kompass.audit.verifying import (
    Chain,
    Finding,
    Opened,
    Row,
    as_bytes,
    rows,
    wrong_checkpoints,
    wrong_values,
)

FORMAT = "kompass-audit/1"


class ProofError(Exception):
    """The file is none of ours; the text says why."""


def proof(
    connection: apsw.Connection,
    public: Sequence[PublicKey],
    *,
    first: int = 1,
    last: int | None = None,
    values: bool = True,
) -> Iterator[bytes]:
    """The file's text in pieces. Without `values` it has the commitments alone."""
    head: dict[str, Any] = {
        "format": FORMAT,
        "database": connection.execute("SELECT value FROM meta WHERE name = 'uuid'").get,
        "keys": [key.as_json() for key in public],
        "checkpoints": [],
    }
    points: Any = connection.execute("SELECT text, signature FROM audit_checkpoints ORDER BY num").fetchall()
    for text, signature in points:
        head["checkpoints"].append(
            {"checkpoint": as_bytes(text).decode(), "signature": as_bytes(signature).hex()}
        )
    yield orjson.dumps(head)[:-1] + b',"entries":['
    opened = Opened(connection)
    comma = b""
    for row in rows(connection, first):
        if last is not None and row.num > last:
            break
        one: dict[str, Any] = {"entry": row.text.decode("utf-8", "replace"), "hash": row.hash}
        if values and row.key is not None:
            opening = opened.opening(row)
            if isinstance(opening, dict):
                one["opening"] = opening
        yield comma + b"\n" + orjson.dumps(one)
        comma = b","
    yield b"\n]}\n"


def check(text: bytes, given: Sequence[PublicKey] | None = None) -> Report:
    """What is wrong with a file. `given` are keys that somebody has kept; otherwise those in the file count.

    Raises `ProofError`.
    """
    try:
        value = orjson.loads(text)
        if value["format"] != FORMAT:
            raise ProofError(f"its format is {value['format']}, and {FORMAT} is what can be verified")
        public = read_public(value["keys"]) if given is None else given
        stored = [(one["entry"].encode(), str(one["hash"]), one.get("opening")) for one in value["entries"]]
        points = [
            (
                orjson.loads(one["checkpoint"])["entry"],
                one["checkpoint"].encode(),
                bytes.fromhex(one["signature"]),
            )
            for one in value["checkpoints"]
        ]
        nums = [int(orjson.loads(entry)["num"]) for entry, _, _ in stored]
    except KeysError as error:
        raise ProofError(str(error)) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ProofError("it is no export of the chain, or a part of it is missing") from None
    return _report(public, points, stored, nums, str(value.get("database")))


def _report(
    public: Sequence[PublicKey],
    points: list[tuple[int, bytes, bytes]],
    stored: list[tuple[bytes, str, Any]],
    nums: list[int],
    database: str,
) -> Report:
    findings: list[Finding] = []
    chain = Chain(wanted=frozenset(num for num, _, _ in points))
    if nums and nums[0] > 1:
        chain.num = nums[0] - 1
        chain.hash = str(orjson.loads(stored[0][0]).get("previous"))
    for num, (entry, hashed, opening) in zip(nums, stored, strict=True):
        findings += chain.follow(Row(num, hashed, entry))
        if opening is not None:
            findings += _opened(num, entry, opening)
    first, last = (nums[0], nums[-1]) if nums else (1, 0)
    told = wrong_checkpoints(points, public, chain.hashes, start=first, database=database)
    findings += [one for one in told if one.entry is None or one.entry <= last]
    findings.sort(key=lambda one: (one.entry is None, one.entry or 0))
    signed = max((num for num, _, _ in points if first <= num <= last), default=0)
    return Report(findings, len(nums), chain.hash if nums else "", signed, complete=True)


def _opened(num: int, entry: bytes, opening: Mapping[str, Any]) -> Iterator[Finding]:
    wrong = "its values can't be read"
    if isinstance(opening, dict):
        found = wrong_values(orjson.loads(entry), opening)
        if found is None:
            return
        wrong = found
    yield Finding(num, None, wrong)
