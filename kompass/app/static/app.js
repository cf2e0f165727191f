// Puts the parts together: who is logged in, what the address says, what is shown.
import { conflictList, conflictView } from "./conflicts.js";
import { byId, h } from "./dom.js";
import { correctView, editView, loginView } from "./forms.js";
import { language, locale, t } from "./i18n.js";
import { isAnswer } from "./keycloak.mjs";
import { noticeConflictView, noticeReturnView, refusedList, refusedView } from "./notices.js";
import { TYPES } from "./schema.js";
import { client, comeFromKeycloak, goToKeycloak, logIn, logOut } from "./session.js";
import { Store } from "./store.js";
import { Sync } from "./sync.js";
import { detailView, listView, missingView } from "./views.js";

const OFFLINE = "kompass.offline";

/** Milliseconds between looks at the lease. */
const LOOK = 30_000;
/** Milliseconds that a login waits to hear whether there is Keycloak. */
const PATIENCE = 3_000;

const main = byId("main");
let store = null;
let sync = null;
let ways = null;
let memory = {};
let refresh = () => {};

// -- who ------------------------------------------------------------------------------------

async function begin() {
  translate();
  if (typeof PouchDB === "undefined") {
    notice(t("PouchDB fehlt: Bitte ./scripts/run ausführen, das holt es von npm, und die Seite neu laden.",
      "PouchDB is missing: run ./scripts/run, which fetches it from npm, and load the page again."));
    return;
  }
  navigator.serviceWorker?.register("sw.js").catch(() => {});
  try {
    if (await client.resume()) return; // the wipe's end is shown by its listener
  } catch {
    return;
  }
  let user = null;
  try {
    if (isAnswer(location.hash)) user = (await comeFromKeycloak()).name;
  } catch (error) {
    await askLogin(error.message);
    return;
  }
  if (!user && client.user && client.isLocked(client.user)) {
    await lock();
    return;
  }
  try {
    user ??= (await client.session())?.name;
  } catch {
    user = client.user; // no server, or none that works
  }
  if (client.wiping) return;
  if (user) await work(user);
  else await askLogin(client.wiped ? wipedText() : "");
}

/** Asks for a login. Where nobody was working here, nothing is shown of anybody's data. */
async function askLogin(reason) {
  byId("bar").hidden = byId("nav").hidden = true;
  notice("");
  refresh = () => {};
  main.replaceChildren();
  ways = await Promise.race([client.ways(), late()]).catch(() => ways);
  if (client.wiping) return;
  const last = store?.user ?? client.user;
  main.replaceChildren(loginView({
    name: last,
    reason,
    submit: async (name, password) => work((await logIn({ name, password })).name),
    keycloak: ways?.keycloak ? () => goToKeycloak(ways.keycloak) : null,
    goOn: last && !client.isLocked(last) ? goOnOffline : null,
  }));
  document.title = t("Anmelden – KOMPASS", "Log in – KOMPASS");
  byId(ways?.keycloak ? "keycloak" : last ? "password" : "name").focus();
}

const late = () => new Promise((_, fail) => setTimeout(() => fail(new Error("late")), PATIENCE));

async function goOnOffline(user) {
  localStorage.setItem(OFFLINE, "1");
  await work(user);
}

/** Lets go of the database and of everything that is shown of it. */
async function leave() {
  const [left, stopped] = [store, sync];
  store = sync = null;
  memory = {};
  refresh = () => {};
  byId("bar").hidden = byId("nav").hidden = true;
  main.replaceChildren();
  stopped?.events.removeEventListener("state", state);
  stopped?.stop();
  await left?.close();
}

async function work(user) {
  notice("");
  if (client.isLocked(user)) {
    await lock();
    return;
  }
  if (store?.user !== user) {
    await leave();
    store = await new Store(user).open();
    sync = new Sync(store);
    store.events.addEventListener("change", () => {
      navigation();
      refresh();
    });
    sync.events.addEventListener("state", state);
    sync.events.addEventListener("login", () => {
      if (client.wiping) return;
      askLogin(t("Bitte neu anmelden. Alle Änderungen sind auf diesem Gerät gespeichert.",
        "Please log in again. All changes are stored on this device."));
    });
  }
  byId("who").textContent = user;
  byId("bar").hidden = byId("nav").hidden = false;
  if (localStorage.getItem(OFFLINE)) sync.stop();
  else sync.start();
  navigation();
  state();
  await route();
}

byId("logout").addEventListener("click", async () => {
  await leave();
  await logOut(ways?.keycloak ?? (await client.ways().catch(() => null))?.keycloak);
  location.hash = "";
  await askLogin();
});

byId("online").addEventListener("click", () => {
  if (sync.running) {
    localStorage.setItem(OFFLINE, "1");
    sync.stop();
  } else {
    localStorage.removeItem(OFFLINE);
    sync.start();
  }
});

// -- without the server for too long, and lost ------------------------------------------------

async function lock() {
  await leave();
  await askLogin(t(
    "Dieses Gerät war zu lange ohne Verbindung zum Server. Bitte anmelden; alle Daten sind noch da.",
    "This device was without the server for too long. Please log in; all data are still here.",
  ));
}

function look() {
  if (store && client.isLocked(store.user)) lock();
}

setInterval(look, LOOK);
document.addEventListener("visibilitychange", look);

const wipedText = () => t(
  "Dieses Gerät wurde als verloren gemeldet oder gesperrt. Alle Daten der Anwendung darauf sind gelöscht. "
    + "Wenn das ein Irrtum ist, hilft die Verwaltung.",
  "This device was reported lost or locked. All of the application's data on it are erased. "
    + "If that is a mistake, ask the administration.",
);

client.addEventListener("wipe", (event) => {
  event.waitUntil(leave());
  client.wiping.then(
    () => askLogin(wipedText()),
    () => notice(t("Die Daten konnten nicht ganz gelöscht werden. Bitte andere Fenster schließen und die Seite neu laden.",
      "The data could not be erased altogether. Please close other windows and load the page again.")),
  );
});

// Another window was told first: it can't erase what this one holds open.
addEventListener("storage", ({ key, newValue }) => {
  if (key === "kompass.wiping" && newValue) client.resume().catch(() => {});
});

// -- what is always visible -----------------------------------------------------------------

function translate() {
  document.documentElement.lang = language;
  byId("skip").textContent = t("Zum Inhalt", "To the content");
  byId("logout").textContent = t("Abmelden", "Log out");
  byId("nav").setAttribute("aria-label", t("Bereiche", "Sections"));
}

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

const TIME = { hour: "2-digit", minute: "2-digit" };

function state() {
  const { phase, toLoad, lastError, lastSync } = sync.state;
  const on = phase !== "offline" && phase !== "failed";
  byId("online").setAttribute("aria-checked", String(on));
  byId("online-text").textContent = on ? "Online" : "Offline";
  const count = sync.pending;
  const waiting = count === 1
    ? t("1 Änderung wartet", "1 change waits")
    : t(`${count} Änderungen warten`, `${count} changes wait`);
  const at = lastSync?.toLocaleTimeString(locale, TIME);
  const parts = {
    offline: t("Arbeitet ohne Server", "Works without the server"),
    active: toLoad ? t(`Lädt noch ${toLoad} Dokumente …`, `Loading ${toLoad} more documents …`) : t("Gleicht ab …", "Syncing …"),
    idle: t(`Abgeglichen um ${at}`, `Synced at ${at}`),
    retry: t("Server nicht erreichbar, versucht es weiter", "The server can't be reached, trying on"),
    failed: t("Abgleich angehalten", "Sync stopped"),
  };
  byId("state").dataset.phase = count && phase === "offline" ? "waiting" : phase;
  byId("state").textContent = [parts[phase], count ? waiting : ""].filter(Boolean).join(" · ");
  notice(lastError);
}

function navigation() {
  const current = location.hash.split("/")[1] || "customer";
  const conflicts = store.conflicted().length + store.count("conflict");
  const refused = store.count("rejected_change");
  const item = (key, text, count, alert = false) =>
    h("a", { href: `#/${key}`, "aria-current": key === current ? "page" : null },
      text, h("span", { class: alert ? "count alert" : "count" }, count.toLocaleString(locale)));
  byId("nav").replaceChildren(
    ...Object.entries(TYPES).map(([type, schema]) => item(type, schema.many, store.count(type))),
    h("span", { class: "to-do" },
      item("refused", t("Abgelehnt", "Refused"), refused, refused > 0),
      item("conflicts", t("Konflikte", "Conflicts"), conflicts, conflicts > 0)),
  );
}

// -- what the address says: #/type, #/type/id, #/type/id/edit, #/activity/new/customer, #/conflicts[/id],
// -- #/refused[/id[/correct]] -----------------------------------------------------------------

function address() {
  try {
    return (location.hash || "#/customer").split("/").slice(1).map(decodeURIComponent);
  } catch {
    return []; // something that was typed
  }
}

async function route() {
  if (!store) return;
  const [type, id, action] = address();
  navigation();
  if (type === "conflicts") await showConflicts(id);
  else if (type === "refused") showRefused(id, action);
  else if (!(type in TYPES)) location.hash = "#/customer";
  else if (id === "new") showForm({ _id: store.newId(type), type, customerId: action, date: new Date().toISOString() });
  else if (id && action === "edit" && store.get(id)?.type in TYPES) showForm(store.get(id));
  else showDocuments(type, id);
}

function display(...panes) {
  main.replaceChildren(...panes);
  main.classList.toggle("two", panes.length > 1);
  const heading = panes.at(-1).querySelector("h1");
  document.title = `${heading.textContent} – KOMPASS`;
  heading.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function showDocuments(type, id) {
  const list = listView(store, type, memory, id);
  const detail = () => (store.get(id)?.type in TYPES ? detailView(store, store.get(id)) : missingView(id));
  if (!id) {
    display(list.element);
    refresh = list.refresh;
    return;
  }
  let shown = store.stateOf(id);
  display(list.element, detail());
  const row = list.element.querySelector("[aria-current]");
  if (row) list.element.scrollTop = row.offsetTop - list.element.clientHeight / 2;
  refresh = () => {
    list.refresh();
    const now = store.stateOf(id);
    if (now !== shown) main.lastElementChild.replaceWith(detail());
    shown = now;
  };
}

function showForm(doc) {
  refresh = () => {}; // what is being typed stays
  const list = listView(store, doc.type, memory, doc._id);
  display(list.element, editView(store, doc, (saved) => {
    location.hash = `#/${saved.type}/${encodeURIComponent(saved._id)}`;
  }));
}

async function showConflicts(id) {
  const doc = id && store.get(id);
  const done = () => (location.hash = "#/conflicts");
  const isNotice = doc?.type === "conflict";
  let detail = null;
  if (isNotice && doc.serverDeleted) {
    detail = noticeReturnView(store, doc, (comesBack) => sync.restore(doc, comesBack).then(done));
  } else if (isNotice) detail = noticeConflictView(store, doc, done);
  else if (doc) detail = await conflictView(store, id, done);
  if (!store) return;
  display(...[conflictList(store, id), detail].filter(Boolean));
  const stateOf = () => [store.stateOf(id), isNotice ? store.stateOf(doc.docId) : ""].join();
  const shown = stateOf();
  refresh = () => {
    if (id && stateOf() !== shown) showConflicts(id);
    else main.firstElementChild.replaceWith(conflictList(store, id));
  };
}

function showRefused(id, action) {
  const doc = id && store.get(id);
  const found = doc?.type === "rejected_change" ? doc : null;
  const back = () => (location.hash = "#/refused");
  const list = refusedList(store, id);
  if (found && action === "correct" && found.document && !found.deleted) {
    refresh = () => {}; // what is being typed stays
    display(list, correctView(store, found, async (corrected) => {
      await sync.correct(found, corrected);
      back();
    }));
    return;
  }
  const detail = found && refusedView(store, found, async () => {
    await sync.discard(found);
    back();
  });
  display(...[list, detail].filter(Boolean));
  const stateOf = () => (found ? [store.stateOf(id), store.stateOf(found.docId)].join() : "");
  const shown = stateOf();
  refresh = () => {
    if (stateOf() !== shown) showRefused(id, action);
    else main.firstElementChild.replaceWith(refusedList(store, id));
  };
}

addEventListener("hashchange", route);
await begin();
