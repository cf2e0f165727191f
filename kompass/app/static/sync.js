// Keeps the local database and the server's in step while the switch says so.
//
// What waits to be sent is remembered by document and revision, because PouchDB counts received documents as local
// changes too: a revision leaves the list when it was pushed, or when the server says that it has it.
import { t } from "./i18n.js";
import { LiveSync } from "./replication.mjs";
import { client } from "./session.js";

/** Milliseconds. A feed can be quiet for longer than a login lasts: asking now and then renews it. */
const KEEP_ALIVE = 4 * 60 * 1000;

const OPTIONS = { batch_size: 200 };

export class Sync {
  /** Emits "state" whenever `state` changes and "login" when the server no longer knows who we are. */
  constructor(store) {
    this.store = store;
    this.remote = client.remote();
    this.events = new EventTarget();
    this.waiting = new Map(JSON.parse(localStorage.getItem(this.#key) ?? "[]"));
    this.state = { phase: "offline", toLoad: 0, lastError: "", lastSync: null };
    this.running = false;
    this.refused = "";
    this.live = new LiveSync(store.db, this.remote, {
      pulled: ({ pending }) => this.#set({ toLoad: pending ?? 0 }),
      pushed: ({ docs }) => this.#forget(docs.map((doc) => doc._rev)),
      denied: (error) => this.#denied(error),
      phase: () => this.#phase(),
      failed: (error) => this.#failed(error),
    }, OPTIONS);
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
    this.#set({ phase: "active", lastError: "" });
    this.live.start();
    this.keepAlive = setInterval(() => this.#stayLoggedIn(), KEEP_ALIVE);
  }

  stop() {
    this.#end();
    this.#set({ phase: "offline", toLoad: 0, lastError: "" });
  }

  #end() {
    clearInterval(this.keepAlive);
    this.running = false;
    this.live.stop();
  }

  async #stayLoggedIn() {
    const user = await client.session().then((found) => found?.name, () => this.store.user); // no server: no news
    if (user !== this.store.user) this.#failed({ status: 401 });
  }

  #set(changes) {
    Object.assign(this.state, changes);
    this.events.dispatchEvent(new Event("state"));
  }

  /** What both directions are at, as one. */
  #phase() {
    const { phase, error, push } = this.live;
    if (push.phase === "idle") this.#askServer();
    const synced = phase === "idle" ? { toLoad: 0, lastSync: new Date() } : {};
    this.#set({ phase, lastError: error ? describe(error) : this.refused, ...synced });
    if (phase === "idle") this.#report();
  }

  /**
   * Sends what was refused again, better: to the quarantine, where its attachments are. Throws what is against it. Without
   * the server it is written here and sent later, unless attachments are needed that only the server has.
   */
  async correct(notice, doc) {
    const { _id, _rev, _attachments, _conflicts, ...body } = this.store.stamped(doc);
    const now = this.store.get(notice.docId);
    const only = (notice.attachments ?? []).filter((name) => !now?._attachments?.[name]);
    try {
      const sent = { document: body, rev: now?._rev ?? null };
      await client.ask("POST", `quarantine/${encodeURIComponent(notice.quarantineId)}/correct`, sent);
    } catch (error) {
      if (error.status || only.length) throw saidBy(error);
      await this.store.save({ ...doc, _id: notice.docId });
      await this.store.remove(notice);
    }
  }

  /** Nobody needs what was refused: with the notice that it deletes the server settles it. */
  async discard(notice) {
    await this.store.remove(notice);
  }

  /** Whether a document that somebody else had deleted comes back as it is in the conflict. Only the server brings one back. */
  async restore(notice, comesBack) {
    try {
      const strategy = comesBack ? "local" : "server";
      await client.ask("POST", `conflicts/${encodeURIComponent(notice.id)}/resolve`, { strategy });
    } catch (error) {
      if (!error.status) throw new Error(t("Das geht nur mit Verbindung zum Server.", "This needs the server."));
      throw saidBy(error);
    }
  }

  async #report() {
    try {
      await client.report((await this.store.db.info()).doc_count);
    } catch {
      // The next pause reports again.
    }
  }

  /** Says so until the next change is saved. */
  #denied({ id, reason, message }) {
    const why = reason ?? message ?? t("keine Berechtigung", "not allowed");
    this.refused = t(`Vom Server abgelehnt: ${why}`, `Refused by the server: ${why}`);
    this.#set({ lastError: this.refused });
    this.#replace([...this.waiting].filter(([, each]) => each !== id));
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
    if (client.wiping === null) localStorage.setItem(this.#key, JSON.stringify(entries));
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

/** What the server says about an entry of the quarantine, for people. */
function saidBy(error) {
  if (!error.status) {
    return new Error(t("Das geht nur mit Verbindung zum Server, der die Anlagen hat.",
      "This needs the server, which has the attachments."));
  }
  if (error.status === 404) return new Error(t("Das ist schon erledigt.", "This is settled already."));
  return Object.assign(new Error(error.reason || describe(error)), { status: error.status });
}

function describe(error) {
  if (error.status === 401) return t("Die Anmeldung ist abgelaufen.", "The login has ended.");
  if (error.status === 403) return t(`Keine Berechtigung: ${error.reason ?? ""}`, `Not allowed: ${error.reason ?? ""}`);
  if (error.status) {
    const why = error.reason ?? error.message;
    return t(`Server antwortet mit ${error.status}: ${why}`, `The server answers ${error.status}: ${why}`);
  }
  return t("Der Server ist nicht erreichbar.", "The server can't be reached.");
}
