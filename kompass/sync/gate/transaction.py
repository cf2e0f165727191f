"""Judging a batch and storing what is accepted of it, as one transaction of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kompass.access import Principal
from kompass.privacy import interrupting
from kompass.sync.gate import answers
from kompass.sync.gate.batch import Remembered, Resolution, Terms
from kompass.sync.gate.judging import Judgement
from kompass.sync.gate.pushed import Outcome, Pushed, Refused, is_new, without_text
from kompass.sync.gate.records import Origin
from kompass.sync.gate.site import Site
from kompass.sync.quarantine.entries import State
from kompass.sync.quarantine.store import Known
from replication.protocol.documents import DocumentWrite
from replication.store.sqlite import Writing


async def judge(
    site: Site,
    principal: Principal,
    pushed: Sequence[Pushed],
    known: Mapping[tuple[str, str], Known],
    resolution: Resolution | None = None,
) -> list[Outcome]:
    """What became of each document, in order. `known`: what lies in quarantine of them, by (id, revision)."""
    remembered = {
        key: Remembered(entry.state is State.WAITING, entry.refusal) for key, entry in known.items()
    }
    terms = Terms(principal, site.now(), site.index, site.business, remembered, resolution)
    dropped: list[DocumentWrite] = []

    def run(writing: Writing) -> list[Outcome]:
        interrupting.check(writing)
        outcomes = Judgement(writing, terms, pushed).run()
        for one, outcome in zip(pushed, outcomes, strict=True):
            if isinstance(outcome, Refused) and outcome.drops_text:
                dropped.append(one.doc)
                without_text(one)
        # What a device sent is entered when its author is told: it may be judged again before.
        refused = [
            refusing
            for one, outcome in zip(pushed, outcomes, strict=True)
            if one.origin is Origin.EDITED and (refusing := answers.to_chain(one, outcome)) is not None
        ]
        if refused:
            site.audit.refused(writing, refused)
        return outcomes

    outcomes = await site.database.transact(run)
    await site.discard_staged(dropped)
    site.database.taken_up(
        [one.doc for one, outcome in zip(pushed, outcomes, strict=True) if is_new(outcome)]
    )
    return outcomes


class _RehearsedError(Exception):
    """Ends a transaction without anything being stored."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__("nothing shall be stored")
        self.outcomes = outcomes


async def rehearse(site: Site, principal: Principal, pushed: Sequence[Pushed]) -> list[Outcome]:
    """What would become of each document, in order. Nothing is stored, and nothing enters the chain."""
    terms = Terms(principal, site.now(), site.index, site.business, {})

    def run(writing: Writing) -> None:
        interrupting.check(writing)
        raise _RehearsedError(Judgement(writing, terms, pushed).run())

    try:
        await site.database.transact(run)
    except _RehearsedError as rehearsed:
        return rehearsed.outcomes
    raise AssertionError("a rehearsal has been stored")
