"""The profiles there are: those in files of the package, and a plain one for every type of document."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from kompass.accounting.plain import plain_profile
from kompass.accounting.profiles import Profile
from kompass.accounting.sources import check
from kompass.domain.registry import MODELS

PACKAGED = (
    "lexware-contracts",
    "lexware-customers",
    "lexware-payments",
    "lexware-invoices",
    "expenses",
    "datev-extf",
    "datev-parties",
    "problems",
    "audit",
)
"""Names of the profiles that are files."""


@cache
def profile(name: str) -> Profile:
    """Raises `KeyError` for a name that there isn't; the types of documents are names, too."""
    if name in PACKAGED:
        return check(Profile.model_validate(packaged(name)))
    return plain_profile(name)


def packaged(name: str) -> dict[str, Any]:
    """What a file of the package says, without its `.toml`."""
    return tomllib.loads(files("kompass.accounting").joinpath("packaged", f"{name}.toml").read_text("utf-8"))


@cache
def profiles_of(doctype: str) -> tuple[Profile, ...]:
    """Those of the files by which documents of a type are written."""
    found = (profile(name) for name in PACKAGED)
    return tuple(one for one in found if one.type == doctype and one.direction != "in")


@cache
def profiles() -> Mapping[str, Profile]:
    """All of them, by name."""
    return MappingProxyType({name: profile(name) for name in (*PACKAGED, *MODELS)})
