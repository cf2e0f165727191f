"""What is wrong with a row that comes from Lexware, in the words of the list that people work through."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kompass.accounting.problems import Problem


class ErrorType(StrEnum):
    VALIDATION = "ValidationError"
    NOT_FOUND = "NotFoundError"
    DUPLICATE = "DuplicateError"
    AMOUNT = "AmountMismatchError"


@dataclass(frozen=True, slots=True)
class RowError:
    """One row that wasn't taken. The others were."""

    type: ErrorType
    problem: Problem


def row_error(
    kind: ErrorType, rule: str, reason: str, grund: str, line: int, column: str = "", value: object = ""
) -> RowError:
    return RowError(kind, Problem(rule, reason, grund).at(line, column, str(value)))


def validation(problems: tuple[Problem, ...]) -> list[RowError]:
    return [RowError(ErrorType.VALIDATION, problem) for problem in problems]
