// Login and the form for a document.
import { h } from "./dom.js";
import { FIELDS, TYPES } from "./schema.js";
import { linkTo } from "./views.js";

/** `submit(name, password)` and `goOn(name)` are promises; what they throw is shown. */
export function loginView({ name, reason, submit, goOn }) {
  const problem = h("p", { class: "problem", role: "alert" }, reason ?? "");
  const user = h("input", { id: "name", name: "name", autocomplete: "username", required: true, value: name ?? "" });
  const password = h("input", {
    id: "password", name: "password", type: "password", autocomplete: "current-password", required: true,
  });
  const button = h("button", { type: "submit" }, "Anmelden");
  const run = async (action) => {
    button.disabled = true;
    problem.textContent = "";
    try {
      await action();
    } catch (error) {
      problem.textContent = error.message;
      button.disabled = false;
      password.focus();
    }
  };
  user.setAttribute("autocapitalize", "none");
  return h("form", {
    class: "login",
    onsubmit: (event) => {
      event.preventDefault();
      run(() => submit(user.value.trim(), password.value));
    },
  },
    h("img", { src: "icon.svg", alt: "", width: "64", height: "64" }),
    h("h1", { tabindex: "-1" }, "KOMPASS"),
    h("label", { for: "name" }, "Name"), user,
    h("label", { for: "password" }, "Passwort"), password,
    problem, button,
    goOn && name
      ? h("button", { type: "button", class: "quiet", onclick: () => run(() => goOn(name)) },
        `Ohne Server weiterarbeiten als ${name}`)
      : null);
}

/** A form for `doc`, new or not. `saved` is called after it was written. */
export function editView(store, doc, saved) {
  const schema = TYPES[doc.type];
  const isNew = !doc._rev;
  const inputs = new Map(schema.edit.map((name) => [name, input(name, doc[name])]));
  const photo = schema.files ? h("input", { type: "file", id: "edit-photo", accept: "image/*,application/pdf" }) : null;
  const problem = h("p", { class: "problem", role: "alert" });
  const back = isNew ? `#/customer/${encodeURIComponent(doc.customerId)}` : linkTo(doc);

  async function submit(event) {
    event.preventDefault();
    const changed = { ...doc };
    for (const [name, element] of inputs) {
      const value = element.type === "number" && element.value !== "" ? Number(element.value) : element.value.trim();
      if (value === "") delete changed[name];
      else changed[name] = value;
    }
    if (photo?.files.length) attach(changed, photo.files[0]);
    try {
      await store.save(changed);
      saved(changed);
    } catch (error) {
      problem.textContent = error.status === 409
        ? "Das Dokument wurde inzwischen geändert. Bitte zurückgehen und noch einmal bearbeiten."
        : `Nicht gespeichert: ${error.reason ?? error.message}`;
    }
  }

  return h("article", { class: "pane detail" },
    h("form", { class: "edit", onsubmit: submit },
      h("h1", { tabindex: "-1" }, isNew ? `Neue ${schema.one}` : `${schema.one} bearbeiten`),
      [...inputs].map(([name, element]) =>
        h("div", { class: FIELDS[name].multiline ? "field long" : "field" },
          h("label", { for: element.id }, FIELDS[name].label), element)),
      photo ? h("div", { class: "field long" }, h("label", { for: photo.id }, "Foto oder PDF anhängen"), photo) : null,
      problem,
      h("div", { class: "actions" },
        h("button", { type: "submit" }, "Speichern"),
        h("a", { class: "button quiet", href: back }, "Abbrechen"))));
}

function input(name, value) {
  const field = FIELDS[name];
  const attributes = { id: `edit-${name}`, name, required: field.required };
  if (field.options) {
    const options = Object.entries(field.options).map(([key, text]) => h("option", { value: key }, text));
    const select = h("select", attributes, options);
    select.value = value ?? Object.keys(field.options)[0];
    return select;
  }
  if (field.multiline) return h("textarea", { ...attributes, rows: 4, value: value ?? "" });
  return h("input", {
    ...attributes, type: field.input ?? "text", min: field.min, max: field.max, value: value ?? "", autocomplete: "off",
  });
}

/** The file travels inside the document, its entry in the list that other programs read. */
function attach(doc, file) {
  const taken = new Set(Object.keys(doc._attachments ?? {}));
  let name = file.name.replace(/^_+/, "") || "Datei";
  for (let n = 2; taken.has(name); n += 1) name = file.name.replace(/(\.[^.]*)?$/, ` (${n})$1`);
  doc._attachments = { ...doc._attachments, [name]: { content_type: file.type, data: file } };
  const about = { fileName: name, fileSize: file.size, mimeType: file.type, uploadedAt: new Date().toISOString() };
  doc.attachments = [...(doc.attachments ?? []), about];
}
