// What the page knows about documents: names, how a value is shown, what can be edited.
//
// Documents come from others, and what was refused is whatever somebody sent: any member may have any type.
import { locale, t } from "./i18n.js";

/** Without what every object has: a field may be called `constructor`. */
const table = (entries) => Object.assign(Object.create(null), entries);

const address = (value) =>
  value && `${value.street} ${value.streetNumber ?? ""}, ${value.zipCode} ${value.city}`.replace(" ,", ",");
const day = (value) => value && new Date(value).toLocaleDateString(locale, { dateStyle: "medium" });
export const moment = (value) =>
  value && new Date(value).toLocaleString(locale, { dateStyle: "medium", timeStyle: "short" });
const euro = (value) =>
  Number(value).toLocaleString(locale, { style: "currency", currency: "EUR", maximumFractionDigits: 0 });
const yesNo = (value) => (value ? t("ja", "yes") : t("nein", "no"));
const unit = (name) => (value) => `${value} ${name}`;
const consent = (value) =>
  [
    value.marketing && t("Werbung", "marketing"),
    value.aiProcessing && t("KI-Auswertung", "AI processing"),
    value.dataSharing && t("Weitergabe", "sharing"),
  ].filter(Boolean).join(", ") || t("keine", "none");

const STATUS = {
  new: t("neu", "new"), qualifying: t("in Klärung", "qualifying"), proposal: t("Angebot", "proposal"),
  negotiation: t("Verhandlung", "negotiation"), won: t("gewonnen", "won"), lost: t("verloren", "lost"),
};
const KIND = {
  call: t("Anruf", "call"), email: t("E-Mail", "e-mail"), meeting: t("Besprechung", "meeting"), visit: t("Besuch", "visit"),
  note: t("Notiz", "note"),
};
const RATING = { A: "A", B: "B", C: "C" };
const CHANNEL = { email: t("E-Mail", "E-mail"), phone: t("Telefon", "Telephone"), mobile: t("Mobiltelefon", "mobile") };

/** label; show(value) for reading; options, input or multiline for editing; refers: the value is a document's id or a person's user name. */
export const FIELDS = table({
  customerNumber: { label: t("Kundennummer", "Customer number") },
  companyName: { label: t("Firma", "Company"), required: true },
  industry: { label: t("Branche", "Industry") },
  customerType: {
    label: t("Kundenart", "Kind of customer"),
    options: {
      direct_marketer: t("Direktvermarkter", "direct marketer"), retail: t("Einzelhandel", "retail"),
      franchise: t("Franchise", "franchise"), cooperative: t("Genossenschaft", "cooperative"), other: t("Sonstige", "other"),
    },
  },
  rating: { label: t("Bewertung", "Rating"), options: RATING },
  billingAddress: { label: t("Rechnungsadresse", "Billing address"), show: address },
  phone: { label: t("Telefon", "Telephone"), input: "tel" },
  mobile: { label: t("Mobil", "Mobile"), input: "tel" },
  phoneNumber: { label: t("Telefon", "Telephone"), input: "tel" },
  email: { label: t("E-Mail", "E-mail"), input: "email" },
  website: { label: t("Webseite", "Website"), input: "url" },
  vatNumber: { label: t("USt-IdNr.", "VAT number") },
  owner: { label: t("Betreut von", "Looked after by"), refers: true },
  defaultDeliveryLocationId: { label: t("Lieferung an", "Delivery to"), refers: true },
  dsgvoConsent: { label: t("Einwilligungen", "Consents"), show: consent },
  creditLimit: { label: t("Kreditlimit", "Credit limit"), show: euro },
  paymentTerms: { label: t("Zahlungsziel", "Payment terms") },
  lastVisitDate: { label: t("Letzter Besuch", "Last visit"), show: day },
  visitFrequencyDays: { label: t("Besuch alle", "Visit every"), show: unit(t("Tage", "days")) },
  preferredVisitTime: {
    label: t("Besuchszeit", "Time for visits"),
    options: { morning: t("vormittags", "in the morning"), afternoon: t("nachmittags", "in the afternoon"), flexible: t("jederzeit", "any time") },
  },
  customerId: { label: t("Kunde", "Customer"), refers: true },
  locationName: { label: t("Standort", "Location"), required: true },
  locationType: {
    label: t("Art", "Kind"),
    options: {
      headquarter: t("Hauptsitz", "headquarter"), branch: t("Filiale", "branch"), warehouse: t("Lager", "warehouse"), project_site: t("Baustelle", "project site"), other: t("Sonstiger", "other"),
    },
  },
  isActive: { label: t("In Betrieb", "In use"), show: yesNo },
  deliveryAddress: { label: t("Lieferadresse", "Delivery address"), show: address },
  deliveryNotes: { label: t("Anlieferung", "Delivery notes"), multiline: true },
  openingHours: { label: t("Öffnungszeiten", "Opening hours") },
  firstName: { label: t("Vorname", "First name"), required: true },
  lastName: { label: t("Nachname", "Last name"), required: true },
  position: { label: t("Funktion", "Position") },
  decisionMakingRole: {
    label: t("Rolle bei Entscheidungen", "Role in decisions"),
    options: {
      decision_maker: t("entscheidet", "decides"), key_influencer: t("beeinflusst", "influences"), recommender: t("empfiehlt", "recommends"), gatekeeper: t("Vorzimmer", "gatekeeper"),
      operational_contact: t("Tagesgeschäft", "day-to-day business"), informational: t("nur Information", "information only"),
    },
  },
  approvalLimitEur: { label: t("Freigabe bis", "Approves up to"), show: euro },
  preferredContactMethod: { label: t("Bevorzugt", "Prefers"), options: CHANNEL },
  title: { label: t("Titel", "Title"), required: true },
  status: { label: t("Stand", "Status"), options: STATUS },
  probability: { label: t("Wahrscheinlichkeit", "Probability"), show: unit("%"), input: "number", min: 0, max: 100 },
  estimatedValue: { label: t("Geschätzter Wert", "Estimated value"), show: euro, input: "number", min: 0, max: 10000000 },
  actualValue: { label: t("Auftragswert", "Order value"), show: euro },
  expectedCloseDate: { label: t("Abschluss erwartet", "Expected close"), show: day, input: "date" },
  nextStep: { label: t("Nächster Schritt", "Next step") },
  lostReason: { label: t("Grund der Absage", "Reason of loss") },
  tags: { label: t("Schlagworte", "Tags"), show: (value) => value.join(", ") },
  contactPersonId: { label: t("Ansprechpartner", "Contact"), refers: true },
  contactId: { label: t("Ansprechpartner", "Contact"), refers: true },
  locationId: { label: t("Standort", "Location"), refers: true },
  activityType: { label: t("Art", "Kind"), options: KIND },
  date: { label: t("Zeitpunkt", "Time"), show: moment },
  duration: { label: t("Dauer", "Duration"), show: unit(t("Minuten", "minutes")) },
  subject: { label: t("Betreff", "Subject"), required: true },
  description: { label: t("Beschreibung", "Description"), multiline: true },
  outcome: { label: t("Ergebnis", "Outcome") },
  followUpDate: { label: t("Wiedervorlage", "Follow-up"), show: day, input: "date" },
  displayName: { label: "Name" },
  userName: { label: t("Anmeldename", "Login") },
  roles: { label: t("Rollen", "Roles"), show: (value) => value.join(", ") },
  department: { label: t("Abteilung", "Department") },
  active: { label: t("Aktiv", "Active"), show: yesNo },
});

const person = (doc) => `${doc.firstName ?? ""} ${doc.lastName ?? ""}`.trim();
const town = (value) => (value ? `${value.zipCode} ${value.city}` : "");

/** Types with a place in the navigation. `children`: listed below a customer; `part`: shown inside its page. */
export const TYPES = table({
  customer: {
    one: t("Kunde", "Customer"),
    many: t("Kunden", "Customers"),
    name: (doc) => doc.companyName,
    line: (doc) => [doc.customerNumber, town(doc.billingAddress)].filter(Boolean).join(" · "),
    mark: (doc) => doc.rating,
    edit: ["companyName", "phone", "email", "website", "rating"],
  },
  location: {
    one: t("Standort", "Location"),
    many: t("Standorte", "Locations"),
    name: (doc, store) => `${doc.locationName}, ${store.get(doc.customerId)?.companyName ?? ""}`,
    short: (doc) => doc.locationName,
    line: (doc) => address(doc.deliveryAddress) ?? "",
    edit: ["locationName", "openingHours", "deliveryNotes"],
    child: true,
  },
  contact: {
    one: t("Ansprechpartner", "Contact"),
    many: t("Ansprechpartner", "Contacts"),
    name: person,
    line: (doc, store) => [doc.position, store.get(doc.customerId)?.companyName].filter(Boolean).join(" · "),
    edit: ["firstName", "lastName", "position", "phone", "mobile", "email", "preferredContactMethod"],
    child: true,
  },
  opportunity: {
    one: t("Chance", "Opportunity"),
    many: t("Chancen", "Opportunities"),
    name: (doc) => doc.title,
    line: (doc) => `${STATUS[doc.status] ?? doc.status} · ${euro(doc.estimatedValue)}`,
    mark: (doc) => `${doc.probability} %`,
    edit: ["title", "status", "probability", "estimatedValue", "expectedCloseDate", "nextStep", "description"],
    child: true,
  },
  activity: {
    one: t("Aktivität", "Activity"),
    many: t("Aktivitäten", "Activities"),
    name: (doc) => doc.subject,
    line: (doc, store) =>
      [KIND[doc.activityType], day(doc.date), store.get(doc.customerId)?.companyName].filter(Boolean).join(" · "),
    mark: (doc) => (doc._attachments ? t("Anlage", "Attachment") : ""),
    order: (a, b) => (a.date < b.date ? 1 : -1),
    edit: ["activityType", "subject", "description", "outcome", "followUpDate"],
    child: true,
    files: true,
  },
  user: {
    one: t("Benutzer", "User"),
    many: t("Benutzer", "Users"),
    name: (doc) => doc.displayName,
    line: (doc) => [doc.department, doc.userName].filter(Boolean).join(" · "),
    mark: (doc) => doc.primaryRole,
    edit: [],
  },
});

/** Parts of a customer that are documents of their own because they have readers of their own. */
export const PARTS = table({ customer_visit: t("Besuche", "Visits"), customer_finance: t("Zahlung", "Payment") });

const HIDDEN = new Set([
  "type", "createdBy", "createdAt", "modifiedBy", "modifiedAt", "version", "attachments", "isHotel", "gpsCoordinates",
  "anonymized", "language", "timezone", "private", "canApproveOrders", "authorityLevel", "functionalRoles",
  "assignedLocationIds", "isPrimaryContactForLocations", "primaryRole",
]);

/** Nothing, or text of whatever it is. */
const text = (value) => (typeof value === "object" ? value && JSON.stringify(value) : value === undefined ? "" : String(value));

const attempt = (action, otherwise) => {
  try {
    return action();
  } catch {
    return otherwise;
  }
};

export const nameOf = (doc, store) =>
  attempt(() => text(TYPES[doc.type]?.name(doc, store)) || PARTS[doc.type], "") || doc._id;

/** The second line of a list's row, and what stands at its end. */
export const lineOf = (doc, store) => attempt(() => text(TYPES[doc.type].line(doc, store)), "");
export const markOf = (doc) => attempt(() => text(TYPES[doc.type].mark?.(doc)), "");

/** What a type is called. */
export const typeName = (type) => (typeof type === "string" ? (TYPES[type]?.one ?? PARTS[type] ?? type) : "");

/** Whether two values of a field say the same. */
export const same = (one, other) => JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));

const sorted = (value) => {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
};

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
  const plain = typeof value === "object" ? JSON.stringify(value) : String(value);
  const field = FIELDS[name] ?? {};
  if (field.refers) {
    const target = store.target(value);
    return target ? nameOf(target, store) : plain;
  }
  if (field.options) return Object.hasOwn(field.options, plain) ? field.options[plain] : plain;
  if (field.show) return (text(attempt(() => field.show(value), plain)) || plain);
  return plain;
}
