// What two people changed: conflicts that the server tells of, and documents with several versions.
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { noticeKind, noticeName } from "./notices.js";
import { labelOf, moment, nameOf, show, typeName, visibleFields } from "./schema.js";

export function conflictList(store, selected) {
  const title = t("Konflikte", "Conflicts");
  const told = store.list("conflict").map((notice) => ({
    id: notice._id,
    name: noticeName(store, notice),
    line: `${noticeKind(store, notice)} · ${moment(notice.createdAt) ?? ""}`,
  }));
  const several = store.conflicted().map((doc) => {
    const count = doc._conflicts.length + 1;
    const line = `${typeName(doc.type)} · ${t(`${count} Fassungen`, `${count} versions`)}`;
    return { id: doc._id, name: nameOf(doc, store), line };
  });
  const found = [...told, ...several];
  return h("section", { class: "pane list", "aria-label": title },
    h("div", { class: "pane-head" },
      h("h1", { tabindex: "-1" }, title),
      h("p", { class: "dim" }, found.length
        ? t("Diese Dokumente wurden an zwei Stellen geändert. Keine Fassung geht verloren, bis eine gewählt ist.",
          "These documents were changed in two places. No version is lost until one is chosen.")
        : t("Keine. Wenn zwei Personen ohne Verbindung dasselbe ändern, erscheint es hier.",
          "None. When two people change the same while offline, it appears here."))),
    h("ul", { class: "rows" }, found.map(({ id, name, line }) => h("li", {},
      h("a", {
        class: "row",
        href: `#/conflicts/${encodeURIComponent(id)}`,
        "aria-current": id === selected ? "true" : null,
      },
        h("span", { class: "row-text" }, h("strong", {}, name), h("small", {}, line)))))));
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
      problem.textContent = t(`Nicht gelöst: ${error.message}`, `Not settled: ${error.message}`);
      buttons.forEach((button) => (button.disabled = false));
    }
  };
  const buttons = versions.map((version, index) =>
    h("button", { type: "button", onclick: () => choose(version, buttons) },
      t(`Fassung ${index + 1} behalten`, `Keep version ${index + 1}`)));

  const author = (doc) => show("owner", doc.modifiedBy, store);
  return h("article", { class: "pane detail" },
    h("a", { class: "back", href: "#/conflicts" }, t("‹ Konflikte", "‹ Conflicts")),
    h("div", { class: "pane-head" },
      h("p", { class: "kicker" }, typeName(versions[0].type)),
      h("h1", { tabindex: "-1" }, nameOf(versions[0], store)),
      h("p", { class: "dim" }, t("Welche Fassung soll gelten? Hervorgehoben sind die Unterschiede.",
        "Which version is to stay? The differences are marked."))),
    h("div", { class: "scroll" },
      h("table", { class: "versions" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("Feld", "Field")), versions.map((doc, index) =>
          h("th", { scope: "col" }, t(`Fassung ${index + 1}`, `Version ${index + 1}`),
            h("small", {}, `${author(doc)}, ${moment(doc.modifiedAt) ?? ""}`))))),
        h("tbody", {}, different.length
          ? different.map((name) => h("tr", {}, h("th", { scope: "row" }, labelOf(name)),
            versions.map((doc) => h("td", {}, h("mark", {}, show(name, doc[name], store))))))
          : h("tr", {}, h("td", { colspan: versions.length + 1 }, t("Der Inhalt ist gleich.", "The content is the same.")))),
        h("tfoot", {}, h("tr", {}, h("td"), buttons.map((button) => h("td", {}, button)))))),
    problem);
}
