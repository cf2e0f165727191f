"""The people who can log in to the demo. Their password is public: the server shows it."""

from __future__ import annotations

from typing import NamedTuple

PASSWORD = "kompass-demo"  # noqa: S105


class Person(NamedTuple):
    login: str
    name: str
    role: str
    department: str


PEOPLE = (
    Person("adm1", "Wiebke Petersen", "ADM", "Außendienst Nord"),
    Person("adm2", "Jörg Nägele", "ADM", "Außendienst Süd"),
    Person("innen1", "Sabine Voß", "INNEN", "Innendienst"),
    Person("plan1", "Sören Köhler", "PLAN", "Planung"),
    Person("kalk1", "Käthe Lüders", "KALK", "Kalkulation"),
    Person("buch1", "Birgit Weiß", "BUCH", "Buchhaltung"),
    Person("gf1", "Jürgen Schäfer", "GF", "Geschäftsführung"),
    Person("admin", "Emre Öztürk", "ADMIN", "Technik"),
)
