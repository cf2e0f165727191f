"""What columns are called in the files of others, in German and English: field -> names.

Names are compared without case, blanks and signs, umlauts written out. The name of a field and its German
label needn't be here.
"""

from __future__ import annotations

from collections.abc import Mapping

Names = Mapping[str, tuple[str, ...]]

_ADDRESS: Names = {
    "billingAddress.street": (
        "Straße", "Strasse", "Str.", "Straße und Hausnummer", "Straße, Nr.", "Anschrift", "Rechnungsstraße",
        "Street", "Address", "Address 1", "Street Address", "Billing Street",
    ),
    "billingAddress.streetNumber": ("Hausnummer", "Hausnr.", "Haus-Nr.", "House Number", "Street Number"),
    "billingAddress.addressLine2": (
        "Adresszusatz", "Zusatz", "Adresse 2", "Address Line 2", "Address 2", "Suite",
    ),
    "billingAddress.zipCode": (
        "PLZ", "Postleitzahl", "Rechnungs-PLZ", "ZIP", "ZIP Code", "Postal Code", "Postcode",
    ),
    "billingAddress.city": ("Ort", "Stadt", "Wohnort", "Rechnungsort", "City", "Town", "Billing City"),
    "billingAddress.state": ("Bundesland", "Land (Bundesland)", "State", "Region", "Province"),
    "billingAddress.country": ("Land", "Staat", "Country", "Country Code"),
    "billingAddress.latitude": ("Breitengrad", "Breite", "Latitude", "Lat"),
    "billingAddress.longitude": ("Längengrad", "Länge", "Longitude", "Lon", "Lng"),
}  # fmt: skip

_REACHED: Names = {
    "email": (
        "E-Mail", "E-Mail-Adresse", "Email", "Mail", "Mailadresse", "E-Mail geschäftlich",
        "Email Address",
    ),
    "phone": (
        "Telefon", "Tel.", "Telefonnummer", "Tel.-Nr.", "Festnetz", "Rufnummer", "Phone", "Phone Number",
    ),
    "notes": (
        "Notizen", "Notiz", "Bemerkung", "Bemerkungen", "Anmerkung", "Kommentar", "Notes", "Comments",
    ),
}  # fmt: skip

_COMPANY: Names = {
    "companyName": (
        "Firma", "Firmenname", "Name der Firma", "Unternehmen", "Name", "Name 1", "Firmierung",
        "Company", "Company Name", "Organization", "Account Name",
    ),
    "vatNumber": (
        "USt-IdNr", "USt-IdNr.", "USt-ID", "UStID", "Umsatzsteuer-ID", "Umsatzsteuer-Identifikationsnummer",
        "VAT", "VAT ID", "VAT Number", "VAT No.", "Tax ID",
    ),
    "website": ("Webseite", "Website", "Homepage", "Internet", "Internetadresse", "URL", "Web", "WWW"),
    **_REACHED,
    **_ADDRESS,
}  # fmt: skip

_CUSTOMER_OF: Names = {
    "customerId": (
        "Kunde", "Kundennummer", "Kundennr.", "Kunden-Nr.", "KdNr", "Kd.-Nr.", "Kundenname", "Firma",
        "Firmenname",
        "Unternehmen", "Customer", "Customer Number", "Customer No.", "Customer Name", "Company", "Account",
        "customerNumber",
    ),
}  # fmt: skip

_OWNER = (
    "Verantwortlich", "Verantwortlicher", "Betreuer", "Kundenbetreuer", "Außendienst", "Vertreter", "ADM",
    "Vertriebsmitarbeiter", "Zuständig", "Owner", "Account Owner", "Sales Rep", "Responsible",
)  # fmt: skip

SYNONYMS: Mapping[str, Names] = {
    "customer": {
        "customerNumber": (
            "Kundennummer", "Kundennr.", "Kunden-Nr.", "KdNr", "Kd.-Nr.", "Debitor", "Debitorennummer",
            "Customer Number", "Customer No.", "Customer ID", "Account Number",
        ),
        **_COMPANY,
        "industry": ("Branche", "Industrie", "Sparte", "Industry", "Sector"),
        "customerType": ("Kundenart", "Kundentyp", "Art", "Typ", "Customer Type", "Type"),
        "rating": ("Bewertung", "Rating", "ABC", "ABC-Klasse", "Klasse", "Kundenklasse"),
        "owner": _OWNER,
        "creditLimit": ("Kreditlimit", "Kreditlinie", "Limit", "Credit Limit"),
        "paymentTerms": (
            "Zahlungsbedingungen", "Zahlungsbedingung", "Zahlungsziel", "Payment Terms", "Terms",
        ),
        "visitFrequencyDays": ("Besuchsabstand", "Besuchsrhythmus", "Besuchsintervall", "Visit Frequency"),
        "preferredVisitTime": ("Besuchszeit", "Bevorzugte Besuchszeit", "Preferred Visit Time"),
    },
    "contact": {
        **_CUSTOMER_OF,
        "firstName": ("Vorname", "First Name", "Given Name", "Forename"),
        "lastName": ("Nachname", "Familienname", "Name", "Last Name", "Surname", "Family Name"),
        "title": ("Titel", "Akademischer Titel", "Title", "Academic Title"),
        "position": ("Position", "Funktion", "Stelle", "Job Title", "Role"),
        "department": ("Abteilung", "Bereich", "Department"),
        **_REACHED,
        "mobile": (
            "Mobil", "Handy", "Mobiltelefon", "Mobilnummer", "Handynummer", "Mobile", "Mobile Phone",
            "Cell",
        ),
        "decisionMakingRole": (
            "Rolle", "Entscheidungsrolle", "Rolle im Einkauf", "Decision Role", "Buying Role",
        ),
        "authorityLevel": ("Befugnis", "Entscheidungsbefugnis", "Authority", "Authority Level"),
        "canApproveOrders": ("Darf freigeben", "Freigabe", "Freigabeberechtigt", "Can Approve", "Approver"),
        "approvalLimitEur": ("Freigabegrenze", "Freigabelimit", "Approval Limit"),
        "functionalRoles": ("Funktionen", "Funktionale Rollen", "Functional Roles"),
        "departmentInfluence": ("Einfluss", "Einflussbereiche", "Department Influence"),
        "preferredContactMethod": (
            "Kontaktweg", "Bevorzugter Kontakt", "Preferred Contact", "Contact Method",
        ),
        "language": ("Sprache", "Language"),
    },
    "supplier": {
        **_COMPANY,
        "companyName": (
            *_COMPANY["companyName"], "Lieferant", "Lieferantenname", "Supplier", "Supplier Name",
            "Vendor",
        ),
        "contactName": (
            "Ansprechpartner", "Kontakt", "Kontaktperson", "Contact", "Contact Name", "Contact Person",
        ),
        "supplierType": (
            "Lieferantenart", "Lieferantentyp", "Art", "Typ", "Supplier Type", "Vendor Type", "Type",
        ),
        "serviceCategories": (
            "Leistungen", "Kategorien", "Gewerke", "Warengruppen", "Categories", "Services",
        ),
        "serviceDescription": (
            "Leistungsbeschreibung", "Beschreibung", "Description", "Service Description",
        ),
        "paymentTerms.paymentMethod": ("Zahlungsart", "Zahlweise", "Payment Method"),
        "paymentTerms.daysUntilDue": (
            "Zahlungsziel", "Zahlungsziel (Tage)", "Tage netto", "Payment Days", "Net Days",
        ),
        "paymentTerms.discountPercentage": (
            "Skonto", "Skonto %", "Skontosatz", "Discount", "Discount Percent",
        ),
        "paymentTerms.discountDays": ("Skontofrist", "Skontotage", "Discount Days"),
        "accountManagerId": ("Betreuer", "Einkäufer", "Zuständig", "Account Manager", "Buyer"),
    },
    "material": {
        "materialCode": (
            "Materialnummer", "Materialnr.", "Artikelnummer", "Artikelnr.", "Art.-Nr.", "Teilenummer",
            "Material Code", "Item Number", "Item No.", "SKU", "Part Number",
        ),
        "materialName": (
            "Material", "Bezeichnung", "Artikel", "Artikelbezeichnung", "Name", "Material Name", "Item",
            "Item Name",
        ),
        "description": ("Beschreibung", "Langtext", "Artikeltext", "Description", "Long Text"),
        "category": ("Kategorie", "Warengruppe", "Materialgruppe", "Category", "Group"),
        "unit": ("Einheit", "ME", "Mengeneinheit", "Unit", "UoM", "Unit of Measure"),
        "supplierPrices.supplierId": (
            "Lieferant", "Lieferantenname", "Supplier", "Supplier Name", "Vendor",
        ),
        "supplierPrices.unitPriceEur": (
            "Preis", "Einzelpreis", "EK", "EK-Preis", "Einkaufspreis", "Price", "Unit Price",
            "Purchase Price", "Cost",
        ),
        "supplierPrices.minimumQuantity": (
            "Mindestmenge", "Mindestbestellmenge", "Minimum Quantity", "MOQ",
        ),
        "supplierPrices.supplierArticleNumber": (
            "Lieferantenartikelnummer", "Artikelnummer des Lieferanten", "Supplier Item Number",
            "Vendor Part Number",
        ),
        "supplierPrices.leadTimeDays": (
            "Lieferzeit", "Vorlauf", "Lieferzeit (Tage)", "Lead Time", "Lead Time Days",
        ),
        "minimumStock": ("Mindestbestand", "Meldebestand", "Minimum Stock", "Min Stock"),
        "maximumStock": ("Höchstbestand", "Maximalbestand", "Maximum Stock", "Max Stock"),
        "reorderQuantity": ("Nachbestellmenge", "Bestellmenge", "Reorder Quantity"),
        "storageLocation": ("Lagerort", "Lager", "Lagerplatz", "Storage Location", "Warehouse", "Bin"),
        "status": ("Status", "Zustand"),
        "notes": _REACHED["notes"],
    },
    "opportunity": {
        **_CUSTOMER_OF,
        "title": (
            "Titel", "Verkaufschance", "Chance", "Projekt", "Bezeichnung", "Opportunity",
            "Opportunity Name",
        ),
        "contactPersonId": ("Ansprechpartner", "Kontakt", "Kontaktperson", "Contact", "Contact Person"),
        "status": ("Status", "Phase", "Stufe", "Stage", "Sales Stage"),
        "probability": (
            "Wahrscheinlichkeit", "Wahrscheinlichkeit (%)", "Chance %", "Probability", "Probability (%)",
        ),
        "estimatedValue": (
            "Wert", "Betrag", "Volumen", "Auftragsvolumen", "Geschätzter Wert", "Umsatz", "Amount",
            "Value", "Deal Value",
        ),
        "expectedCloseDate": (
            "Abschluss", "Abschlussdatum", "Erwarteter Abschluss", "Close Date", "Closing Date",
            "Expected Close",
        ),
        "description": ("Beschreibung", "Details", "Description"),
        "nextStep": ("Nächster Schritt", "Nächste Schritte", "Next Step"),
        "owner": _OWNER,
        "tags": ("Schlagworte", "Stichworte", "Tags", "Labels"),
        "lostReason": ("Verlustgrund", "Grund des Verlusts", "Lost Reason", "Loss Reason"),
        "notes": _REACHED["notes"],
    },
}  # fmt: skip
"""Type -> field -> names."""

WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "customerType": {
        "direct_marketer": ("Direktvermarkter", "Hofladen", "Direktvermarktung"),
        "retail": ("Einzelhandel", "Handel", "Einzelhändler"),
        "franchise": ("Franchise", "Franchisenehmer"),
        "cooperative": ("Genossenschaft", "eG"),
        "other": ("Sonstige", "Sonstiges", "Andere"),
    },
    "preferredVisitTime": {
        "morning": ("vormittags", "Vormittag", "morgens"),
        "afternoon": ("nachmittags", "Nachmittag"),
        "flexible": ("egal", "flexibel", "jederzeit"),
    },
    "decisionMakingRole": {
        "decision_maker": ("Entscheider", "Entscheiderin"),
        "key_influencer": ("Beeinflusser", "Einflussnehmer", "Meinungsführer"),
        "recommender": ("Empfehler", "Empfehlerin"),
        "gatekeeper": ("Türöffner", "Vorzimmer"),
        "operational_contact": ("Operativ", "operativer Kontakt"),
        "informational": ("Information", "zur Information", "informativ"),
    },
    "authorityLevel": {
        "low": ("niedrig", "gering"),
        "medium": ("mittel",),
        "high": ("hoch",),
        "final_authority": ("letzte Entscheidung", "uneingeschränkt", "voll"),
    },
    "functionalRoles": {
        "owner_ceo": ("Inhaber", "Inhaberin", "Geschäftsführer", "Geschäftsführung", "GF"),
        "purchasing_manager": ("Einkauf", "Einkäufer", "Einkaufsleiter", "Einkaufsleitung"),
        "facility_manager": ("Haustechnik", "Gebäudemanagement"),
        "store_manager": ("Marktleiter", "Marktleitung", "Filialleiter", "Filialleitung"),
        "project_coordinator": ("Projektkoordination", "Projektleiter", "Projektleitung"),
        "financial_controller": ("Controlling", "Buchhaltung", "Finanzen"),
        "operations_manager": ("Betriebsleiter", "Betriebsleitung"),
        "administrative": ("Verwaltung", "Sekretariat"),
    },
    "preferredContactMethod": {
        "email": ("E-Mail", "Mail"),
        "phone": ("Telefon", "Festnetz"),
        "mobile": ("Handy", "Mobil", "Mobiltelefon"),
    },
    "supplierType": {
        "material_supplier": ("Materiallieferant", "Material", "Händler"),
        "service_provider": ("Dienstleister", "Dienstleistung"),
        "subcontractor": ("Subunternehmer", "Nachunternehmer"),
        "craftsman": ("Handwerker", "Handwerk"),
        "logistics": ("Logistik", "Spedition", "Spediteur"),
        "mixed": ("Gemischt", "Mehreres"),
    },
    "paymentMethod": {
        "Invoice": ("Rechnung", "auf Rechnung"),
        "DirectDebit": ("Lastschrift", "SEPA-Lastschrift", "Bankeinzug"),
        "CreditCard": ("Kreditkarte",),
        "Cash": ("Bar", "Barzahlung"),
        "BankTransfer": ("Überweisung", "Banküberweisung"),
    },
    "unit": {
        "piece": ("Stück", "Stk", "St", "Stck", "pcs"),
        "square_meter": ("m²", "qm", "Quadratmeter"),
        "linear_meter": ("lfm", "m", "Meter", "laufender Meter"),
        "cubic_meter": ("m³", "cbm", "Kubikmeter"),
        "kilogram": ("kg", "Kilo", "Kilogramm"),
        "liter": ("l", "ltr", "Liter"),
        "package": ("Paket", "Pack", "Packung", "VE", "Karton"),
        "set": ("Satz", "Garnitur"),
        "hour": ("Std", "Stunde", "h", "Stunden"),
    },
    "material.status": {
        "Active": ("aktiv",),
        "Discontinued": ("ausgelaufen", "Auslauf", "eingestellt"),
        "OutOfStock": ("nicht lieferbar", "vergriffen", "ausverkauft"),
    },
    "opportunity.status": {
        "new": ("neu", "Lead"),
        "qualifying": ("Qualifizierung", "qualifiziert", "in Klärung"),
        "proposal": ("Angebot", "Angebotsphase"),
        "negotiation": ("Verhandlung", "in Verhandlung"),
        "won": ("gewonnen", "Auftrag"),
        "lost": ("verloren", "Absage"),
    },
}
"""Field, or type and field -> value -> what it is called in German."""
