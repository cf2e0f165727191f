"""Which sinks there are, and which of them this installation has.

A sink is named here and imported only when it is asked for: its libraries are extras, and what doesn't run
the consumer needn't load them.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

from kompass.feed.sink import Sink
from kompass.settings import Settings


@dataclass(frozen=True, slots=True)
class Registered:
    """How to get a sink."""

    factory: str
    """`module:function`. `function(settings)` gives a sink that is not opened yet, or None where the settings
    name no place for it. It connects to nothing."""

    needs: tuple[str, ...]
    """Modules of its libraries."""

    extra: str
    """The extra of this package that brings them."""

    purpose: str = ""
    """What a customer must have agreed to for anything of his to be there, as a withdrawal calls it."""


SINKS: Mapping[str, Registered] = {
    "jobs": Registered("kompass.jobs.sink:from_settings", ("croniter", "redis", "rq"), "jobs"),
    "readstore": Registered("kompass.readstore.sink:from_settings", ("psycopg", "alembic"), "readstore"),
    "search": Registered("kompass.search.setup:create_sink", (), "search"),
    "vectors": Registered("kompass.vectors.setup:create_sink", (), "vectors", "aiProcessing"),
}
"""By name. Each sink adds its line."""


class SinkAbsentError(Exception):
    """This installation doesn't have the sink. The text says why, and what to do."""


def create(name: str, settings: Settings, sinks: Mapping[str, Registered] | None = None) -> Sink:
    """The sink of this name, to be opened. Raises `SinkAbsentError`."""
    known = SINKS if sinks is None else sinks
    registered = known.get(name)
    if registered is None:
        raise SinkAbsentError(f"there is no sink {name}; there are: {', '.join(sorted(known)) or 'none'}")
    missing = [each for each in registered.needs if not _installed(each)]
    if missing:
        raise SinkAbsentError(
            f"{', '.join(missing)} not installed: pip install 'kompass[{registered.extra}]'"
        )
    module, _, function = registered.factory.partition(":")
    sink: Sink | None = getattr(importlib.import_module(module), function)(settings)
    if sink is None:
        raise SinkAbsentError("not configured")
    return sink


def present(
    settings: Settings, sinks: Mapping[str, Registered] | None = None
) -> tuple[dict[str, Sink], dict[str, str]]:
    """The sinks that are there, to be opened, and why the others aren't; both by name."""
    there: dict[str, Sink] = {}
    absent: dict[str, str] = {}
    for name in SINKS if sinks is None else sinks:
        try:
            there[name] = create(name, settings, sinks)
        except SinkAbsentError as error:
            absent[name] = str(error)
    return there, absent


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package it lies in
        return False
