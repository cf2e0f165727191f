// What the page knows about documents: German names, how a value is shown, what can be edited.

const address = (value) =>
  value && `${value.street} ${value.streetNumber ?? ""}, ${value.zipCode} ${value.city}`.replace(" ,", ",");
const day = (value) => value && new Date(value).toLocaleDateString("de-DE", { dateStyle: "medium" });
export const moment = (value) =>
  value && new Date(value).toLocaleString("de-DE", { dateStyle: "medium", timeStyle: "short" });
const euro = (value) =>
  Number(value).toLocaleString("de-DE", { style: "currency", currency: "EUR", maximumFractionDigits: 0 });
const yesNo = (value) => (value ? "ja" : "nein");
const unit = (name) => (value) => `${value} ${name}`;
const consent = (value) =>
  [value.marketing && "Werbung", value.aiProcessing && "KI-Auswertung", value.dataSharing && "Weitergabe"]
    .filter(Boolean)
    .join(", ") || "keine";

const STATUS = {
  new: "neu", qualifying: "in Klärung", proposal: "Angebot", negotiation: "Verhandlung", won: "gewonnen", lost: "verloren",
};
const KIND = { call: "Anruf", email: "E-Mail", meeting: "Besprechung", visit: "Besuch", note: "Notiz" };
const RATING = { A: "A", B: "B", C: "C" };
const CHANNEL = { email: "E-Mail", phone: "Telefon", mobile: "Mobiltelefon" };

/** label; show(value) for reading; options, input or multiline for editing; refers: the value is a document's id or a person's user name. */
export const FIELDS = {
  customerNumber: { label: "Kundennummer" },
  companyName: { label: "Firma", required: true },
  industry: { label: "Branche" },
  customerType: {
    label: "Kundenart",
    options: {
      direct_marketer: "Direktvermarkter", retail: "Einzelhandel", franchise: "Franchise", cooperative: "Genossenschaft",
      other: "Sonstige",
    },
  },
  rating: { label: "Bewertung", options: RATING },
  billingAddress: { label: "Rechnungsadresse", show: address },
  phone: { label: "Telefon", input: "tel" },
  mobile: { label: "Mobil", input: "tel" },
  phoneNumber: { label: "Telefon", input: "tel" },
  email: { label: "E-Mail", input: "email" },
  website: { label: "Webseite", input: "url" },
  vatNumber: { label: "USt-IdNr." },
  owner: { label: "Betreut von", refers: true },
  defaultDeliveryLocationId: { label: "Lieferung an", refers: true },
  dsgvoConsent: { label: "Einwilligungen", show: consent },
  creditLimit: { label: "Kreditlimit", show: euro },
  paymentTerms: { label: "Zahlungsziel" },
  lastVisitDate: { label: "Letzter Besuch", show: day },
  visitFrequencyDays: { label: "Besuch alle", show: unit("Tage") },
  preferredVisitTime: {
    label: "Besuchszeit",
    options: { morning: "vormittags", afternoon: "nachmittags", flexible: "jederzeit" },
  },
  customerId: { label: "Kunde", refers: true },
  locationName: { label: "Standort", required: true },
  locationType: {
    label: "Art",
    options: {
      headquarter: "Hauptsitz", branch: "Filiale", warehouse: "Lager", project_site: "Baustelle", other: "Sonstiger",
    },
  },
  isActive: { label: "In Betrieb", show: yesNo },
  deliveryAddress: { label: "Lieferadresse", show: address },
  deliveryNotes: { label: "Anlieferung", multiline: true },
  openingHours: { label: "Öffnungszeiten" },
  firstName: { label: "Vorname", required: true },
  lastName: { label: "Nachname", required: true },
  position: { label: "Funktion" },
  decisionMakingRole: {
    label: "Rolle bei Entscheidungen",
    options: {
      decision_maker: "entscheidet", key_influencer: "beeinflusst", recommender: "empfiehlt", gatekeeper: "Vorzimmer",
      operational_contact: "Tagesgeschäft", informational: "nur Information",
    },
  },
  approvalLimitEur: { label: "Freigabe bis", show: euro },
  preferredContactMethod: { label: "Bevorzugt", options: CHANNEL },
  title: { label: "Titel", required: true },
  status: { label: "Stand", options: STATUS },
  probability: { label: "Wahrscheinlichkeit", show: unit("%"), input: "number", min: 0, max: 100 },
  estimatedValue: { label: "Geschätzter Wert", show: euro, input: "number", min: 0, max: 10000000 },
  actualValue: { label: "Auftragswert", show: euro },
  expectedCloseDate: { label: "Abschluss erwartet", show: day, input: "date" },
  nextStep: { label: "Nächster Schritt" },
  lostReason: { label: "Grund der Absage" },
  tags: { label: "Schlagworte", show: (value) => value.join(", ") },
  contactPersonId: { label: "Ansprechpartner", refers: true },
  contactId: { label: "Ansprechpartner", refers: true },
  locationId: { label: "Standort", refers: true },
  activityType: { label: "Art", options: KIND },
  date: { label: "Zeitpunkt", show: moment },
  duration: { label: "Dauer", show: unit("Minuten") },
  subject: { label: "Betreff", required: true },
  description: { label: "Beschreibung", multiline: true },
  outcome: { label: "Ergebnis" },
  followUpDate: { label: "Wiedervorlage", show: day, input: "date" },
  displayName: { label: "Name" },
  userName: { label: "Anmeldename" },
  roles: { label: "Rollen", show: (value) => value.join(", ") },
  department: { label: "Abteilung" },
  active: { label: "Aktiv", show: yesNo },
};

const person = (doc) => `${doc.firstName ?? ""} ${doc.lastName ?? ""}`.trim();
const town = (value) => (value ? `${value.zipCode} ${value.city}` : "");

/** Types with a place in the navigation. `children`: listed below a customer; `part`: shown inside its page. */
export const TYPES = {
  customer: {
    one: "Kunde",
    many: "Kunden",
    name: (doc) => doc.companyName,
    line: (doc) => [doc.customerNumber, town(doc.billingAddress)].filter(Boolean).join(" · "),
    mark: (doc) => doc.rating,
    edit: ["companyName", "phone", "email", "website", "rating"],
  },
  location: {
    one: "Standort",
    many: "Standorte",
    name: (doc, store) => `${doc.locationName}, ${store.get(doc.customerId)?.companyName ?? ""}`,
    short: (doc) => doc.locationName,
    line: (doc) => address(doc.deliveryAddress) ?? "",
    edit: ["locationName", "openingHours", "deliveryNotes"],
    child: true,
  },
  contact: {
    one: "Ansprechpartner",
    many: "Ansprechpartner",
    name: person,
    line: (doc, store) => [doc.position, store.get(doc.customerId)?.companyName].filter(Boolean).join(" · "),
    edit: ["firstName", "lastName", "position", "phone", "mobile", "email", "preferredContactMethod"],
    child: true,
  },
  opportunity: {
    one: "Chance",
    many: "Chancen",
    name: (doc) => doc.title,
    line: (doc) => `${STATUS[doc.status] ?? doc.status} · ${euro(doc.estimatedValue)}`,
    mark: (doc) => `${doc.probability} %`,
    edit: ["title", "status", "probability", "estimatedValue", "expectedCloseDate", "nextStep", "description"],
    child: true,
  },
  activity: {
    one: "Aktivität",
    many: "Aktivitäten",
    name: (doc) => doc.subject,
    line: (doc, store) =>
      [KIND[doc.activityType], day(doc.date), store.get(doc.customerId)?.companyName].filter(Boolean).join(" · "),
    mark: (doc) => (doc._attachments ? "Anlage" : ""),
    order: (a, b) => (a.date < b.date ? 1 : -1),
    edit: ["activityType", "subject", "description", "outcome", "followUpDate"],
    child: true,
    files: true,
  },
  user: {
    one: "Benutzer",
    many: "Benutzer",
    name: (doc) => doc.displayName,
    line: (doc) => [doc.department, doc.userName].filter(Boolean).join(" · "),
    mark: (doc) => doc.primaryRole,
    edit: [],
  },
};

/** Parts of a customer that are documents of their own because they have readers of their own. */
export const PARTS = { customer_visit: "Besuche", customer_finance: "Zahlung" };

const HIDDEN = new Set([
  "type", "createdBy", "createdAt", "modifiedBy", "modifiedAt", "version", "attachments", "isHotel", "gpsCoordinates",
  "anonymized", "language", "timezone", "private", "canApproveOrders", "authorityLevel", "functionalRoles",
  "assignedLocationIds", "isPrimaryContactForLocations", "primaryRole",
]);

export const nameOf = (doc, store) => TYPES[doc.type]?.name(doc, store) || PARTS[doc.type] || doc._id;

/** Fields of a document that people read, in the schema's order, unknown ones last. */
export function visibleFields(doc) {
  const names = Object.keys(doc).filter((name) => !name.startsWith("_") && !HIDDEN.has(name) && doc[name] !== "");
  const order = Object.keys(FIELDS);
  const place = (name) => (order.includes(name) ? order.indexOf(name) : order.length);
  return names.sort((a, b) => place(a) - place(b));
}

export const labelOf = (name) => FIELDS[name]?.label ?? name;

/** A value as text. */
export function show(name, value, store) {
  if (value === undefined || value === null || value === "") return "–";
  const field = FIELDS[name] ?? {};
  if (field.refers) {
    const target = store.target(value);
    return target ? nameOf(target, store) : String(value);
  }
  if (field.options) return field.options[value] ?? String(value);
  if (field.show) return field.show(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
