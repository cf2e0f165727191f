"""What problems say is there in German, and it is told to whoever reads that."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import HTTPConnection

from kompass.api.german import TEXTS
from kompass.api.language import german, in_german
from tests.needs import ROOT

PARTS = ("api", "exports", "imports", "lexware", "printing", "readstore", "resources", "search", "sync")
SOURCES = [source for part in PARTS for source in sorted((ROOT / "kompass" / part).rglob("*.py"))]
RAISED = {
    *("Problem", "FilterError", "CursorError", "UnfitError", "NoSuchSign", "TooLarge", "NotInstalled"),
    *("NotNowError", "MappingError", "InboxError", "BusyError", "ExportError", "BooksError", "TooMany"),
    *("DeskError", "ConflictError", "ChoiceError", "ReadStoreDownError", "SearchDownError"),
}
"""What handlers answer with its text."""


def texts(source: Path) -> Iterator[str]:
    """What problems are made of in a file, with `{}` for what is filled in."""
    tree = ast.parse(source.read_text("utf-8"))
    named = {
        target.id: _template(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if (
            not isinstance(node, ast.Call)
            or not isinstance(node.func, ast.Name)
            or node.func.id not in RAISED
        ):
            continue
        if node.func.id == "Problem" and source.parent.name != "api":
            continue  # a cell's, which has both languages
        said = node.args[1 if node.func.id == "Problem" else 0]
        found = named.get(said.id) if isinstance(said, ast.Name) else _template(said)
        if found is not None:
            yield found


def _template(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
    return None


@pytest.mark.slow
def test_every_text_of_a_problem_is_there_in_german() -> None:
    found = [text.replace("{}", "x") for source in SOURCES for text in texts(source)]
    assert len(found) > 100
    missing = [text for text in found if in_german(text) == text and text.strip("x.")]
    assert not missing, "write them into kompass/api/german.py"


def test_texts_name_in_german_what_they_name_in_english() -> None:
    for english, told in TEXTS.items():
        places = [f"{{{number}}}" for number in range(english.count("{}"))]
        assert in_german(english.replace("{}", "x")) == told.format(*["x"] * len(places)), english
        assert told.strip(), english


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", False),
        ("*", False),
        ("de", True),
        ("de-AT;q=0.5", True),
        ("en;q=0.1, de;q=0.9", True),
        ("de;q=0", False),
        ("de;q=0.5, en", False),
        ("fr, de;q=0.1", True),
        ("de;q=nan", False),
        ("de;q=x", False),
        (",,;;=,de;q=0.001", True),
        ("deutsch", False),
    ],
)
def test_which_language_is_read(header: str, wanted: bool) -> None:
    scope = {"type": "http", "headers": [(b"accept-language", header.encode())]}
    assert german(HTTPConnection(scope)) is wanted


def test_what_a_text_names_may_have_the_words_that_stand_between() -> None:
    said = in_german("a must be b, not c must be d, not e.")
    assert said == "a muss b sein, nicht c must be d, not e."
    assert in_german(" must be x, not y.") == " must be x, not y."
