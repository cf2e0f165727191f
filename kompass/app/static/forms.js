// Login, the form for a document, and the one for a change that was refused.
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { choice, choseMine, differences, noticeName, why } from "./notices.js";
import { FIELDS, TYPES, labelOf, typeName } from "./schema.js";
import { linkTo } from "./views.js";

/**
 * `submit(name, password)`, `keycloak()`, where it can be logged in to, and `goOn(name)` are promises; what they throw
 * is shown. `goOn` is null where nobody may go on without the server.
 */
export function loginView({ name, reason, submit, keycloak, goOn }) {
  const problem = h("p", { class: "problem", role: "alert", id: "login-problem" }, reason ?? "");
  const user = h("input", { id: "name", name: "name", autocomplete: "username", required: true, value: name ?? "" });
  const password = h("input", {
    id: "password", name: "password", type: "password", autocomplete: "current-password", required: true,
  });
  const button = h("button", { type: "submit", class: keycloak ? "quiet" : null }, t("Anmelden", "Log in"));
  const run = async (action, pressed) => {
    pressed.disabled = true;
    problem.textContent = "";
    try {
      await action();
    } catch (error) {
      problem.textContent = error.message;
      pressed.disabled = false;
      if (pressed === button) password.focus();
      else pressed.focus();
    }
  };
  user.setAttribute("autocapitalize", "none");
  const fields = [
    h("label", { for: "name" }, t("Name", "Name")), user,
    h("label", { for: "password" }, t("Passwort", "Password")), password,
    button,
  ];
  const withKeycloak = keycloak
    ? h("button", { type: "button", id: "keycloak", onclick: () => run(keycloak, withKeycloak) },
      t("Mit Keycloak anmelden", "Log in with Keycloak"))
    : null;
  const withoutServer = goOn && name
    ? h("button", { type: "button", class: "quiet", onclick: () => run(() => goOn(name), withoutServer) },
      t(`Ohne Server weiterarbeiten als ${name}`, `Go on without the server as ${name}`))
    : null;
  return h("form", {
    class: "login",
    "aria-describedby": "login-problem",
    onsubmit: (event) => {
      event.preventDefault();
      run(() => submit(user.value.trim(), password.value), button);
    },
  },
    h("img", { src: "icon.svg", alt: "", width: "64", height: "64" }),
    h("h1", { tabindex: "-1" }, "KOMPASS"),
    problem,
    keycloak
      ? [withKeycloak, h("details", {}, h("summary", {}, t("Mit Passwort anmelden", "Log in with a password")), fields)]
      : fields,
    withoutServer);
}

/** What inputs say, on top of `doc`. An empty one takes its field away. */
function filledIn(doc, inputs) {
  const changed = { ...doc };
  for (const [name, element] of inputs) {
    const value = element.type === "number" && element.value !== "" ? Number(element.value) : element.value.trim();
    if (value === "") delete changed[name];
    else changed[name] = value;
  }
  return changed;
}

const fieldOf = ([name, element], note) =>
  h("div", { class: FIELDS[name].multiline ? "field long" : "field" },
    h("label", { for: element.id }, FIELDS[name].label), element, note);

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
    const changed = filledIn(doc, inputs);
    if (photo?.files.length) attach(changed, photo.files[0]);
    try {
      await store.save(changed);
      saved(changed);
    } catch (error) {
      problem.textContent = notSaved(error);
    }
  }

  return h("article", { class: "pane detail" },
    h("form", { class: "edit", onsubmit: submit },
      h("h1", { tabindex: "-1" }, isNew
        ? t(`Neue ${schema.one}`, `New ${schema.one}`)
        : t(`${schema.one} bearbeiten`, `Edit ${schema.one}`)),
      [...inputs].map((each) => fieldOf(each)),
      photo
        ? h("div", { class: "field long" },
          h("label", { for: photo.id }, t("Foto oder PDF anhängen", "Attach a photo or PDF")), photo)
        : null,
      problem,
      h("div", { class: "actions" },
        h("button", { type: "submit" }, t("Speichern", "Save")),
        h("a", { class: "button quiet", href: back }, t("Abbrechen", "Cancel")))));
}

function notSaved(error) {
  if (error.status === 409) {
    return t("Das Dokument wurde inzwischen geändert. Bitte zurückgehen und noch einmal bearbeiten.",
      "The document has changed meanwhile. Please go back and edit it again.");
  }
  const why = error.reason || error.message;
  return t(`Nicht gespeichert: ${why}`, `Not saved: ${why}`);
}

/**
 * The document with the person's own text, to be sent again: his text in the form's fields, and for all other fields in
 * which it differs from the document as it is, a choice; what was refused is preset to stay as it is. `send(doc)` is a
 * promise.
 */
export function correctView(store, notice, send) {
  const now = store.get(notice.docId);
  const mine = notice.document;
  const refused = new Set(Array.isArray(notice.fields) ? notice.fields : []);
  const editable = TYPES[mine.type]?.edit ?? [];
  const inputs = new Map(editable.map((name) => [name, input(name, mine[name])]));
  const others = now ? differences(store, notice).filter((name) => !inputs.has(name)) : [];
  const groups = others.map((name) => choice(
    store,
    { key: name, name, label: labelOf(name), mine: mine[name], theirs: now[name] },
    refused.has(name) ? "theirs" : "mine",
  ));
  const problem = h("p", { class: "problem", role: "alert" });
  const button = h("button", { type: "submit" }, t("Noch einmal senden", "Send again"));
  const back = `#/refused/${encodeURIComponent(notice._id)}`;

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    // What isn't listed is the same on both sides, or concerns nobody: the document's own.
    let changed = { ...(now ?? mine) };
    for (const [index, name] of others.entries()) {
      if (!choseMine(groups[index])) continue;
      if (Object.hasOwn(mine, name)) changed[name] = mine[name];
      else delete changed[name];
    }
    changed = filledIn(changed, inputs);
    try {
      await send(changed);
    } catch (error) {
      problem.textContent = notSaved(error);
      button.disabled = false;
    }
  }

  const isRefused = (name) => (refused.has(name) ? h("small", { class: "dim" }, t("abgelehnt", "refused")) : null);
  return h("article", { class: "pane detail" },
    h("form", { class: "edit", onsubmit: submit },
      h("h1", { tabindex: "-1" }, t(`${typeName(mine.type)} korrigieren`, `Correct ${typeName(mine.type)}`)),
      h("p", { class: "field long" }, noticeName(store, notice)),
      h("p", { class: "field long" }, h("strong", {}, t("Abgelehnt: ", "Refused: ")), why(notice)),
      [...inputs].map((each) => fieldOf(each, isRefused(each[0]))),
      groups,
      problem,
      h("div", { class: "actions" }, button, h("a", { class: "button quiet", href: back }, t("Abbrechen", "Cancel")))));
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
  let name = file.name.replace(/^_+/, "") || t("Datei", "file");
  for (let n = 2; taken.has(name); n += 1) name = file.name.replace(/(\.[^.]*)?$/, ` (${n})$1`);
  doc._attachments = { ...doc._attachments, [name]: { content_type: file.type, data: file } };
  const about = { fileName: name, fileSize: file.size, mimeType: file.type, uploadedAt: new Date().toISOString() };
  doc.attachments = [...(doc.attachments ?? []), about];
}
