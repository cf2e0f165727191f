// Lists and the page of one document.
import { h } from "./dom.js";
import { FIELDS, PARTS, TYPES, labelOf, moment, nameOf, show, visibleFields } from "./schema.js";

const PAGE = 100;
const collator = new Intl.Collator("de", { numeric: true });

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
    const wanted = place.search.trim().toLocaleLowerCase("de");
    const text = (doc) => `${schema.name(doc, store)} ${schema.line(doc, store)}`.toLocaleLowerCase("de");
    const found = store.list(type)
      .filter((doc) => !wanted || text(doc).includes(wanted))
      .map((doc) => ({ doc, name: schema.name(doc, store) }))
      .sort((a, b) => schema.order?.(a.doc, b.doc) ?? collator.compare(a.name, b.name));
    rows.replaceChildren(...found.slice(0, place.shown).map(({ doc }) => row(store, doc, selected)));
    count.textContent = wanted ? `${found.length} von ${store.count(type)}` : `${found.length} ${schema.many}`;
    more.hidden = found.length <= place.shown;
    more.textContent = `Weitere ${Math.min(PAGE, found.length - place.shown)} zeigen`;
  }

  const search = h("input", {
    type: "search",
    id: "search",
    value: place.search,
    placeholder: "Suchen …",
    "aria-label": `${schema.many} durchsuchen`,
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
  const name = (short && schema.short?.(doc)) || schema.name(doc, store);
  return h("li", {},
    h("a", { class: "row", href: linkTo(doc), "aria-current": doc._id === selected ? "true" : null },
      h("span", { class: "row-text" }, h("strong", {}, name), h("small", {}, schema.line(doc, store))),
      doc._conflicts?.length ? h("span", { class: "mark alert" }, "Konflikt") : null,
      schema.mark?.(doc) ? h("span", { class: "mark" }, schema.mark(doc)) : null));
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
      h("h1", { tabindex: "-1" }, schema.name(doc, store)),
      h("div", { class: "actions" },
        schema.edit.length ? h("a", { class: "button", href: `${linkTo(doc)}/edit` }, "Bearbeiten") : null,
        doc.type === "customer"
          ? h("a", { class: "button quiet", href: `#/activity/new/${encodeURIComponent(doc._id)}` }, "Neue Aktivität")
          : null)),
    doc._conflicts?.length
      ? h("p", { class: "notice" }, "Von diesem Dokument gibt es mehrere Fassungen. ",
        h("a", { href: `#/conflicts/${encodeURIComponent(doc._id)}` }, "Fassungen vergleichen"))
      : null,
    fieldList(store, doc),
    files(store, doc),
    parts.map((part) => h("section", { class: "block" }, h("h2", {}, PARTS[part.type]),
      fieldList(store, part, ["customerId"]))),
    doc.type === "customer" ? children(store, doc) : null,
    h("p", { class: "dim small" },
      `Fassung ${doc.version ?? "?"}, geändert ${moment(doc.modifiedAt) ?? "?"} von ${show("owner", doc.modifiedBy, store)}`));
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
  return h("section", { class: "block" }, h("h2", {}, "Anlagen"),
    h("ul", { class: "files" }, names.map((name) => file(store, doc, name))));
}

function file(store, doc, name) {
  const about = doc._attachments[name];
  const item = h("li", {}, h("span", { class: "dim" }, `${name} wird geladen …`));
  store.db.getAttachment(doc._id, name).then(
    (blob) => {
      const url = URL.createObjectURL(blob);
      const size = about.length > 2048 ? `${Math.round(about.length / 1024)} kB` : `${about.length} Byte`;
      const caption = h("a", { href: url, download: name }, name, h("small", {}, ` ${size}`));
      const picture = about.content_type.startsWith("image/") ? h("img", { src: url, alt: `Foto ${name}` }) : null;
      item.replaceChildren(h("figure", {}, picture, h("figcaption", {}, caption)));
    },
    (error) => item.replaceChildren(`${name}: ${error.reason ?? error.message}`),
  );
  return item;
}

export function missingView(id) {
  return h("section", { class: "pane detail" }, h("h1", { tabindex: "-1" }, "Nicht gefunden"),
    h("p", {}, `Das Dokument ${id} ist auf diesem Gerät nicht (mehr) vorhanden.`));
}
