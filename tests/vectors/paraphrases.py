"""Questions in other words than the texts that answer them, over the demo data: the full text hardly finds
any of these."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.search.relevance import Case, Doc

ASKED = (
    ("Nachfolge: Kind steigt in den Hof ein", "Tochter übernimmt"),
    ("die nächste Generation führt das Familienunternehmen weiter", "Tochter übernimmt"),
    ("zu wenig Stellplätze für Autos", "Parkplätze sind knapp"),
    ("LKW darf nur früh morgens kommen", "nur vor 8 Uhr"),
    ("elektrische Leistung reicht nicht für mehr Kühlgeräte", "Stromanschluss reicht"),
    ("Konkurrenz hat billiger angeboten", "Mitbewerber"),
    ("öffentlicher Zuschuss wurde eingereicht", "Fördermittel"),
    ("unebener Fußboden muss ausgeglichen werden", "Boden ist uneben"),
    ("großer Lastwagen kann nicht anfahren", "40-Tonner"),
    ("Vorsicht, Wachhund auf dem Gelände", "Hund ist angeleint"),
    ("vor der Lieferung telefonisch ankündigen", "30 Minuten vorher anrufen"),
    ("samstags und sonntags wird mehr verkauft", "Umsatz an Wochenenden"),
    ("Kunde war mit dem Aufbau glücklich und will die gleichen Monteure", "dasselbe Team"),
    ("Obst und Gemüse der Jahreszeit", "saisonale Ware"),
    ("Kühlvitrine vergrößern wegen Käseabsatz", "Kühltheke soll größer"),
    ("Holz hell mit dunklem Metall", "helle Eiche"),
    ("Nachbar hat den Schlüssel", "Schlüssel beim Nachbarn"),
    ("mündliche Zusage bekommen", "Zusage mündlich"),
    ("kein Interesse dieses Jahr", "Kein Bedarf in diesem Jahr"),
    ("Grundfläche und Raumhöhe", "Die Fläche beträgt"),
)
"""What is asked, and words of the texts that answer it."""


def paraphrases(docs: Sequence[Doc]) -> list[Case]:
    texts = {doc["_id"]: json.dumps(doc, ensure_ascii=False) for doc in docs}
    cases = [
        Case("paraphrase", asked, frozenset(docid for docid, text in texts.items() if words in text))
        for asked, words in ASKED
    ]
    assert all(case.wanted for case in cases)
    return cases
