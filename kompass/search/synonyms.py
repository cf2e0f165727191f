"""Words of the trade that mean the same, and small words that mean nothing.

Data for both indexes. Groups are written as people write the words; they are compared folded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from kompass.search.words import words

GROUPS: tuple[tuple[str, ...], ...] = (
    ("Telefon", "Tel", "Fernsprecher"),
    ("Angebot", "Offerte"),
    ("Rechnung", "Faktura"),
    ("Vertrag", "Kontrakt"),
    ("Kunde", "Auftraggeber"),
    ("Lieferant", "Zulieferer"),
    ("Termin", "Besprechung", "Meeting"),
    ("Besuch", "Visite"),
    ("Theke", "Tresen"),
    ("Hofladen", "Bauernladen", "Hofverkauf"),
    ("Supermarkt", "Lebensmittelmarkt"),
    ("Kühlregal", "Kühlmöbel"),
    ("Beleuchtung", "Licht", "Leuchten"),
    ("Umbau", "Modernisierung", "Renovierung"),
    ("Aufmaß", "Vermessung"),
    ("Montage", "Aufbau"),
    ("Reklamation", "Beschwerde", "Mängelrüge"),
    ("Lager", "Depot"),
    ("Tischler", "Schreiner", "Tischlerei", "Schreinerei"),
    ("Fleischerei", "Metzgerei", "Schlachterei"),
    ("Bäckerei", "Backshop"),
    ("Geschäftsführer", "Inhaber"),
    ("Anruf", "Telefonat"),
    ("Platz", "Pl"),
    ("Nummer", "Nr"),
    ("Sankt", "St"),
)

_SMALL = (
    "der die das den dem des ein eine einen einem einer eines und oder für von vom zu zum zur mit in im"
    " an am auf bei beim aus nach über unter vor ist sind war hat haben wird werden nicht auch sich als"
    " wie es er sie wir"
)
STOP = frozenset(words(_SMALL))
"""Left out of a question that has other words."""

_TAILS = (
    "regal", "theke", "laden", "markt", "schrank", "wagen", "boden", "wand", "decke", "tisch", "vitrine",
    "möbel", "planung", "montage", "lieferung", "schild", "tür", "hof", "bau", "beleuchtung", "leuchte",
    "küche", "kasse", "raum", "halle", "platte", "verkleidung", "system", "gutachten", "termin", "gespräch",
    "besuch", "angebot", "vertrag", "rechnung", "kosten", "messe", "eröffnung", "umbau", "fläche", "truhe",
    "bäckerei", "käserei", "gärtnerei", "metzgerei", "brauerei", "mühle", "kellerei", "imkerei", "gut",
)  # fmt: skip
"""What German words of the trade end in, so that `Kühlregal` is found by `Regal`."""

_TAIL = re.compile(
    f"(?<=...)({'|'.join(sorted({next(words(tail)) for tail in _TAILS}, key=len, reverse=True))})"
    r"(?:e|en|n|er|s|es)?\Z"
)


def _grouped() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for group in GROUPS:
        folded = [next(words(each)) for each in group]
        for word in folded:
            found[word] = tuple(
                dict.fromkeys((*found.get(word, ()), *(one for one in folded if one != word)))
            )
    return found


SYNONYMS: Mapping[str, tuple[str, ...]] = _grouped()
"""Folded word -> the others of its groups."""


@lru_cache(50_000)
def tail(word: str) -> str | None:
    """What a compound ends in, if it is a word of the trade."""
    found = _TAIL.search(word)
    return found[1] if found else None
