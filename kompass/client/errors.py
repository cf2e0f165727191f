"""What a question to the server may end with instead of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class ClientError(Exception):
    """The text is for people."""


class UnreachableError(ClientError):
    """There was no answer, or none of KOMPASS. What was asked for may have been done."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One place that a problem is about."""

    pointer: str
    """A JSON Pointer into what was sent."""
    detail: str


class ProblemError(ClientError):
    """The server's refusal, by RFC 9457."""

    def __init__(self, status: int, members: Mapping[str, Any]) -> None:
        detail = members.get("detail") or members.get("reason") or f"the server answered {status}"
        super().__init__(str(detail))
        self.status = status
        """As HTTP has it: 412 is a document that has changed meanwhile, 422 something that can't be."""
        self.detail = str(detail)
        """What was wrong and what to do, in the client's language."""
        rule = members.get("rule")
        self.rule = rule if isinstance(rule, str) else None
        """What refused a write; stays the same whatever the language is."""
        errors = members.get("errors")
        self.errors = tuple(
            FieldError(str(one.get("pointer", "")), str(one.get("detail", "")))
            for one in (errors if isinstance(errors, list) else ())
            if isinstance(one, dict)
        )
        self.members = members
        """All that the server said."""

    def __str__(self) -> str:
        return self.detail + "".join(f"\n  {one.pointer}: {one.detail}" for one in self.errors)
