// Puts the parts together: who is logged in, what the address says, what is shown.
import { conflictList, conflictView } from "./conflicts.js";
import { byId, h } from "./dom.js";
import { editView, loginView } from "./forms.js";
import { TYPES } from "./schema.js";
import { currentUser, lastUser, login, logout, rememberUser } from "./session.js";
import { Store } from "./store.js";
import { Sync } from "./sync.js";
import { detailView, listView, missingView } from "./views.js";

const OFFLINE = "kompass.offline";
const main = byId("main");
let store = null;
let sync = null;
let memory = {};
let refresh = () => {};

// -- who ------------------------------------------------------------------------------------

async function begin() {
  if (typeof PouchDB === "undefined") {
    notice("PouchDB fehlt: Bitte ./scripts/run ausführen, das holt es von npm, und die Seite neu laden.");
    return;
  }
  navigator.serviceWorker?.register("sw.js").catch(() => {});
  let user = null;
  try {
    user = await currentUser();
  } catch {
    if (lastUser()) {
      await work(lastUser());
      return;
    }
  }
  if (user) await work(user);
  else askLogin();
}

function askLogin(reason) {
  byId("bar").hidden = byId("nav").hidden = true;
  main.replaceChildren(loginView({
    name: store?.user ?? lastUser(),
    reason,
    submit: async (name, password) => work(await login(name, password)),
    goOn: lastUser() ? goOnOffline : null,
  }));
  refresh = () => {};
  byId(lastUser() ? "password" : "name").focus();
}

async function goOnOffline(user) {
  localStorage.setItem(OFFLINE, "1");
  await work(user);
}

async function work(user) {
  notice("");
  rememberUser(user);
  if (store?.user !== user) {
    sync?.stop();
    await store?.close();
    memory = {};
    store = await new Store(user).open();
    sync = new Sync(store);
    store.events.addEventListener("change", () => {
      navigation();
      refresh();
    });
    sync.events.addEventListener("state", state);
    sync.events.addEventListener("login", () =>
      askLogin("Bitte neu anmelden. Alle Änderungen sind auf diesem Gerät gespeichert."));
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
  const [left, stopped] = [store, sync];
  store = sync = null;
  stopped.events.removeEventListener("state", state);
  stopped.stop();
  await left.close();
  await logout();
  location.hash = "";
  askLogin();
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

// -- what is always visible -----------------------------------------------------------------

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
  const waiting = sync.pending === 1 ? "1 Änderung wartet" : `${sync.pending} Änderungen warten`;
  const parts = {
    offline: "Arbeitet ohne Server",
    active: toLoad ? `Lädt noch ${toLoad} Dokumente …` : "Gleicht ab …",
    idle: `Abgeglichen um ${lastSync?.toLocaleTimeString("de-DE", TIME)}`,
    retry: "Server nicht erreichbar, versucht es weiter",
    failed: "Abgleich angehalten",
  };
  byId("state").dataset.phase = sync.pending && phase === "offline" ? "waiting" : phase;
  byId("state").textContent = [parts[phase], sync.pending ? waiting : ""].filter(Boolean).join(" · ");
  notice(lastError);
}

function navigation() {
  const current = location.hash.split("/")[1] || "customer";
  const conflicts = store.conflicted().length;
  const item = (key, text, count, alert = false) =>
    h("a", { href: `#/${key}`, "aria-current": key === current ? "page" : null },
      text, h("span", { class: alert ? "count alert" : "count" }, count.toLocaleString("de-DE")));
  byId("nav").replaceChildren(
    ...Object.entries(TYPES).map(([type, schema]) => item(type, schema.many, store.count(type))),
    item("conflicts", "Konflikte", conflicts, conflicts > 0),
  );
}

// -- what the address says: #/type, #/type/id, #/type/id/edit, #/activity/new/customer, #/conflicts[/id] -------

async function route() {
  if (!store) return;
  const [type, id, action] = (location.hash || "#/customer").split("/").slice(1).map(decodeURIComponent);
  navigation();
  if (type === "conflicts") await showConflicts(id);
  else if (!(type in TYPES)) location.hash = "#/customer";
  else if (id === "new") showForm({ _id: store.newId(type), type, customerId: action, date: new Date().toISOString() });
  else if (id && action === "edit" && store.get(id)) showForm(store.get(id));
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
  const detail = () => (store.get(id) ? detailView(store, store.get(id)) : missingView(id));
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
  const detail = id && store.get(id) ? await conflictView(store, id, () => (location.hash = "#/conflicts")) : null;
  display(...[conflictList(store, id), detail].filter(Boolean));
  const shown = store.stateOf(id);
  refresh = () => {
    if (id && store.stateOf(id) !== shown) showConflicts(id);
    else main.firstElementChild.replaceWith(conflictList(store, id));
  };
}

addEventListener("hashchange", route);
await begin();
