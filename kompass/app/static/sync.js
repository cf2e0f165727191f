// Keeps the local database and the server's in step while the switch says so.
//
// What waits to be sent is remembered by document and revision, because PouchDB counts received documents as local
// changes too: a revision leaves the list when it was pushed, or when the server says that it has it.
import { currentUser } from "./session.js";

/** Milliseconds. A feed can be quiet for longer than a login lasts: asking now and then renews it. */
const KEEP_ALIVE = 4 * 60 * 1000;

export class Sync {
  /** Emits "state" whenever `state` changes and "login" when the server no longer knows who we are. */
  constructor(store) {
    this.store = store;
    this.remote = new PouchDB(`${location.origin}/kompass`, { skip_setup: true });
    this.events = new EventTarget();
    this.waiting = new Map(JSON.parse(localStorage.getItem(this.#key) ?? "[]"));
    this.state = { phase: "offline", toLoad: 0, lastError: "", lastSync: null };
    store.events.addEventListener("saved", ({ detail }) => this.#remember(detail));
  }

  get #key() {
    return `kompass.waiting.${this.store.user}`;
  }

  get pending() {
    return new Set([...this.waiting.values()]).size;
  }

  start() {
    if (this.running) return;
    this.#set({ phase: "active", lastError: "" });
    const running = this.store.db.sync(this.remote, { live: true, retry: true, batch_size: 200 });
    this.running = running;
    running.pull.on("change", ({ pending }) => this.#set({ toLoad: pending ?? 0 }));
    running.push.on("change", ({ docs }) => this.#forget(docs.map((doc) => doc._rev)));
    running.push.on("paused", () => this.#askServer());
    running.on("active", () => this.#set({ phase: "active" }));
    running.on("paused", (error) => this.#paused(error));
    running.on("denied", ({ doc }) => this.#denied(doc));
    running.on("error", (error) => this.#failed(error));
    running.catch(() => {}); // reported by the event
    this.keepAlive = setInterval(() => this.#stayLoggedIn(), KEEP_ALIVE);
  }

  stop() {
    this.#end();
    this.#set({ phase: "offline", toLoad: 0, lastError: "" });
  }

  #end() {
    clearInterval(this.keepAlive);
    this.running?.cancel();
    this.running = null;
  }

  async #stayLoggedIn() {
    const user = await currentUser().catch(() => this.store.user); // no server: no news
    if (user !== this.store.user) this.#failed({ status: 401 });
  }

  #set(changes) {
    Object.assign(this.state, changes);
    this.events.dispatchEvent(new Event("state"));
  }

  async #paused(error) {
    if (!this.running) return;
    if (!error) {
      this.#set({ phase: "idle", toLoad: 0, lastError: "", lastSync: new Date() });
      return;
    }
    if (error.status === 401) this.#failed(error);
    else this.#set({ phase: "retry", lastError: describe(error) });
  }

  #denied(doc) {
    this.#set({ lastError: `Vom Server abgelehnt: ${doc.reason ?? doc.message ?? "keine Berechtigung"}` });
    const left = [...this.waiting].filter(([, id]) => id !== doc.id);
    this.#replace(left);
  }

  #failed(error) {
    if (!this.running) return;
    this.#end();
    this.#set({ phase: "failed", toLoad: 0, lastError: describe(error) });
    if (error.status === 401) this.events.dispatchEvent(new Event("login"));
  }

  #remember(rows) {
    this.#replace([...this.waiting, ...rows.map(({ id, rev }) => [rev, id])]);
  }

  #forget(revs) {
    const gone = new Set(revs);
    this.#replace([...this.waiting].filter(([rev]) => !gone.has(rev)));
  }

  #replace(entries) {
    this.waiting = new Map(entries);
    localStorage.setItem(this.#key, JSON.stringify(entries));
    this.#set({});
  }

  /** After an interruption some may have arrived without our hearing of it. */
  async #askServer() {
    if (!this.waiting.size) return;
    const asked = {};
    for (const [rev, id] of this.waiting) (asked[id] ??= []).push(rev);
    try {
      const answer = await this.remote.revsDiff(asked);
      const there = [...this.waiting].filter(([rev, id]) => !answer[id]?.missing?.includes(rev));
      this.#forget(there.map(([rev]) => rev));
    } catch {
      // The next pause asks again.
    }
  }
}

function describe(error) {
  if (error.status === 401) return "Die Anmeldung ist abgelaufen.";
  if (error.status === 403) return `Keine Berechtigung: ${error.reason ?? ""}`;
  if (error.status) return `Server antwortet mit ${error.status}: ${error.reason ?? error.message}`;
  return "Der Server ist nicht erreichbar.";
}
