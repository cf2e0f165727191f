// Keeps the local database and the server's in step while the switch says so.
//
// What waits to be sent is remembered by document and revision, because PouchDB counts received documents as local
// changes too: a revision leaves the list when it was pushed, or when the server says that it has it.
import { soon } from "./dom.js";
import { Replication } from "./replication.js";
import { currentUser } from "./session.js";

/** Milliseconds. A feed can be quiet for longer than a login lasts: asking now and then renews it. */
const KEEP_ALIVE = 4 * 60 * 1000;

const OPTIONS = { live: true, batch_size: 200 };

export class Sync {
  /** Emits "state" whenever `state` changes and "login" when the server no longer knows who we are. */
  constructor(store) {
    this.store = store;
    this.remote = new PouchDB(`${location.origin}/kompass`, { skip_setup: true });
    this.events = new EventTarget();
    this.waiting = new Map(JSON.parse(localStorage.getItem(this.#key) ?? "[]"));
    this.state = { phase: "offline", toLoad: 0, lastError: "", lastSync: null };
    this.running = false;
    this.refused = "";
    this.pullAgain = soon(() => this.pull.again());
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
    this.running = true;
    this.refused = "";
    const { db } = this.store;
    const failed = (error) => this.#failed(error);
    this.pull = new Replication(() => db.replicate.from(this.remote, OPTIONS), {
      change: ({ pending }) => this.#set({ toLoad: pending ?? 0 }),
      phase: () => this.#phase(),
      failed,
    });
    this.push = new Replication(() => db.replicate.to(this.remote, OPTIONS), {
      change: ({ docs }) => this.#forget(docs.map((doc) => doc._rev)),
      denied: (error) => this.#denied(error),
      phase: () => {
        if (this.push.phase === "idle") this.#askServer();
        this.#phase();
      },
      failed,
    });
    this.#set({ phase: "active", lastError: "" });
    this.pull.start();
    this.push.start();
    this.keepAlive = setInterval(() => this.#stayLoggedIn(), KEEP_ALIVE);
  }

  stop() {
    this.#end();
    this.#set({ phase: "offline", toLoad: 0, lastError: "" });
  }

  #end() {
    clearInterval(this.keepAlive);
    this.running = false;
    this.pull?.stop();
    this.push?.stop();
  }

  async #stayLoggedIn() {
    const user = await currentUser().catch(() => this.store.user); // no server: no news
    if (user !== this.store.user) this.#failed({ status: 401 });
  }

  #set(changes) {
    Object.assign(this.state, changes);
    this.events.dispatchEvent(new Event("state"));
  }

  /** What both directions are at, as one. */
  #phase() {
    const { pull, push } = this;
    const phase = ["retry", "active", "idle"].find((each) => each === pull.phase || each === push.phase);
    const error = pull.error ?? push.error;
    const synced = phase === "idle" ? { toLoad: 0, lastSync: new Date() } : {};
    this.#set({ phase, lastError: error ? describe(error) : this.refused, ...synced });
  }

  /** Says so until the next change is saved, and asks for what the server has instead. */
  #denied({ id, reason, message }) {
    this.refused = `Vom Server abgelehnt: ${reason ?? message ?? "keine Berechtigung"}`;
    this.#set({ lastError: this.refused });
    this.#replace([...this.waiting].filter(([, each]) => each !== id));
    this.pullAgain();
  }

  #failed(error) {
    if (!this.running) return;
    this.#end();
    this.#set({ phase: "failed", toLoad: 0, lastError: describe(error) });
    if (error.status === 401) this.events.dispatchEvent(new Event("login"));
  }

  #remember(rows) {
    this.refused = "";
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
