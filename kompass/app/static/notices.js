// What the server tells somebody about his own work: changes that it refused, and those that only he can unite with
// somebody else's. Both are documents of the types `rejected_change` and `conflict`, which the server takes away again
// when they are settled.
import { h } from "./dom.js";
import { language, t } from "./i18n.js";
import { labelOf, moment, nameOf, same, show, typeName, visibleFields } from "./schema.js";

const MINE = "mine";
const THEIRS = "theirs";
/** Before the name of an attachment, as the path of a field. */
const ATTACHED = "_attachments/";

/** The document that a notice is about, as this device has it; else as the notice quotes it. */
const subject = (store, notice) =>
  store.get(notice.docId) ?? quoted(notice.document) ?? quoted(notice.theirs) ?? quoted(notice.server) ?? { _id: String(notice.docId) };

const quoted = (value) => (isObject(value) ? { _id: "", ...value } : null);
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** What it is about, in a line. */
export function noticeName(store, notice) {
  const doc = subject(store, notice);
  return (doc.type && nameOf(doc, store)) || String(notice.entityName ?? notice.docId);
}

export const noticeKind = (store, notice) => typeName(notice.docType ?? subject(store, notice).type);

/** The head of a page: the way back, what the notice is about, a sentence. */
const head = (store, notice, back, sentence) => [
  back,
  h("div", { class: "pane-head" },
    h("p", { class: "kicker" }, noticeKind(store, notice)),
    h("h1", { tabindex: "-1" }, noticeName(store, notice)),
    h("p", { class: "dim" }, sentence)),
];

// -- refused ----------------------------------------------------------------------------------

const latestFirst = (a, b) => (String(a.createdAt) < String(b.createdAt) ? 1 : -1);

export const why = (notice) => String((language === "de" ? notice.grund : notice.reason) ?? notice.reason ?? notice.grund ?? "");

export function refusedList(store, selected) {
  const found = store.list("rejected_change").sort(latestFirst);
  const title = t("Abgelehnt", "Refused");
  return h("section", { class: "pane list", "aria-label": title },
    h("div", { class: "pane-head" },
      h("h1", { tabindex: "-1" }, title),
      h("p", { class: "dim" }, found.length
        ? t("Diese Änderungen hat der Server nicht angenommen. Sie bleiben hier, bis sie korrigiert oder verworfen sind.",
          "The server did not accept these changes. They stay here until they are corrected or discarded.")
        : t("Nichts. Was der Server nicht annimmt, erscheint hier mit dem Grund.",
          "Nothing. What the server does not accept appears here with the reason."))),
    h("ul", { class: "rows" }, found.map((notice) => h("li", {},
      h("a", {
        class: "row",
        href: `#/refused/${encodeURIComponent(notice._id)}`,
        "aria-current": notice._id === selected ? "true" : null,
      },
        h("span", { class: "row-text" },
          h("strong", {}, noticeName(store, notice)),
          h("small", {}, `${noticeKind(store, notice)} · ${why(notice)}`)))))));
}

/** What every change changes. */
const HOUSEKEEPING = new Set(["createdBy", "createdAt", "modifiedBy", "modifiedAt", "version"]);

/** Fields of what was refused that differ from the document as it is here; of one that isn't here those that people read. */
export function differences(store, notice) {
  const now = store.get(notice.docId);
  const mine = quoted(notice.document) ?? {};
  if (!now) return visibleFields(mine);
  return Object.keys({ ...now, ...mine }).filter((name) =>
    !name.startsWith("_") && !HOUSEKEEPING.has(name) && !same(now[name], mine[name]));
}

const refusedFields = (notice) => (Array.isArray(notice.fields) ? notice.fields.map(String) : []);

/** One refused change: `discard()` is a promise; what it throws is shown. */
export function refusedView(store, notice, discard) {
  const now = store.get(notice.docId);
  const mine = quoted(notice.document);
  const refused = refusedFields(notice);
  const problem = h("p", { class: "problem", role: "alert" });
  const button = h("button", {
    type: "button",
    class: "quiet",
    onclick: async () => {
      button.disabled = true;
      try {
        await discard();
      } catch (error) {
        problem.textContent = error.message;
        button.disabled = false;
      }
    },
  }, t("Verwerfen", "Discard"));
  const files = Array.isArray(notice.attachments) ? notice.attachments.map(String) : [];
  return h("article", { class: "pane detail" },
    head(store, notice, h("a", { class: "back", href: "#/refused" }, t("‹ Abgelehnt", "‹ Refused")),
      t(`Abgelehnt am ${moment(notice.createdAt) ?? "?"}`, `Refused on ${moment(notice.createdAt) ?? "?"}`)),
    h("p", { class: "notice", id: "why" }, h("strong", {}, t("Grund: ", "Reason: ")), why(notice)),
    notice.deleted ? h("p", {}, t("Sie haben das Dokument gelöscht.", "You deleted the document.")) : null,
    omitted(notice),
    mine && !notice.deleted
      ? h("div", { class: "scroll" }, h("table", { class: "versions" },
        h("thead", {}, h("tr", {},
          h("th", { scope: "col" }, t("Feld", "Field")),
          h("th", { scope: "col" }, t("Ihr Text", "Your text")),
          now ? h("th", { scope: "col" }, t("Jetzt", "Now")) : null)),
        h("tbody", {}, differences(store, notice).map((name) => h("tr", {},
          h("th", { scope: "row" }, labelOf(name),
            refused.includes(name) ? h("small", {}, t(" (abgelehnt)", " (refused)")) : null),
          h("td", {}, refused.includes(name) ? h("mark", {}, show(name, mine[name], store)) : show(name, mine[name], store)),
          now ? h("td", {}, show(name, now[name], store)) : null)))))
      : null,
    files.length ? h("p", {}, t(`Mit Anlagen: ${files.join(", ")}`, `With attachments: ${files.join(", ")}`)) : null,
    problem,
    h("div", { class: "actions" },
      mine && !notice.deleted
        ? h("a", { class: "button", href: `#/refused/${encodeURIComponent(notice._id)}/correct` }, t("Korrigieren", "Correct"))
        : null,
      button));
}

const omitted = (notice) =>
  notice.omitted
    ? h("p", {}, t("Der Text ist zu groß, um ihn hier zu zeigen. Er liegt auf dem Server.",
      "The text is too large to be shown here. It is kept on the server."))
    : null;

// -- choosing ---------------------------------------------------------------------------------

/** A radio button; the button's text is `label`. */
const option = (name, value, label, checked = false) => {
  const id = `${name}-${value}`;
  return h("div", { class: "choice" },
    h("input", { type: "radio", name, id, value, required: true, checked }),
    h("label", { for: id }, label));
};

/** A group of two radio buttons with a sentence each. */
const decision = (name, question, mine, theirs) =>
  h("fieldset", { class: "field long" }, h("legend", {}, question), option(name, MINE, mine), option(name, THEIRS, theirs));

/** A group of two radio buttons: which text of a field is to stay. `preset` is "mine", "theirs" or null. */
export function choice(store, { key, label, name, mine, theirs, base }, preset = null) {
  const version = (value, caption, content) =>
    option(`choice-${key}`, value, [h("span", { class: "dim" }, caption), h("span", {}, show(name, content, store))], value === preset);
  return h("fieldset", { class: "field long", "data-key": key },
    h("legend", {}, label),
    version(MINE, t("Meine Fassung", "My version"), mine),
    version(THEIRS, t("Jetzt auf dem Server", "On the server now"), theirs),
    base === undefined ? null : h("p", { class: "dim small" }, t("Vorher: ", "Before: "), show(name, base, store)));
}

/** Whether the person's own text was chosen in such a group. */
export const choseMine = (group) => group.querySelector("input:checked")?.value === MINE;

// -- conflicts --------------------------------------------------------------------------------

/**
 * The fields that a conflict is about, whether they are listed by name or as `{path, label, base, local, server}`.
 * A path is a name, a JSON pointer, names with dots, or a list.
 */
export function conflictFields(store, notice) {
  const texts = [notice.mine, notice.theirs, notice.base, store.get(notice.docId)].filter(isObject);
  const now = store.get(notice.docId);
  const listed = Array.isArray(notice.fields) ? notice.fields : [];
  return listed.map((entry, index) => {
    const given = isObject(entry) ? entry : { path: entry };
    const path = segments(given.path ?? given.name ?? "", texts);
    const name = String(path.at(-1) ?? "");
    const attached = typeof given.path === "string" && given.path.startsWith(ATTACHED) ? given.path.slice(ATTACHED.length) : name;
    const file = path.length === 1 && notice._attachments?.[attached] ? attached : null;
    return {
      key: String(index),
      path,
      name,
      file,
      label: labelIn(given.label) ?? path.map(labelOf).join(" › "),
      base: first([given.base, at(notice.base, path)]),
      mine: file ?? first([given.local, given.mine, at(notice.mine, path)]),
      theirs: file ? at(now?._attachments, [file]) && file : now ? at(now, path) : first([given.server, given.theirs, at(notice.theirs, path)]),
    };
  });
}

const first = (values) => values.find((value) => value !== undefined);

const labelIn = (label) => (isObject(label) ? first([label[language], label.de, label.en]) : label) ?? null;

function segments(path, texts) {
  if (Array.isArray(path)) return path.map(String);
  const text = String(path);
  if (text.startsWith(ATTACHED)) return [text];
  if (texts.some((each) => Object.hasOwn(each, text))) return [text];
  if (text.startsWith("/")) {
    return text.slice(1).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  }
  return text.split(".");
}

function at(value, path) {
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = value[part];
  }
  return value;
}

/** `doc` with another value at a path; undefined takes it away. Throws if there is no such place. */
export function withValue(doc, path, value) {
  const copy = structuredClone(doc);
  const parent = at(copy, path.slice(0, -1));
  const last = path.at(-1);
  if (typeof parent !== "object" || parent === null || last === undefined || last === "__proto__" || last.startsWith("_")) {
    throw new Error(t(`Es gibt keinen Platz für ${path.join(".")}.`, `There is no place for ${path.join(".")}.`));
  }
  if (value !== undefined) parent[last] = value;
  else if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return copy;
}

const toConflicts = () => h("a", { class: "back", href: "#/conflicts" }, t("‹ Konflikte", "‹ Conflicts"));

/** A form that is sent once: `settle()` is a promise, and what it throws is shown in the words of `tell`. */
function settling(settle, tell, ...children) {
  const problem = h("p", { class: "problem", role: "alert" });
  const button = h("button", { type: "submit" }, t("So speichern", "Save this"));
  async function save(event) {
    event.preventDefault();
    button.disabled = true;
    try {
      await settle();
    } catch (error) {
      problem.textContent = tell(error);
      button.disabled = false;
    }
  }
  return h("form", { class: "edit", onsubmit: save }, children, problem, h("div", { class: "actions" }, button));
}

const notSettled = (error) => t(`Nicht gelöst: ${error.reason ?? error.message}`, `Not settled: ${error.reason ?? error.message}`);

/**
 * One conflict about a document that somebody else had deleted: `settle(mine)` is a promise, whether it is to come back; what it
 * throws is shown.
 */
export function noticeReturnView(store, notice, settle) {
  const mine = quoted(notice.localDocument) ?? {};
  const question = decision("return", t("Soll es wiederkommen?", "Shall it come back?"),
    t("Wiederherstellen, wie ich es geändert habe", "Restore it as I have changed it"),
    t("Gelöscht lassen", "Leave it deleted"));
  const before = quoted(fieldsOf(notice)[0]?.base);
  const changed = visibleFields(mine).filter((name) => !HOUSEKEEPING.has(name) && !(before && same(before[name], mine[name])));
  return h("article", { class: "pane detail" },
    head(store, notice, toConflicts(), t(
      "Jemand anderes hat das Dokument gelöscht, während Sie es geändert haben.",
      "Somebody else deleted the document while you were changing it.")),
    omitted(notice),
    h("div", { class: "scroll" }, h("table", { class: "versions" },
      h("thead", {}, h("tr", {},
        h("th", { scope: "col" }, t("Feld", "Field")),
        h("th", { scope: "col" }, t("Ihr Text", "Your text")),
        before ? h("th", { scope: "col" }, t("Vorher", "Before")) : null)),
      h("tbody", {}, changed.map((name) => h("tr", {},
        h("th", { scope: "row" }, labelOf(name)),
        h("td", {}, show(name, mine[name], store)),
        before ? h("td", {}, show(name, before[name], store)) : null))))),
    settling(() => settle(choseMine(question)), notSettled, question));
}

const fieldsOf = (notice) => (Array.isArray(notice.fields) ? notice.fields : []);

/** One conflict, to be settled field by field: what is written follows the version that stayed. */
export function noticeConflictView(store, notice, done) {
  const now = store.get(notice.docId);
  const fields = notice.deleted ? [] : conflictFields(store, notice);
  const deletion = notice.deleted
    ? decision("deletion", t("Sie haben das Dokument gelöscht, jemand anderes hat es inzwischen geändert.",
      "You deleted the document; somebody else has changed it meanwhile."),
    t("Löschen", "Delete it"), t("Behalten", "Keep it"))
    : null;
  const groups = fields.map((field) => choice(store, field));

  async function settle() {
    if (deletion && choseMine(deletion)) await store.remove(store.get(notice.docId));
    else await store.save(await merged());
    done();
  }

  const tell = (error) => (error.status === 409
    ? t("Das Dokument wurde inzwischen geändert. Bitte noch einmal ansehen.", "The document has changed meanwhile. Please look again.")
    : notSettled(error));

  async function merged() {
    let result = now;
    for (const [index, field] of fields.entries()) {
      if (!choseMine(groups[index])) continue;
      if (field.file) {
        const { content_type } = notice._attachments[field.file];
        const data = await store.db.getAttachment(notice._id, field.file);
        result = { ...result, _attachments: { ...result._attachments, [field.file]: { content_type, data } } };
      } else {
        // Attachments may be held as bytes, which have no copy by value.
        const { _attachments, ...body } = result;
        result = { ...withValue(body, field.path, field.mine), ...(_attachments ? { _attachments } : {}) };
      }
    }
    return result;
  }

  return h("article", { class: "pane detail" },
    head(store, notice, toConflicts(), t(
      "Sie und jemand anderes haben dasselbe geändert. Was soll gelten?",
      "You and somebody else changed the same. What is to stay?")),
    omitted(notice),
    now
      ? settling(settle, tell, deletion, groups)
      : h("p", {}, t("Das Dokument ist nicht mehr auf diesem Gerät.", "The document is no longer on this device.")));
}
