"""What problems say, in German. A test insists that it has every text that the API can answer.

`{}` stands for whatever the text names there: `{0}`, `{1}` in German. What is named is looked up as well: a
problem may quote another one. What isn't here, as what a library says of a file, stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

_ASKING: Mapping[str, str] = {
    "There is no such resource.": "Eine solche Ressource gibt es nicht.",
    "{} can't be done here; these can: {}.": "{0} geht hier nicht; es gehen: {1}.",
    "The server failed; its log tells more.": "Der Server hat versagt; mehr steht in seinem Protokoll.",
    "These are more than {} requests in a minute: ask again later.": (
        "Das sind mehr als {0} Anfragen in einer Minute: bitte später noch einmal."
    ),
    "Log in first: POST name and password, or a token, to /api/v1/session.": (
        "Bitte erst anmelden: Name und Passwort, oder ein Token, mit POST an /api/v1/session."
    ),
    "This is for {} only.": "Das ist nur für {0}.",
    "There is no parameter {}; there are: {}.": "Den Parameter {0} gibt es nicht; es gibt: {1}.",
    "There is no parameter {}; this address takes none.": (
        "Den Parameter {0} gibt es nicht; diese Adresse hat keine."
    ),
    "This address takes no body.": "Mit einer Anfrage an diese Adresse wird nichts gesendet.",
    "There is no parameter {}. Filters are field=value or field.operator=value.": (
        "Den Parameter {0} gibt es nicht. Filter sind Feld=Wert oder Feld.Operator=Wert."
    ),
    "{} must be a number from {} to {}.": "{0} muss eine Zahl von {1} bis {2} sein.",
    "{} must be a number up to {}.": "{0} muss eine Zahl bis {1} sein.",
    "{} must be true or false.": "{0} muss true oder false sein.",
    "{} must be a day such as 2026-11-30.": "{0} muss ein Tag sein wie 2026-11-30.",
    "{} must be a time as 2026-03-01 or 2026-03-01T08:00:00Z.": (
        "{0} muss ein Zeitpunkt sein wie 2026-03-01 oder 2026-03-01T08:00:00Z."
    ),
    "state is one of {}.": "state ist eines von {0}.",
    "state must be one of {}.": "state muss eines von {0} sein.",
    "state must be some of {}, separated by commas.": (
        "state müssen einige von {0} sein, durch Kommas getrennt."
    ),
    "state is open, resolved or all.": "state ist open, resolved oder all.",
    "kind is one of {}.": "kind ist eines von {0}.",
    "entity is one of {}.": "entity ist eines von {0}.",
    "type is one of {}.": "type ist eines von {0}.",
    "outcome is one of {}.": "outcome ist eines von {0}.",
    "Give {} once.": "{0} bitte nur einmal angeben.",
    "Send one of {}.": "Bitte eines davon senden: {0}.",
    "The body must be a JSON object.": "Der Inhalt muss ein JSON-Objekt sein.",
    "The body is not JSON in UTF-8.": "Der Inhalt ist kein JSON in UTF-8.",
    "The body has members that can't be.": "Der Inhalt hat Angaben, die nicht sein können.",
}

_DOCUMENTS: Mapping[str, str] = {
    "There is no such document, or none that you may read.": (
        "Ein solches Dokument gibt es nicht, oder Sie dürfen es nicht lesen."
    ),
    "There was a document {}, which was deleted: take another id.": (
        "Ein Dokument {0} gab es; es wurde gelöscht: bitte eine andere Kennung nehmen."
    ),
    "There is a document {} already.": "Ein Dokument {0} gibt es schon.",
    "There is no action {} for {}; there are: {}.": "Den Schritt {0} gibt es bei {1} nicht; es gibt: {2}.",
    'Say with If-Match which revision you have seen: If-Match: "REV", or "*" for any.': (
        'Bitte mit If-Match sagen, welche Fassung Sie gesehen haben: If-Match: "REV", oder * für irgendeine.'
    ),
    'If-Match has revisions in quotes, as "3-1a2b", or * for any; not {}.': (
        'In If-Match stehen Fassungen in Anführungszeichen, wie "3-1a2b", oder * für irgendeine; nicht {0}.'
    ),
    "The document has changed meanwhile: read it again, and look at what is new.": (
        "Das Dokument hat sich inzwischen geändert: bitte neu lesen und ansehen, was neu ist."
    ),
    "This is the address of {}.": "Das ist die Adresse von {0}.",
    "_id must be a text.": "_id muss ein Text sein.",
    "Documents of {} have the type {}.": "Dokumente von {0} haben den Typ {1}.",
    "{} can't be written here.": "{0} kann hier nicht geschrieben werden.",
    "{} must say which document this belongs to.": "{0} muss sagen, zu welchem Dokument das gehört.",
    "sort can't be {}; it is one of {}.": "sort kann nicht {0} sein; es ist eines von {1}.",
    "{} have no field {}.": "{0} haben kein Feld {1}.",
    "There may be at most {} filters.": "Es dürfen höchstens {0} Filter sein.",
    "{} is for texts; {} holds none.": "{0} ist für Texte; in {1} stehen keine.",
    "{} is true or false: neither comes first.": "{0} ist true oder false: keines davon kommt zuerst.",
    "{} may have at most {} values.": "{0} darf höchstens {1} Werte haben.",
    "A value of {} may have at most {} characters.": "Ein Wert von {0} darf höchstens {1} Zeichen haben.",
    "{} must be {}, not {}.": "{0} muss {1} sein, nicht {2}.",
    "a text": "ein Text",
    "a number such as 1234.50": "eine Zahl wie 1234.50",
    "a whole number such as 12": "eine ganze Zahl wie 12",
    "true or false": "true oder false",
    "a day such as 2026-11-30": "ein Tag wie 2026-11-30",
    "a time such as 2026-11-30T08:15:00Z": "ein Zeitpunkt wie 2026-11-30T08:15:00Z",
    "{} is one of {}, not {}.": "{0} ist eines von {1}, nicht {2}.",
    "This is no cursor: take the one that a page gave you.": (
        "Das ist kein Cursor: bitte den nehmen, den eine Seite genannt hat."
    ),
    "This cursor is of a list with other filters or another order.": (
        "Dieser Cursor gehört zu einer Liste mit anderen Filtern oder in anderer Reihenfolge."
    ),
    "These are no operations.": "Das sind keine Operationen.",
    "There is no resource {}.": "Eine Ressource {0} gibt es nicht.",
    "Nobody but the server writes {}.": "{0} schreibt nur der Server.",
    "This server keeps no idempotency keys.": "Dieser Server merkt sich keine Idempotency-Keys.",
    "This Idempotency-Key was used for another request: take a new one.": (
        "Dieser Idempotency-Key gehört zu einer anderen Anfrage: bitte einen neuen nehmen."
    ),
    "The request with this Idempotency-Key is still being worked on: ask again.": (
        "An der Anfrage mit diesem Idempotency-Key wird noch gearbeitet: bitte noch einmal fragen."
    ),
    'Idempotency-Key is one text of up to {} characters: Idempotency-Key: "…".': (
        'Idempotency-Key ist ein Text von bis zu {0} Zeichen: Idempotency-Key: "…".'
    ),
    "Idempotency keys can't be looked up: {}": "Idempotency-Keys können nicht nachgesehen werden: {0}",
}

_OFFICE: Mapping[str, str] = {
    "A profile is a dialect of CSV: format can't be anything else.": (
        "Ein Profil ist eine Form von CSV: format kann nichts anderes sein."
    ),
    "A profile has columns of its own: give fields or profile.": (
        "Ein Profil hat eigene Spalten: bitte fields oder profile angeben."
    ),
    "This server can't write {}: {}.": "Dieser Server kann {0} nicht schreiben: {1}.",
    "There is no profile {} by which {} are exported.": (
        "Ein Profil {0}, nach dem {1} exportiert werden, gibt es nicht."
    ),
    "format is one of {}, not {}.": "format ist eines von {0}, nicht {1}.",
    "There is {}; or say format=.": "Es gibt {0}; oder format= angeben.",
    "Too many files are being made: ask again in a minute.": (
        "Es werden zu viele Dateien erzeugt: bitte in einer Minute noch einmal."
    ),
    "Only a period that is over can be final.": "Festgeschrieben wird nur ein Zeitraum, der vorbei ist.",
    "Nothing was made, because it would be wrong: {}": "Es wurde nichts erzeugt, weil es falsch wäre: {0}",
    "{} documents of the period can't be booked, so it can't be final.": (
        "{0} Dokumente des Zeitraums können nicht gebucht werden; darum kann er nicht festgeschrieben werden."
    ),
    "from is before to, and a period has a year at most.": (
        "from liegt vor to, und ein Zeitraum hat höchstens ein Jahr."
    ),
    "chart is 03 (SKR03) or 04 (SKR04).": "chart ist 03 (SKR03) oder 04 (SKR04).",
    "Nobody has said whose books it is: an administrator sets books_file.": (
        "Wessen Buchführung das ist, hat noch niemand gesagt: Das stellt ein Administrator mit books_file"
        " ein."
    ),
    "books_file {} can't be read: {}": "books_file {0} kann nicht gelesen werden: {1}",
    "books_file {} says what can't be: {}": "books_file {0} sagt etwas, das nicht sein kann: {1}",
    "Somebody else has taken out bookings meanwhile: ask again.": (
        "Inzwischen hat jemand anderes Buchungen geholt: bitte noch einmal."
    ),
    "What went to DATEV can't be told now; the server's log says why.": (
        "Was zu DATEV ging, lässt sich gerade nicht sagen; warum, steht im Protokoll des Servers."
    ),
    "month is written 2026-10.": "month wird geschrieben wie 2026-10.",
    "This file isn't kept any more: export the run again.": (
        "Diese Datei ist nicht mehr da: bitte den Lauf noch einmal exportieren."
    ),
    "There is no such run.": "Einen solchen Lauf gibt es nicht.",
    "There is no run {} of {}.": "Einen Lauf {0} von {1} gibt es nicht.",
    "Run {} has no rows.": "Lauf {0} hat keine Zeilen.",
    "No folder is set: lexware_directory.": "Es ist kein Ordner eingestellt: lexware_directory.",
    "{} can't be written: {}.": "In {0} kann nicht geschrieben werden: {1}.",
    "{} can't be read: {}.": "{0} kann nicht gelesen werden: {1}.",
    "This is for who reads every {}.": "Das ist für den, der alles vom Typ {0} liest.",
    "This server exchanges nothing with Lexware.": "Dieser Server tauscht nichts mit Lexware aus.",
    "Another {} with Lexware is under way: try again in a moment.": (
        "Es läuft schon etwas mit Lexware ({0}): bitte gleich noch einmal."
    ),
    "{} was taken over by another process": "{0} hat ein anderer Prozess übernommen",
    "There is no such file.": "Eine solche Datei gibt es nicht.",
    "There is no such error.": "Einen solchen Fehler gibt es nicht.",
    "None of your roles makes documents of type {}.": "Keine Ihrer Rollen legt Dokumente vom Typ {0} an.",
    "None of your roles deletes documents of type {}: GF undoes it.": (
        "Keine Ihrer Rollen löscht Dokumente vom Typ {0}: Rückgängig macht das die Geschäftsführung."
    ),
    "Whoever has imported it undoes it, or GF.": (
        "Das macht rückgängig, wer es importiert hat, oder die Geschäftsführung."
    ),
    "Nothing is imported here.": "Hier wird nichts importiert.",
    "There is no such import, or none of yours.": (
        "Einen solchen Import gibt es nicht, oder er ist nicht Ihrer."
    ),
    "The file has no column {}.": "Die Datei hat keine Spalte {0}.",
    "{} is {} already.": "{0} ist schon {1}.",
    "{} has no field {} that can be imported.": "{0} hat kein Feld {1}, das importiert werden kann.",
    "You may not write {}.": "{0} dürfen Sie nicht schreiben.",
    "The import was executed already: upload the file again.": (
        "Der Import wurde schon ausgeführt: bitte die Datei noch einmal hochladen."
    ),
    "Duplicates are asked about after a dry run: begin with one.": (
        "Nach Dubletten wird nach einem Probelauf gefragt: bitte mit einem beginnen."
    ),
    "Duplicates wait for a decision, in lines {}.": "Über Dubletten ist zu entscheiden, in den Zeilen {0}.",
    "There is no such import.": "Einen solchen Import gibt es nicht.",
    "There is no such import any more: upload the file again.": (
        "Diesen Import gibt es nicht mehr: bitte die Datei noch einmal hochladen."
    ),
    "The import was read or mapped otherwise meanwhile: look at it again.": (
        "Der Import wurde inzwischen anders gelesen oder zugeordnet: bitte noch einmal ansehen."
    ),
    "Something is being done with this import: wait until it is finished.": (
        "An diesem Import wird gerade gearbeitet: bitte warten, bis das fertig ist."
    ),
    "The import is {}; this needs one that is: {}.": (
        "Der Import ist im Zustand {0}; das geht nur mit einem im Zustand {1}."
    ),
    "{} imports wait to be executed: delete those you don't need.": (
        "{0} Importe warten auf ihre Ausführung: bitte löschen, was Sie nicht brauchen."
    ),
    "{} Say with supplierId whose it is.": "{0} Bitte mit supplierId sagen, von wem sie ist.",
    "This file was imported and deleted too often: enter the invoice by hand.": (
        "Diese Datei wurde zu oft importiert und gelöscht: bitte die Rechnung von Hand eingeben."
    ),
    "Only what is final is archived: an offer that was sent, a contract that was signed.": (
        "Archiviert wird nur, was gilt: ein Angebot, das verschickt, ein Vertrag, der unterschrieben wurde."
    ),
    "A document of more than {} lines can't be printed.": (
        "Ein Dokument mit mehr als {0} Zeilen kann nicht gedruckt werden."
    ),
    "The document is too long to be printed: it takes too much time or memory.": (
        "Das Dokument ist zu lang zum Drucken: es braucht zu viel Zeit oder Speicher."
    ),
    "The document is too long to be printed: it says more than {} MB.": (
        "Das Dokument ist zu lang zum Drucken: es hat mehr als {0} MB Text."
    ),
    "No font has the sign {} (U+{}), so it can't be printed. Take it out, or have a font with it put into the"
    " folder fonts of the templates.": (
        "Keine Schrift hat das Zeichen {0} (U+{1}), daher kann es nicht gedruckt werden. Bitte herausnehmen,"
        " oder eine Schrift mit diesem Zeichen in den Ordner fonts der Vorlagen legen lassen."
    ),
    "The document has changed meanwhile: archive it again.": (
        "Das Dokument hat sich inzwischen geändert: bitte noch einmal archivieren."
    ),
    "Nothing can be printed: the server's log tells what is wrong.": (
        "Es kann nichts gedruckt werden: Woran es liegt, steht im Protokoll des Servers."
    ),
    "Printing needs typst: pip install 'kompass[office]'": (
        "Zum Drucken fehlt typst: pip install 'kompass[office]'"
    ),
    "{} is not installed: pip install 'kompass[office]'": (
        "{0} ist nicht installiert: pip install 'kompass[office]'"
    ),
    "There may be at most {} calendars: revoke one first.": (
        "Es dürfen höchstens {0} Kalender sein: bitte erst einen widerrufen."
    ),
    "A calendar may be fetched {} times an hour.": "Ein Kalender darf {0}-mal in der Stunde geholt werden.",
    "There is no such calendar.": "Einen solchen Kalender gibt es nicht.",
    "Nobody may read this calendar any more.": "Diesen Kalender darf niemand mehr lesen.",
    "{} Make calendars of fewer kinds.": "{0} Bitte Kalender mit weniger Arten von Einträgen anlegen.",
    "There are more than {} {}.": "Es sind mehr als {0} {1}.",
    "There are no calendars here.": "Hier gibt es keine Kalender.",
}

_PEOPLE: Mapping[str, str] = {
    "Say whom and what: ?user=NAME&doc=ID.": "Bitte sagen, wer und was: ?user=NAME&doc=ID.",
    "The matrix can't be used.": "Die Matrix kann nicht verwendet werden.",
    "{} is no document of the business.": "{0} ist kein Dokument des Geschäfts.",
    "There is no such conflict.": "Einen solchen Konflikt gibt es nicht.",
    "The address is about {}; conflictId can't be another one.": (
        "Die Adresse ist die von {0}; conflictId kann kein anderer sein."
    ),
    "The document keeps changing: look at the conflict again.": (
        "Das Dokument ändert sich laufend: bitte den Konflikt neu ansehen."
    ),
    "This conflict is settled already.": "Dieser Konflikt ist schon entschieden.",
    "So much money is involved that management (GF) decides.": (
        "Es geht um so viel Geld, dass die Geschäftsführung entscheidet."
    ),
    "You can't see the document any more: ask somebody who can.": (
        "Sie sehen das Dokument nicht mehr: bitte jemanden fragen, der es sieht."
    ),
    "The bytes of the attachment {} are no longer stored.": "Der Anhang {0} ist nicht mehr gespeichert.",
    "The conflict isn't about {}, but {}.": "Im Konflikt geht es nicht um {0}, sondern um {1}.",
    "resolvedData has {}, which the conflict isn't about.": (
        "In resolvedData steht {0}; darum geht es im Konflikt nicht."
    ),
    "Nothing is decided about {}: choose mine, theirs, merge or a value.": (
        "Über {0} ist nichts entschieden: bitte mine, theirs, merge oder einen Wert wählen."
    ),
    "A deletion is accepted (mine) or not (theirs).": (
        "Eine Löschung wird angenommen (mine) oder nicht (theirs)."
    ),
    "A document comes back as its sender had it (mine) or stays deleted (theirs).": (
        "Ein Dokument kommt zurück, wie es sein Absender hatte (mine), oder es bleibt gelöscht (theirs)."
    ),
    "{} is no text and no list: choose mine, theirs or a value.": (
        "{0} ist weder Text noch Liste: bitte mine, theirs oder einen Wert wählen."
    ),
    "{} needs a character that can be seen.": "{0} braucht ein Zeichen, das man sieht.",
    "There is no such device.": "Ein solches Gerät gibt es nicht.",
    "There is no such customer, contact, lead or user.": (
        "Einen solchen Kunden, Ansprechpartner, Interessenten oder Benutzer gibt es nicht."
    ),
    "He was erased before.": "Die Daten wurden schon gelöscht.",
    "consumer must be a name of lower-case letters, digits, dots and hyphens.": (
        "consumer muss ein Name aus kleinen Buchstaben, Ziffern, Punkten und Bindestrichen sein."
    ),
    "A consumer's name is of lower-case letters, digits, dots, hyphens; 64 at most.": (
        "Der Name eines Empfängers hat kleine Buchstaben, Ziffern, Punkte und Bindestriche, höchstens 64."
    ),
    "There is no ticket {}.": "Den Löschauftrag {0} gibt es nicht.",
    '{} can still log in. Disable the user first (PATCH /api/v1/users/{} with "active": false, or in'
    " Keycloak), and erase him when his devices have sent what they hold.": (
        '{0} kann sich noch anmelden. Bitte erst sperren (PATCH /api/v1/users/{1} mit "active": false, oder'
        " in Keycloak), und löschen, wenn seine Geräte gesendet haben, was sie noch haben."
    ),
    "There is a legal hold on {}: nothing is erased before GF lifts it.": (
        "Auf {0} liegt eine Aufbewahrungspflicht: nichts wird gelöscht, bevor GF sie aufhebt."
    ),
    "There is no such ticket.": "Einen solchen Löschauftrag gibt es nicht.",
    "No such consumer is enrolled: PUT it first.": (
        "Ein solcher Empfänger ist nicht angemeldet: bitte erst PUT."
    ),
    "Your roles have changed: log in again.": "Ihre Rollen haben sich geändert: bitte neu anmelden.",
    "You are not allowed to access this db.": "Sie haben hier keinen Zugang.",
    "There is no such attachment.": "Einen solchen Anhang gibt es nicht.",
    "The body must be an object with document and rev, and nothing else.": (
        "Der Inhalt muss ein Objekt mit document und rev sein, und sonst nichts."
    ),
    "document must be an object: the corrected document.": (
        "document muss ein Objekt sein: das berichtigte Dokument."
    ),
    "rev must be the revision of the document that you have seen, or null.": (
        "rev muss die Fassung des Dokuments sein, die Sie gesehen haben, oder null."
    ),
    "The entry is about {}; _id can't be another one.": (
        "Im Eintrag geht es um {0}; _id kann kein anderes sein."
    ),
    "There is no such entry.": "Einen solchen Eintrag gibt es nicht.",
    "The document is gone already: discard the entry.": (
        "Das Dokument ist schon weg: bitte den Eintrag verwerfen."
    ),
    "Only its author corrects an entry; the office releases or discards it.": (
        "Einen Eintrag berichtigt nur sein Verfasser; das Büro gibt ihn frei oder verwirft ihn."
    ),
    "The document has changed since you saw it.": (
        "Das Dokument hat sich geändert, seit Sie es gesehen haben."
    ),
    "This entry is {}: nothing more can be done with it here.": (
        "Dieser Eintrag ist erledigt ({0}): mehr geht hier nicht."
    ),
    "There is no such report; there are: {}.": "Einen solchen Bericht gibt es nicht; es gibt: {0}.",
    "None of your roles reads what this report is about.": (
        "Keine Ihrer Rollen liest, wovon dieser Bericht handelt."
    ),
    "The read store is being made: ask again in a while.": (
        "Die Auswertungsdatenbank wird gerade aufgebaut: bitte in einer Weile noch einmal."
    ),
    "Your rights have changed: ask again in a moment.": (
        "Ihre Rechte haben sich geändert: bitte gleich noch einmal."
    ),
    "The report takes too long now: ask again in a while.": (
        "Der Bericht dauert gerade zu lange: bitte in einer Weile noch einmal."
    ),
    "The read store can't be asked now; it is started, or made, or its server is down.": (
        "Die Auswertungsdatenbank antwortet gerade nicht: sie startet, wird aufgebaut, oder ihr Server steht."
    ),
    "This server has no read store: {}.": "Dieser Server hat keine Auswertungsdatenbank: {0}.",
    "The search index didn't answer in time: try again.": (
        "Die Suche hat nicht rechtzeitig geantwortet: bitte noch einmal."
    ),
    "The search index can't answer now: try again.": (
        "Die Suche kann gerade nicht antworten: bitte noch einmal."
    ),
    "This server has no search by meaning: {}": "Dieser Server sucht nicht nach Bedeutung: {0}",
    "No search index is set up.": "Es ist kein Suchindex eingerichtet.",
    "q must have at most {} characters.": "q darf höchstens {0} Zeichen haben.",
    "{} must be at most {} values of {} characters.": "{0} dürfen höchstens {1} Werte von {2} Zeichen sein.",
    "type can't be {}; it is one of {}.": "type kann nicht {0} sein; es ist eines von {1}.",
    "sort must be one of {}.": "sort muss eines von {0} sein.",
    "mode must be one of {}.": "mode muss eines von {0} sein.",
    "mode=vector needs something to look for in q.": "mode=vector braucht in q etwas, wonach gesucht wird.",
    "What is found by meaning is sorted by relevance: leave out sort or mode.": (
        "Was nach Bedeutung gefunden wird, ist nach Relevanz sortiert: bitte sort oder mode weglassen."
    ),
    "Nobody changes his own roles: ask somebody else with GF.": (
        "Seine eigenen Rollen ändert niemand: Das macht jemand anderes mit GF."
    ),
    "{} can be given and taken by GF only.": "{0} gibt und nimmt nur GF.",
    "Somebody with GF or ADMIN can be locked out and let in by GF only.": (
        "Wer GF oder ADMIN ist, den sperrt und entsperrt nur GF."
    ),
    "There is no such user.": "Einen solchen Benutzer gibt es nicht.",
}

_RUNNING: Mapping[str, str] = {
    "There is no such letter: the document was stored, or the letter dropped.": (
        "Einen solchen Eintrag gibt es nicht: Das Dokument wurde gespeichert, oder der Eintrag verworfen."
    ),
    "There is no such sink.": "Ein solches Ziel gibt es nicht.",
    "No consumer of the feed has run on this server's directory.": (
        "Im Verzeichnis dieses Servers ist noch kein Empfänger der Änderungen gelaufen."
    ),
    "The list of the feed can't be used: the server's log tells why.": (
        "Die Liste der Änderungen kann nicht benutzt werden: Warum, steht im Protokoll des Servers."
    ),
    "This is for the service that follows the feed: it brings its secret as a token.": (
        "Das ist für den Dienst, der den Änderungen folgt: Er bringt sein Geheimnis als Token mit."
    ),
    "This is for the service that follows the feed.": "Das ist für den Dienst, der den Änderungen folgt.",
    "There is no such person.": "Eine solche Person gibt es nicht.",
    "There is no such role.": "Eine solche Rolle gibt es nicht.",
    "There is no such webhook.": "Einen solchen Webhook gibt es nicht.",
    "The body has to be a document.": "Der Inhalt muss ein Dokument sein.",
    "This is for the service that does jobs: it brings its secret as a token.": (
        "Das ist für den Dienst, der Aufträge ausführt: Er bringt sein Geheimnis als Token mit."
    ),
    "This is for the service that does jobs.": "Das ist für den Dienst, der Aufträge ausführt.",
    "There is no such job.": "Einen solchen Auftrag gibt es nicht.",
    "{}, or a worker has it.": "{0}, oder er wird gerade ausgeführt.",
    "{} that waits or was given up.": "{0}, der wartet oder aufgegeben wurde.",
    "There is no such job": "Einen solchen Auftrag gibt es nicht",
    "It reads as you yourself; only administrators of the server name somebody else.": (
        "Gelesen wird mit Ihren Rechten; jemand anderen nennen nur Administratoren des Servers."
    ),
    "This is for people.": "Das ist für Menschen.",
    "This server has no jobs.": "Dieser Server hat keine Aufträge.",
    "There are no jobs: {}": "Es gibt keine Aufträge: {0}",
    "Figures are only read.": "Kennzahlen werden nur gelesen.",
    "Log in as somebody with the role {}.": "Bitte als jemand mit der Rolle {0} anmelden.",
    "Figures are for administrators of the server and the role {}.": (
        "Kennzahlen sind für Administratoren des Servers und die Rolle {0}."
    ),
}

_PROTOCOL: Mapping[str, str] = {
    "Name or password is incorrect.": "Name oder Passwort stimmt nicht.",
    "Authorization header has invalid base64 value": "Der Header Authorization ist kein gültiges Base64.",
    "invalid UTF-8 JSON": "Der Inhalt ist kein JSON in UTF-8, oder eine Zahl darin ist zu groß.",
    "JSON is nested more than {} levels deep": "Das JSON ist mehr als {0} Ebenen tief.",
    "the request entity is too large": "Der Inhalt ist zu groß.",
    "the request holds more than {} values": "Der Inhalt hat mehr als {0} Werte.",
    "{} is not a supported content encoding.": "{0} wird hier nicht ausgepackt.",
    "Request body is not properly gzipped.": "Der Inhalt ist nicht richtig mit gzip gepackt.",
    "Content-Type must be application/json": "Content-Type muss application/json sein.",
    "Request body must be a JSON object": "Der Inhalt muss ein JSON-Objekt sein.",
    "Document is missing attachment": "Einen solchen Anhang gibt es nicht.",
    "Only reserved document ids may start with underscore.": (
        "Die Kennung eines Dokuments beginnt nicht mit _."
    ),
    "Document id must not contain a NUL character": "Die Kennung eines Dokuments hat ein Zeichen NUL.",
    "You are not a db or server admin.": "Das ist nur für Administratoren des Servers.",
    "Document id must not be empty": "Die Kennung eines Dokuments darf nicht leer sein.",
    "Document update conflict.": "Das Dokument hat sich inzwischen geändert.",
    "Possible message corruption.": "Unterwegs ist etwas verfälscht worden.",
    "Requested range not satisfiable": "Diesen Bereich gibt es nicht.",
    "Attachment name '{}' starts with prohibited character '_'": (
        "Der Name eines Anhangs beginnt nicht mit _: {0}"
    ),
    "Pages of {} may not change anything here.": "Seiten von {0} dürfen hier nichts ändern.",
    "Database does not exist.": "Die Datenbank gibt es nicht.",
}

_MEMBERS: Mapping[str, str] = {
    "Field required": "fehlt",
    "Extra inputs are not permitted": "gibt es hier nicht",
    "Input should be a valid string": "muss ein Text sein",
    "Input should be a valid boolean": "muss true oder false sein",
    "Input should be a valid integer": "muss eine ganze Zahl sein",
    "Input should be a valid number": "muss eine Zahl sein",
    "Input should be a valid list": "muss eine Liste sein",
    "Input should be a valid dictionary": "muss ein Objekt sein",
    "Input should be an object": "muss ein Objekt sein",
    "Input should be {}": "muss eines von {0} sein",
    "Input should be greater than or equal to {}": "muss mindestens {0} sein",
    "Input should be less than or equal to {}": "muss höchstens {0} sein",
    "Input should be greater than {}": "muss größer als {0} sein",
    "Input should be less than {}": "muss kleiner als {0} sein",
    "String should have at least {} character": "muss mindestens {0} Zeichen haben",
    "String should have at least {} characters": "muss mindestens {0} Zeichen haben",
    "String should have at most {} character": "darf höchstens {0} Zeichen haben",
    "String should have at most {} characters": "darf höchstens {0} Zeichen haben",
    "String should match pattern '{}'": "muss die Form {0} haben",
    "{} should have at least {} item after validation, not {}": (
        "muss mindestens {1} Eintrag haben, nicht {2}"
    ),
    "{} should have at least {} items after validation, not {}": (
        "muss mindestens {1} Einträge haben, nicht {2}"
    ),
    "{} should have at most {} item after validation, not {}": "darf höchstens {1} Eintrag haben, nicht {2}",
    "{} should have at most {} items after validation, not {}": (
        "darf höchstens {1} Einträge haben, nicht {2}"
    ),
    "Input tag '{}' found using '{}' does not match any of the expected tags: {}": (
        "{1} ist eines von {2}, nicht {0}"
    ),
    "Unable to extract tag using discriminator '{}'": "{0} fehlt",
    "Value error, {}": "{0}",
    "give either changes or matrix": "entweder changes oder matrix angeben",
    "name a run or documents, not both": "einen Lauf oder Dokumente nennen, nicht beides",
    "assign needs invoice: the number of the invoice that it is for": (
        "assign braucht invoice: die Nummer der Rechnung, für die sie ist"
    ),
    "ignore needs a reason": "ignore braucht einen Grund",
    "give roles, or active, or both": "roles oder active angeben, oder beides",
}
"""What pydantic says of the members of a body."""

TEXTS: Mapping[str, str] = {
    **_ASKING,
    **_DOCUMENTS,
    **_OFFICE,
    **_PEOPLE,
    **_RUNNING,
    **_PROTOCOL,
    **_MEMBERS,
}
"""English -> German."""
