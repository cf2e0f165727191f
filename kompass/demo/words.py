"""Names, places and phrases the demo company is made of. Every postcode belongs to its town."""

from __future__ import annotations

from typing import NamedTuple


class Town(NamedTuple):
    zip_code: str
    name: str
    state: str
    latitude: float
    longitude: float


class Article(NamedTuple):
    """What the company builds, and what it costs without tax."""

    name: str
    unit: str
    price: float


ARTICLES = (
    Article("Wandregal Eiche geölt, 200 x 240 cm", "Stück", 890.0),
    Article("Kühltheke mit Glasaufsatz, 250 cm", "Stück", 6450.0),
    Article("Kassentisch Eiche mit Stahlrahmen", "Stück", 2390.5),
    Article("Obst- und Gemüsepräsenter, fahrbar", "Stück", 740.0),
    Article("Beleuchtung LED, warmweiß", "m", 84.9),
    Article("Lieferung und Montage", "Tag", 980.0),
    Article("Aufmaß und Planung", "Stunde", 85.0),
)

PROJECT_TASKS = (
    "Aufmaß vor Ort prüfen", "Fertigungszeichnung freigeben", "Elektriker abstimmen",
    "Montagetermin vereinbaren", "Abnahme vorbereiten",
)  # fmt: skip

WORK_DONE = (
    "Aufmaß vor Ort genommen", "Fertigungszeichnungen erstellt", "Abstimmung mit dem Kältebauer",
    "Montage der Regale begleitet",
)  # fmt: skip

TOWNS = (
    Town("01067", "Dresden", "Sachsen", 51.0504, 13.7373),
    Town("04109", "Leipzig", "Sachsen", 51.3397, 12.3731),
    Town("06108", "Halle (Saale)", "Sachsen-Anhalt", 51.4828, 11.9697),
    Town("07743", "Jena", "Thüringen", 50.9271, 11.5892),
    Town("14467", "Potsdam", "Brandenburg", 52.3989, 13.0657),
    Town("17489", "Greifswald", "Mecklenburg-Vorpommern", 54.0930, 13.3879),
    Town("18055", "Rostock", "Mecklenburg-Vorpommern", 54.0887, 12.1405),
    Town("19053", "Schwerin", "Mecklenburg-Vorpommern", 53.6288, 11.4148),
    Town("21335", "Lüneburg", "Niedersachsen", 53.2464, 10.4115),
    Town("23552", "Lübeck", "Schleswig-Holstein", 53.8667, 10.6847),
    Town("24103", "Kiel", "Schleswig-Holstein", 54.3233, 10.1394),
    Town("24937", "Flensburg", "Schleswig-Holstein", 54.7833, 9.4333),
    Town("25813", "Husum", "Schleswig-Holstein", 54.4767, 9.0511),
    Town("26122", "Oldenburg", "Niedersachsen", 53.1435, 8.2146),
    Town("27472", "Cuxhaven", "Niedersachsen", 53.8667, 8.7000),
    Town("28195", "Bremen", "Bremen", 53.0793, 8.8017),
    Town("29221", "Celle", "Niedersachsen", 52.6226, 10.0815),
    Town("31134", "Hildesheim", "Niedersachsen", 52.1508, 9.9511),
    Town("32756", "Detmold", "Nordrhein-Westfalen", 51.9363, 8.8792),
    Town("33098", "Paderborn", "Nordrhein-Westfalen", 51.7189, 8.7575),
    Town("34117", "Kassel", "Hessen", 51.3127, 9.4797),
    Town("35037", "Marburg", "Hessen", 50.8021, 8.7667),
    Town("36037", "Fulda", "Hessen", 50.5558, 9.6808),
    Town("37073", "Göttingen", "Niedersachsen", 51.5413, 9.9158),
    Town("38100", "Braunschweig", "Niedersachsen", 52.2647, 10.5237),
    Town("39104", "Magdeburg", "Sachsen-Anhalt", 52.1277, 11.6292),
    Town("46483", "Wesel", "Nordrhein-Westfalen", 51.6667, 6.6167),
    Town("48143", "Münster", "Nordrhein-Westfalen", 51.9624, 7.6257),
    Town("49074", "Osnabrück", "Niedersachsen", 52.2763, 8.0462),
    Town("50667", "Köln", "Nordrhein-Westfalen", 50.9384, 6.9599),
    Town("52062", "Aachen", "Nordrhein-Westfalen", 50.7766, 6.0834),
    Town("54290", "Trier", "Rheinland-Pfalz", 49.7557, 6.6394),
    Town("55116", "Mainz", "Rheinland-Pfalz", 50.0001, 8.2710),
    Town("56068", "Koblenz", "Rheinland-Pfalz", 50.3569, 7.5940),
    Town("59494", "Soest", "Nordrhein-Westfalen", 51.5711, 8.1097),
    Town("65183", "Wiesbaden", "Hessen", 50.0826, 8.2400),
    Town("66111", "Saarbrücken", "Saarland", 49.2354, 6.9965),
    Town("67346", "Speyer", "Rheinland-Pfalz", 49.3173, 8.4412),
    Town("69117", "Heidelberg", "Baden-Württemberg", 49.4094, 8.6947),
    Town("72070", "Tübingen", "Baden-Württemberg", 48.5203, 9.0536),
    Town("73728", "Esslingen am Neckar", "Baden-Württemberg", 48.7427, 9.3049),
    Town("74072", "Heilbronn", "Baden-Württemberg", 49.1427, 9.2109),
    Town("76133", "Karlsruhe", "Baden-Württemberg", 49.0094, 8.4044),
    Town("78462", "Konstanz", "Baden-Württemberg", 47.6603, 9.1758),
    Town("79098", "Freiburg im Breisgau", "Baden-Württemberg", 47.9959, 7.8522),
    Town("82467", "Garmisch-Partenkirchen", "Bayern", 47.4919, 11.0948),
    Town("83022", "Rosenheim", "Bayern", 47.8564, 12.1225),
    Town("84028", "Landshut", "Bayern", 48.5371, 12.1522),
    Town("87435", "Kempten (Allgäu)", "Bayern", 47.7267, 10.3139),
    Town("88131", "Lindau (Bodensee)", "Bayern", 47.5460, 9.6829),
    Town("88212", "Ravensburg", "Baden-Württemberg", 47.7819, 9.6107),
    Town("89073", "Ulm", "Baden-Württemberg", 48.4011, 9.9876),
    Town("91541", "Rothenburg ob der Tauber", "Bayern", 49.3780, 10.1790),
    Town("93047", "Regensburg", "Bayern", 49.0134, 12.1016),
    Town("94032", "Passau", "Bayern", 48.5748, 13.4609),
    Town("95444", "Bayreuth", "Bayern", 49.9427, 11.5761),
    Town("96047", "Bamberg", "Bayern", 49.8917, 10.8870),
    Town("97070", "Würzburg", "Bayern", 49.7945, 9.9294),
)

STREETS = (
    "Am Anger", "Am Mühlbach", "Amselweg", "An der Schäferei", "Bahnhofstraße", "Birkenallee",
    "Brückenstraße", "Deichweg", "Dorfstraße", "Eichenweg", "Feldstraße", "Gärtnerweg", "Goethestraße",
    "Großer Kamp", "Gutshof", "Hauptstraße", "Heerstraße", "Im Grünen Winkel", "Jägerstieg", "Kirchgasse",
    "Königsallee", "Krummer Weg", "Lange Straße", "Lindenplatz", "Löwengasse", "Marktplatz", "Mühlenweg",
    "Obere Gasse", "Poststraße", "Rathausplatz", "Ringstraße", "Rosenstraße", "Schloßstraße", "Schulstraße",
    "Südring", "Talweg", "Uferstraße", "Viehmarkt", "Wassermühle", "Weinbergstraße", "Wiesengrund",
    "Zum Hofgut",
)  # fmt: skip

FIRST_NAMES = (
    "Andrea", "Anke", "Annette", "Bärbel", "Björn", "Birgit", "Carsten", "Christoph", "Claudia", "Daniel",
    "Dörte", "Elke", "Emre", "Eva", "Florian", "Frank", "Gisela", "Günter", "Hanna", "Heike", "Holger",
    "Ines", "Jan", "Jörg", "Jürgen", "Käthe", "Karin", "Kerstin", "Kirsten", "Lars", "Lena", "Lukas",
    "Manfred", "Maren", "Markus", "Matthias", "Michaela", "Mirjam", "Nadine", "Nils", "Olaf", "Petra",
    "Rainer", "Renate", "René", "Sabine", "Silke", "Sören", "Stefan", "Susanne", "Svenja", "Thomas",
    "Thorsten", "Ulrike", "Uwe", "Volker", "Wiebke", "Wolfgang", "Yasemin", "Zoë",
)  # fmt: skip

LAST_NAMES = (
    "Albers", "Bäcker", "Behrens", "Böhm", "Brandt", "Bruns", "Büttner", "Claußen", "Dahlke", "Diercks",
    "Döring", "Ebert", "Eggers", "Engelhardt", "Fährmann", "Feddersen", "Förster", "Friedrichsen", "Gärtner",
    "Gerdes", "Göbel", "Graßhoff", "Groß", "Günther", "Hansen", "Harms", "Heß", "Hinrichs", "Höfer", "Huber",
    "Jäger", "Janßen", "Jessen", "Jürgens", "Kähler", "Keßler", "Köhler", "König", "Krämer", "Kröger",
    "Krüger", "Kühn", "Lambrecht", "Lindemann", "Löffler", "Lüders", "Mahler", "Meißner", "Möller", "Müller",
    "Nägele", "Niemeyer", "Nißen", "Öztürk", "Oltmanns", "Ostermann", "Paulsen", "Petersen", "Pfäffle",
    "Pröll", "Rademacher", "Reimers", "Riedmüller", "Röder", "Rößler", "Sänger", "Schäfer", "Schlüter",
    "Schöne", "Schröder", "Schütte", "Schwörer", "Sörensen", "Steinhäuser", "Strauß", "Süß", "Tändler",
    "Thießen", "Trautwein", "Uhlig", "Vollmer", "Voß", "Wächter", "Weiß", "Wessels", "Wörner", "Wulff",
    "Würfel", "Zöllner", "Zürn",
)  # fmt: skip


class Trade(NamedTuple):
    """What a customer does: `{name}` and `{town}` are filled in."""

    company: str
    industry: str
    customer_type: str


TRADES = (
    Trade("Hofladen {name}", "Hofladen", "direct_marketer"),
    Trade("Biohof {name}", "Hofladen", "direct_marketer"),
    Trade("Obsthof {name}", "Obstbau", "direct_marketer"),
    Trade("Spargelhof {name} & Söhne", "Gemüsebau", "direct_marketer"),
    Trade("Ziegenhof {name}", "Käserei", "direct_marketer"),
    Trade("Käserei {name}", "Käserei", "direct_marketer"),
    Trade("Weingut {name}", "Weinbau", "direct_marketer"),
    Trade("Imkerei {name}", "Imkerei", "direct_marketer"),
    Trade("Gärtnerei {name}", "Gärtnerei", "direct_marketer"),
    Trade("Mühlenladen {name}", "Mühle", "direct_marketer"),
    Trade("Forellenzucht {name}", "Fischzucht", "direct_marketer"),
    Trade("Café {name}", "Gastronomie", "retail"),
    Trade("Hofcafé {name}", "Gastronomie", "retail"),
    Trade("Bäckerei {name}", "Bäckerei", "retail"),
    Trade("Metzgerei {name}", "Fleischerei", "retail"),
    Trade("Feinkost {name}", "Feinkost", "retail"),
    Trade("Reformhaus {name}", "Naturkost", "retail"),
    Trade("Naturkost {name} GmbH", "Naturkost", "retail"),
    Trade("Unverpackt-Laden {name}", "Naturkost", "retail"),
    Trade("Getränkemarkt {name}", "Getränke", "retail"),
    Trade("Blumenhaus {name}", "Floristik", "retail"),
    Trade("Frischemarkt {name} e.K.", "Lebensmittel", "franchise"),
    Trade("Landmarkt {name}", "Lebensmittel", "franchise"),
    Trade("Dorfladen {town} eG", "Lebensmittel", "cooperative"),
    Trade("Erzeugermarkt {town} eG", "Lebensmittel", "cooperative"),
    Trade("Winzergenossenschaft {town} eG", "Weinbau", "cooperative"),
    Trade("Gut {name} / Landhandel", "Landhandel", "other"),
    Trade("{name}'s Marktscheune", "Hofladen", "direct_marketer"),
)

OPPORTUNITIES = (
    "Ladenbau Neueröffnung", "Umbau Verkaufsraum", "Kühltheke und Kühlregale", "Kassentresen mit Bäckertheke",
    "Regalsystem Naturholz", "Beleuchtung Verkaufsfläche", "Erweiterung Hofcafé", "Obst- und Gemüsepräsenter",
    "Käsetheke mit Reifeschrank", "Weinregal und Probiertresen", "Selbstbedienungs-Häuschen 24/7",
    "Modernisierung Fassade und Eingang", "Lagerregale Hochlager", "Fleischtheke mit Rückwand",
    "Möblierung Außenbereich", "Brotregal und Rückwand", "Unverpackt-Spender",
    "Verkaufsautomat für Eier und Milch",
)  # fmt: skip

NEXT_STEPS = (
    "Aufmaß vor Ort vereinbaren", "Entwurf der Planung abstimmen", "Kalkulation nachreichen",
    "Muster der Oberflächen mitbringen", "Rückruf wegen Förderantrag", "Termin mit der Geschäftsführung",
    "Angebot für Kühltechnik einholen", "Referenzladen gemeinsam besichtigen",
)  # fmt: skip

LOST_REASONS = (
    "Budget gestrichen", "Mitbewerber war günstiger", "Umbau um zwei Jahre verschoben", "Förderung abgelehnt",
    "Eigenleistung mit örtlicher Tischlerei",
)  # fmt: skip

TAGS = ("Förderung", "Neukunde", "Bestandskunde", "Messe", "Empfehlung", "Eilig", "Bio", "Nachfassen")

SUBJECTS = {
    "call": (
        "Rückfrage zum Angebot",
        "Termin für Aufmaß abgestimmt",
        "Reklamation Scharnier Kühltheke",
        "Nachfrage zur Lieferzeit",
        "Erstkontakt nach Empfehlung",
    ),
    "email": (
        "Unterlagen zur Regalserie geschickt",
        "Grundriss erhalten",
        "Preisliste Beleuchtung verschickt",
        "Bestätigung des Besuchstermins",
    ),
    "meeting": (
        "Planungsgespräch Verkaufsraum",
        "Abstimmung mit Elektriker und Kältebauer",
        "Präsentation des Entwurfs",
        "Preisgespräch",
    ),
    "visit": (
        "Besuch vor Ort: Aufmaß",
        "Rundgang durch den Hofladen",
        "Abnahme der Theke",
        "Bestandsaufnahme Regale",
        "Besuch auf der Baustelle",
    ),
    "note": (
        "Notiz zur Warenpräsentation",
        "Mitbewerber gesichtet",
        "Öffnungszeiten geändert",
        "Idee für Herbstmarkt",
    ),
}

REMARKS = (
    "Die Fläche beträgt rund {area} m², die Decke ist {height} cm hoch.",
    "Wunsch ist helle Eiche, geölt, dazu schwarze Stahlrahmen.",
    "Die Kühltheke soll größer werden, der Käse verkauft sich sehr gut.",
    "Stromanschluss reicht für zwei weitere Kühlmöbel nicht aus; Elektriker muss prüfen.",
    "Umsatz an Wochenenden deutlich höher, daher zweite Kasse gewünscht.",
    "Fördermittel der ländlichen Entwicklung sind beantragt, Bescheid wird im Frühjahr erwartet.",
    "Boden ist uneben (bis zu 2 cm), Sockel mit Stellfüßen einplanen.",
    "Familie führt den Betrieb in dritter Generation, die Tochter übernimmt 2027.",
    "Parkplätze sind knapp; Anlieferung nur vor 8 Uhr möglich.",
    "Zufrieden mit der letzten Montage, möchte wieder dasselbe Team.",
    "Präsentiert wird überwiegend saisonale Ware: Äpfel, Kürbisse, Spargel, Erdbeeren.",
    "Es gibt ein Angebot eines Mitbewerbers über etwa {price} EUR.",
)

OUTCOMES = (
    "Angebot wird erwartet", "Entscheidung bis Monatsende", "Kein Bedarf in diesem Jahr", "Termin folgt",
    "Zusage mündlich erhalten", "Unterlagen werden geprüft",
)  # fmt: skip

DELIVERY_NOTES = (
    "Anlieferung über den Hof, Hund ist angeleint.",
    "Rampe vorhanden, Hubwagen vor Ort.",
    "Zufahrt für 40-Tonner nicht möglich, bitte mit 7,5 t.",
    "Bitte 30 Minuten vorher anrufen.",
    "Schlüssel beim Nachbarn, Haus Nr. 4.",
)
