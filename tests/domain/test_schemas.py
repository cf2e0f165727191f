"""The JSON Schemas that clients get are those of the models."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import quickjs
from typer.testing import CliRunner

from kompass.cli.app import app
from kompass.cli.schemas import texts
from kompass.domain.registry import MODELS
from kompass.domain.schemas import schema
from kompass.domain.values import COMPANY, FILLED_LINE
from tests.needs import ROOT

PUBLISHED = ROOT / "pwa-contract" / "schemas"


def test_the_published_schemas_are_those_of_the_models() -> None:
    published = {file.name: file.read_bytes() for file in PUBLISHED.iterdir()}
    assert published == texts(), "run: kompass schemas pwa-contract/schemas"


@pytest.mark.parametrize("doctype", MODELS)
def test_a_schema_says_what_the_model_says(doctype: str) -> None:
    told = schema(doctype)
    fields = MODELS[doctype].model_fields
    assert told["properties"]["type"]["const"] == doctype
    assert set(told["properties"]) == {field.alias or name for name, field in fields.items()}
    required = {field.alias or name for name, field in fields.items() if field.is_required()}
    assert set(told["required"]) == required
    assert told["additionalProperties"] is (doctype == "conflict")
    assert "title" not in told["properties"] or "title" in fields


def test_references_and_decimals_are_told() -> None:
    offer = schema("offer")
    assert offer["properties"]["customerId"]["x-refers-to"] == ["customer"]
    price = offer["$defs"]["Item"]["properties"]["unitPriceEur"]
    assert price == {"type": "number", "minimum": 0.0, "maximum": 100_000_000.0, "x-decimals": 2}
    assert offer["properties"]["lineItems"]["maxItems"] == 100
    assert offer["x-schema-version"] == 2


def test_clients_in_javascript_can_use_every_pattern() -> None:
    context = quickjs.Context()
    for text in texts().values():
        for pattern in set(re.findall(rb'"pattern": ("(?:[^"\\\\]|\\\\.)*")', text)):
            assert context.eval(f"new RegExp({pattern.decode()}, 'u').test('')") in (True, False)
    assert context.eval(f"new RegExp({json.dumps(COMPANY)}, 'u').test('Café Süß & Söhne')") is True
    assert context.eval(f"new RegExp({json.dumps(FILLED_LINE)}, 'u').test('a\u202eb')") is False


def test_the_command_writes_a_file_for_each_type(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["schemas", str(tmp_path / "new")])
    assert answer.exit_code == 0, answer.output
    written = {file.stem: json.loads(file.read_text()) for file in (tmp_path / "new").iterdir()}
    assert written == {doctype: schema(doctype) for doctype in MODELS}
