"""The profiles that come with the package, and what a profile may not say."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from pydantic import ValidationError

from kompass.accounting.catalogue import PACKAGED, profile, profiles
from kompass.accounting.plain import plain_profile
from kompass.accounting.profiles import Column, Profile
from kompass.accounting.sources import check, values
from kompass.accounting.writing import Writer
from kompass.domain.examples import full
from kompass.domain.registry import MODELS
from tests.needs import ROOT

PAGE = (ROOT / "docs" / "accounting" / "profiles.md").read_text()


def test_every_file_is_a_profile_of_its_name() -> None:
    there = {file.stem for file in (ROOT / "kompass" / "accounting" / "packaged").glob("*.toml")}
    assert set(PACKAGED) <= there
    assert {name: found.name for name, found in profiles().items()} == {
        name: name for name in (*PACKAGED, *MODELS)
    }


def test_the_page_lists_them_with_their_ways() -> None:
    table = dict(re.findall(r"^\| `([a-z-]+)` \| .* \| (out|in|both) \|$", PAGE, re.MULTILINE))
    assert table == {name: profile(name).direction for name in PACKAGED}


def test_a_contract_is_a_row_with_what_its_references_say() -> None:
    documents = {one: full(one) for one in ("customer", "contract", "opportunity", "project")}
    by_id = {body["_id"]: body for body in documents.values()}
    found = values(profile("lexware-contracts"), documents["contract"], by_id.get)
    row = dict(zip((column.heading for column in profile("lexware-contracts").columns), found, strict=True))
    assert row["CustomerNumber"] == documents["customer"]["customerNumber"]
    assert row["CustomerName"] == documents["customer"]["companyName"]
    assert row["ProjectNumber"] == documents["project"]["projectNumber"]
    assert row["Description"] == documents["opportunity"]["title"]


def test_a_companion_is_read_only_if_it_may_be() -> None:
    amounts, invoice = full("invoice_amount"), full("invoice")
    place = [column.heading for column in profile("lexware-invoices").columns].index("Bruttobetrag")
    seen = values(profile("lexware-invoices"), invoice, {amounts["_id"]: amounts}.get)
    assert str(seen[place]) == f"{amounts['grossAmount']}"
    assert values(profile("lexware-invoices"), invoice, lambda docid: None)[place] is None


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("billingAddress.town", "customer has no billingAddress.town"),
        ("owner.email", "owner of customer leads nowhere"),
        ("nothing", "customer has no nothing"),
    ],
)
def test_a_path_that_no_document_has_is_refused(path: str, said: str) -> None:
    made = Profile(name="made", title="Made", type="customer", columns=(Column(heading="A", source=(path,)),))
    with pytest.raises(ValueError, match=said):
        check(made)


def test_two_columns_of_one_heading_can_not_be_read() -> None:
    columns = (Column(heading="Betrag (EUR)"), Column(heading="Amount", aliases=("betrag eur",)))
    with pytest.raises(ValidationError, match="means two columns"):
        Profile(name="made", title="Made", direction="in", columns=columns)
    assert len(Profile(name="made", title="Made", columns=columns).columns) == 2


def test_german_headings_of_a_plain_profile_mean_one_field() -> None:
    aliases = {column.heading: column.aliases for column in plain_profile("customer").columns}
    assert aliases["companyName"] == ("Firma",)
    assert aliases["billingAddress.street"] == ("Rechnungsadresse › Straße",)


@pytest.mark.slow
def test_many_contracts_take_no_memory() -> None:
    documents = {body["_id"]: body for body in (full("customer"), full("opportunity"), full("project"))}
    out = profile("lexware-contracts")
    contract = full("contract")
    rows = (
        values(out, {**contract, "contractNumber": f"C-2026-{number:06}"}, documents.get)
        for number in range(6_000)
    )
    writer = Writer(out)
    tracemalloc.start()
    size = sum(len(piece) for piece in writer.pieces(rows))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (writer.written, writer.left_out) == (6_000, 0)
    assert size > 650_000
    assert peak < 450_000
