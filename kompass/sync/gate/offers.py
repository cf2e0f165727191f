"""What a device asks before it pushes: which of these revisions are missing here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kompass.access import Principal
from kompass.sync import notices
from kompass.sync.gate.site import Site
from kompass.sync.gate.stored import known_of_hidden, known_of_purged
from kompass.sync.quarantine.entries import State
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revisions import Rev, format_rev, parse_rev
from replication.store.values import Missing


def missing_revisions(
    site: Site, principal: Principal, asked: Mapping[str, Sequence[Rev]]
) -> tuple[dict[str, Missing], dict[str, Rev]]:
    """`Database.missing_revisions` for somebody; and which tombstones of ours he has on documents he sees.

    Not missing are stored revisions of documents he sees, and of others, as of purged ones, those that he
    may have been sent or has sent himself; synthetic tombstones; design documents; and what he has sent
    before and lies in quarantine or waits. What lies there and he was not told of is missing: its push
    broke off, and its device sends it again. The ancestors are those of documents he sees.
    """
    with site.database.reading() as reading:
        visible = site.index.sees(reading, principal.name, asked)
        found = reading.missing_revisions({docid: asked[docid] for docid in visible})
        # Of the others not even whether they are stored is looked up: how long an answer takes must not
        # confirm a revision that somebody has guessed.
        hidden = [docid for docid in asked if docid not in visible]
        may_know = known_of_hidden(reading, site.index, principal.name, hidden) if hidden else {}
        purged = known_of_purged(reading, site.index, principal.name, asked)
    for docid in hidden:
        known = may_know[docid]
        found[docid] = Missing([format_rev(rev) for rev in asked[docid] if rev not in known], [])
    found = {docid: missing for docid, missing in found.items() if missing.missing}
    if not found:
        return {}, {}
    held = _held(site, principal.name, found)
    answer: dict[str, Missing] = {}
    closed: dict[str, Rev] = {}
    for docid, missing in found.items():
        if docid.startswith(DESIGN_PREFIX):
            continue
        gone = purged.get(docid, ())
        revs = []
        highest = 0
        for text in missing.missing:
            rev = parse_rev(text)
            if (docid, text) in held or rev in gone:
                continue
            if site.index.knows_tombstone(docid, rev):
                if docid in visible:
                    closed[docid] = rev
                continue
            revs.append(text)
            highest = max(highest, rev[0])
        if revs:
            ancestors = [rev for rev in missing.possible_ancestors if parse_rev(rev)[0] < highest]
            answer[docid] = Missing(revs, ancestors)
    return answer, closed


def _held(site: Site, user: str, docids: Iterable[str]) -> set[tuple[str, str]]:
    """What he has sent of these documents and knows what became of: (id, revision)."""
    known = site.quarantine.known(user, docids)
    if not known:
        return set()
    with site.database.reading() as reading:
        told = reading.winners([notices.rejected_id(user, docid, rev) for docid, rev in known])
    return {
        (docid, rev)
        for (docid, rev), entry in known.items()
        if entry.state is not State.QUARANTINED or notices.rejected_id(user, docid, rev) in told
    }
