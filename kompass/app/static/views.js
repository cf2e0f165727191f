// Lists and the page of one document.
import { h } from "./dom.js";
import { language, locale, t } from "./i18n.js";
import { FIELDS, PARTS, TYPES, labelOf, lineOf, markOf, moment, nameOf, show, visibleFields } from "./schema.js";

const PAGE = 100;
const collator = new Intl.Collator(language, { numeric: true });

export const linkTo = (doc) => `#/${doc.type}/${encodeURIComponent(doc._id)}`;

/** The documents of a type with a search field. `memory` keeps search and length while documents change. */
export function listView(store, type, memory, selected) {
  const schema = TYPES[type];
  const place = (memory[type] ??= { search: "", shown: PAGE });
  const rows = h("ul", { class: "rows" });
  const count = h("p", { class: "dim", role: "status" });
  const more = h("button", {
    type: "button",
    class: "quiet wide",
    onclick: () => {
      place.shown += PAGE;
      fill();
    },
  });

  function fill() {
    const wanted = place.search.trim().toLocaleLowerCase(locale);
    const text = (doc) => `${nameOf(doc, store)} ${lineOf(doc, store)}`.toLocaleLowerCase(locale);
    const found = store.list(type)
      .filter((doc) => !wanted || text(doc).includes(wanted))
      .map((doc) => ({ doc, name: nameOf(doc, store) }))
      .sort((a, b) => schema.order?.(a.doc, b.doc) ?? collator.compare(a.name, b.name));
    rows.replaceChildren(...found.slice(0, place.shown).map(({ doc }) => row(store, doc, selected)));
    count.textContent = wanted ? t(`${found.length} von ${store.count(type)}`, `${found.length} of ${store.count(type)}`) : `${found.length} ${schema.many}`;
    more.hidden = found.length <= place.shown;
    const next = Math.min(PAGE, found.length - place.shown);
    more.textContent = t(`Weitere ${next} zeigen`, `Show ${next} more`);
  }

  const search = h("input", {
    type: "search",
    id: "search",
    value: place.search,
    placeholder: t("Suchen …", "Search …"),
    "aria-label": t(`${schema.many} durchsuchen`, `Search ${schema.many}`),
    autocomplete: "off",
    oninput: () => {
      place.search = search.value;
      place.shown = PAGE;
      fill();
    },
  });
  fill();
  const element = h("section", { class: "pane list", "aria-label": schema.many },
    h("div", { class: "pane-head" }, h("h1", { tabindex: "-1" }, schema.many), count, search), rows, more);
  return { element, refresh: fill };
}

export function row(store, doc, selected, short = false) {
  const schema = TYPES[doc.type];
  const name = (short && schema.short?.(doc)) || nameOf(doc, store);
  const mark = markOf(doc);
  return h("li", {},
    h("a", { class: "row", href: linkTo(doc), "aria-current": doc._id === selected ? "true" : null },
      h("span", { class: "row-text" }, h("strong", {}, name), h("small", {}, lineOf(doc, store))),
      doc._conflicts?.length ? h("span", { class: "mark alert" }, t("Konflikt", "Conflict")) : null,
      mark ? h("span", { class: "mark" }, mark) : null));
}

/** One document: its fields, what belongs to it, its files. */
export function detailView(store, doc) {
  const schema = TYPES[doc.type];
  const parts = doc.type === "customer"
    ? Object.keys(PARTS).flatMap((type) => store.childrenOf(doc._id, type))
    : [];
  return h("article", { class: "pane detail" },
    h("a", { class: "back", href: `#/${doc.type}` }, `‹ ${schema.many}`),
    h("div", { class: "pane-head" },
      h("p", { class: "kicker" }, schema.one),
      h("h1", { tabindex: "-1" }, nameOf(doc, store)),
      h("div", { class: "actions" },
        schema.edit.length ? h("a", { class: "button", href: `${linkTo(doc)}/edit` }, t("Bearbeiten", "Edit")) : null,
        doc.type === "customer"
          ? h("a", { class: "button quiet", href: `#/activity/new/${encodeURIComponent(doc._id)}` }, t("Neue Aktivität", "New activity"))
          : null)),
    doc._conflicts?.length
      ? h("p", { class: "notice" }, t("Von diesem Dokument gibt es mehrere Fassungen. ", "There are several versions of this document. "),
        h("a", { href: `#/conflicts/${encodeURIComponent(doc._id)}` }, t("Fassungen vergleichen", "Compare the versions")))
      : null,
    fieldList(store, doc),
    files(store, doc),
    parts.map((part) => h("section", { class: "block" }, h("h2", {}, PARTS[part.type]),
      fieldList(store, part, ["customerId"]))),
    doc.type === "customer" ? children(store, doc) : null,
    h("p", { class: "dim small" }, lastChange(store, doc)));
}

function lastChange(store, doc) {
  const [version, when, who] = [show("", doc.version), moment(doc.modifiedAt) ?? "?", show("owner", doc.modifiedBy, store)];
  return t(`Fassung ${version}, geändert ${when} von ${who}`, `Version ${version}, changed ${when} by ${who}`);
}

function fieldList(store, doc, without = []) {
  const names = visibleFields(doc).filter((name) => !without.includes(name) && name !== "subject" && name !== "title");
  return h("dl", { class: "fields" }, names.map((name) =>
    h("div", { class: FIELDS[name]?.multiline ? "field long" : "field" },
      h("dt", {}, labelOf(name)), h("dd", {}, value(store, name, doc[name])))));
}

function value(store, name, content) {
  const text = show(name, content, store);
  const target = FIELDS[name]?.refers ? store.target(content) : undefined;
  if (target?.type in TYPES) return h("a", { href: linkTo(target) }, text);
  if (name === "email") return h("a", { href: `mailto:${content}` }, text);
  if (FIELDS[name]?.input === "tel") return h("a", { href: `tel:${String(content).replace(/[^+\d]/g, "")}` }, text);
  return text;
}

function children(store, customer) {
  return Object.entries(TYPES)
    .filter(([, schema]) => schema.child)
    .map(([type, schema]) => {
      const found = store.childrenOf(customer._id, type).sort(schema.order ?? (() => 0));
      if (!found.length) return null;
      return h("section", { class: "block" },
        h("h2", {}, `${schema.many} (${found.length})`),
        h("ul", { class: "rows boxed" }, found.map((doc) => row(store, doc, null, true))));
    });
}

function files(store, doc) {
  const names = Object.keys(doc._attachments ?? {});
  if (!names.length) return null;
  return h("section", { class: "block" }, h("h2", {}, t("Anlagen", "Attachments")),
    h("ul", { class: "files" }, names.map((name) => file(store, doc, name))));
}

function file(store, doc, name) {
  const about = doc._attachments[name];
  const item = h("li", {}, h("span", { class: "dim" }, t(`${name} wird geladen …`, `Loading ${name} …`)));
  store.db.getAttachment(doc._id, name).then(
    (blob) => {
      const url = URL.createObjectURL(blob);
      // Opened instead of saved, it must not become a page of this origin.
      const bytes = URL.createObjectURL(new Blob([blob], { type: "application/octet-stream" }));
      const size = about.length > 2048 ? `${Math.round(about.length / 1024)} kB` : `${about.length} Byte`;
      const caption = h("a", { href: bytes, download: name }, name, h("small", {}, ` ${size}`));
      const picture = about.content_type.startsWith("image/") ? h("img", { src: url, alt: t(`Foto ${name}`, `Photo ${name}`) }) : null;
      item.replaceChildren(h("figure", {}, picture, h("figcaption", {}, caption)));
    },
    (error) => item.replaceChildren(`${name}: ${error.reason ?? error.message}`),
  );
  return item;
}

export function missingView(id) {
  return h("section", { class: "pane detail" }, h("h1", { tabindex: "-1" }, t("Nicht gefunden", "Not found")),
    h("p", {}, t(`Das Dokument ${id} ist auf diesem Gerät nicht (mehr) vorhanden.`, `The document ${id} is not on this device (any more).`)));
}
