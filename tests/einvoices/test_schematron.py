"""Our samples, by the rules of EN 16931 and of XRechnung: what we read is what others call an invoice."""

from __future__ import annotations

import re
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from tests.einvoices import samples
from tests.needs import require

pytestmark = pytest.mark.slow

_SVRL = {"svrl": "http://purl.oclc.org/dsdl/svrl"}
_CREDIT = {"BT-3": "381"}
EN, XRECHNUNG = "phive-rules-en16931", "phive-rules-xrechnung"
CASES: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    "CII": (EN, "EN16931-CII-validation.xslt", samples.xml),
    "UBL": (EN, "EN16931-UBL-validation.xslt", lambda: samples.xml("ubl-2.1")),
    "a credit note as CII": (EN, "EN16931-CII-validation.xslt", lambda: samples.xml(changed=_CREDIT)),
    "a credit note as UBL": (
        EN,
        "EN16931-UBL-validation.xslt",
        lambda: samples.xml("ubl-2.1", changed=_CREDIT),
    ),
    "XRechnung as CII": (XRECHNUNG, "XRechnung-CII-validation.xslt", lambda: samples.xrechnung("factur-x")),
    "XRechnung as UBL": (XRECHNUNG, "XRechnung-UBL-validation.xslt", samples.xrechnung),
}


def broken(data: bytes, jar: str, rules: str, folder: Path) -> list[str]:
    """The rules that an invoice breaks, by their names."""
    program = Path(require("schematron"))
    (archive,) = program.glob(f"{jar}-*.jar")
    with zipfile.ZipFile(archive) as file:
        found = [name for name in file.namelist() if name.endswith(f"/{rules}")]
        newest = max(found, key=lambda name: [int(one) for one in re.findall(r"\d+", name.split("/")[2])])
        (folder / rules).write_bytes(file.read(newest))
    (folder / "invoice.xml").write_bytes(data)
    main = ["java", "-cp", f"{program}/*", "net.sf.saxon.Transform"]
    given = [f"-s:{folder / 'invoice.xml'}", f"-xsl:{folder / rules}"]
    done = subprocess.run([*main, *given], capture_output=True, timeout=120, check=True)
    report = etree.fromstring(done.stdout)
    assert report.xpath("count(//svrl:fired-rule)", namespaces=_SVRL) > 10
    ids = report.xpath("//svrl:failed-assert/@id", namespaces=_SVRL)
    assert isinstance(ids, list)
    return [str(one) for one in ids]


@pytest.mark.parametrize("name", CASES)
def test_no_rule_is_broken(name: str, tmp_path: Path) -> None:
    jar, rules, make = CASES[name]
    assert broken(make(), jar, rules, tmp_path) == []


def test_a_broken_rule_is_found(tmp_path: Path) -> None:
    data = samples.xml(changed={"BT-84": None})
    assert broken(data, EN, "EN16931-CII-validation.xslt", tmp_path) == ["CII-SR-470"]
