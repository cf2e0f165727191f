// Documents with several versions, and choosing one of them.
import { h } from "./dom.js";
import { TYPES, labelOf, moment, nameOf, show, visibleFields } from "./schema.js";

export function conflictList(store, selected) {
  const found = store.conflicted();
  return h("section", { class: "pane list", "aria-label": "Konflikte" },
    h("div", { class: "pane-head" },
      h("h1", { tabindex: "-1" }, "Konflikte"),
      h("p", { class: "dim" }, found.length
        ? "Diese Dokumente wurden an zwei Stellen geändert. Keine Fassung geht verloren, bis eine gewählt ist."
        : "Keine. Wenn zwei Personen ohne Verbindung dasselbe Dokument ändern, erscheint es hier.")),
    h("ul", { class: "rows" }, found.map((doc) => h("li", {},
      h("a", {
        class: "row",
        href: `#/conflicts/${encodeURIComponent(doc._id)}`,
        "aria-current": doc._id === selected ? "true" : null,
      },
        h("span", { class: "row-text" },
          h("strong", {}, nameOf(doc, store)),
          h("small", {}, `${TYPES[doc.type]?.one ?? doc.type} · ${doc._conflicts.length + 1} Fassungen`)))))));
}

/** The versions side by side, only the fields in which they differ. `done` is called when one was chosen. */
export async function conflictView(store, id, done) {
  const versions = await store.versions(id);
  if (versions.length < 2) return null;
  const names = [...new Set(versions.flatMap(visibleFields))];
  const differs = (name) => new Set(versions.map((doc) => JSON.stringify(doc[name]))).size > 1;
  const different = names.filter(differs);
  const problem = h("p", { class: "problem", role: "alert" });

  const choose = async (version, buttons) => {
    buttons.forEach((button) => (button.disabled = true));
    try {
      await store.resolve(version, versions);
      done();
    } catch (error) {
      problem.textContent = `Nicht gelöst: ${error.message}`;
      buttons.forEach((button) => (button.disabled = false));
    }
  };
  const buttons = versions.map((version, index) =>
    h("button", { type: "button", onclick: () => choose(version, buttons) },
      `Fassung ${index + 1} behalten`));

  const author = (doc) => show("owner", doc.modifiedBy, store);
  return h("article", { class: "pane detail" },
    h("a", { class: "back", href: "#/conflicts" }, "‹ Konflikte"),
    h("div", { class: "pane-head" },
      h("p", { class: "kicker" }, TYPES[versions[0].type]?.one ?? versions[0].type),
      h("h1", { tabindex: "-1" }, nameOf(versions[0], store)),
      h("p", { class: "dim" }, "Welche Fassung soll gelten? Hervorgehoben sind die Unterschiede.")),
    h("div", { class: "scroll" },
      h("table", { class: "versions" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Feld"), versions.map((doc, index) =>
          h("th", { scope: "col" }, `Fassung ${index + 1}`,
            h("small", {}, `${author(doc)}, ${moment(doc.modifiedAt) ?? ""}`))))),
        h("tbody", {}, different.length
          ? different.map((name) => h("tr", {}, h("th", { scope: "row" }, labelOf(name)),
            versions.map((doc) => h("td", {}, h("mark", {}, show(name, doc[name], store))))))
          : h("tr", {}, h("td", { colspan: versions.length + 1 }, "Der Inhalt ist gleich."))),
        h("tfoot", {}, h("tr", {}, h("td"), buttons.map((button) => h("td", {}, button)))))),
    problem);
}
