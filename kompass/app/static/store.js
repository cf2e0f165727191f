// The local database of one user, with all its documents in memory for lists and look-ups.
import { randomUuid } from "./client.mjs";
import { soon } from "./dom.js";
import { client } from "./session.js";

export class Store {
  /** Emits "change" (soon after documents changed) and "saved" (a document was written here). */
  constructor(user) {
    this.user = user;
    this.db = client.local(user);
    this.events = new EventTarget();
    this.documents = new Map();
    this.types = new Map();
    this.announce = soon(() => this.closed || this.events.dispatchEvent(new Event("change")));
  }

  async open() {
    const { update_seq: since } = await this.db.info();
    const { rows } = await this.db.allDocs({ include_docs: true, conflicts: true });
    for (const { doc } of rows) this.#keep(doc);
    this.feed = this.db
      .changes({ since, live: true, include_docs: true, conflicts: true })
      .on("change", ({ id, deleted, doc }) => {
        if (deleted) this.#forget(id);
        else this.#keep(doc);
        this.announce();
      });
    return this;
  }

  async close() {
    this.closed = true;
    this.feed?.cancel();
    await this.db.close();
  }

  #keep(doc) {
    if (doc._id.startsWith("_")) return;
    this.#forget(doc._id);
    this.documents.set(doc._id, doc);
    if (!this.types.has(doc.type)) this.types.set(doc.type, new Set());
    this.types.get(doc.type).add(doc._id);
  }

  #forget(id) {
    const doc = this.documents.get(id);
    if (doc) this.types.get(doc.type).delete(id);
    this.documents.delete(id);
  }

  get(id) {
    return this.documents.get(id);
  }

  count(type) {
    return this.types.get(type)?.size ?? 0;
  }

  list(type) {
    return [...(this.types.get(type) ?? [])].map((id) => this.documents.get(id));
  }

  /** Changes whenever a document, its versions or anything that belongs to it changes. */
  stateOf(id) {
    const doc = this.documents.get(id);
    if (!doc) return "";
    const children = doc.type === "customer" ? [...this.documents.values()].filter((each) => each.customerId === id) : [];
    return [doc._rev, doc._conflicts, children.map((child) => child._rev)].flat(2).join();
  }

  childrenOf(customerId, type) {
    return this.list(type).filter((doc) => doc.customerId === customerId);
  }

  conflicted() {
    return [...this.documents.values()].filter((doc) => doc._conflicts?.length);
  }

  /** What a field refers to: a document by its id, a person by the user name. */
  target(value) {
    return this.get(value) ?? this.list("user").find((doc) => doc.userName === value);
  }

  /** Writes a changed or new document with who and when. */
  async save(doc) {
    const body = this.stamped(doc);
    const { rev } = await this.db.put(body);
    this.#saved([{ id: body._id, rev }]);
  }

  async remove(doc) {
    const { rev } = await this.db.remove(doc._id, doc._rev);
    this.#saved([{ id: doc._id, rev }]);
  }

  /** A document as it is written: with who and when. */
  stamped(doc) {
    const { _conflicts, ...body } = doc;
    const now = new Date().toISOString();
    body.modifiedBy = this.user;
    body.modifiedAt = now;
    body.version = (doc.version ?? 0) + 1;
    body.createdBy ??= body.modifiedBy;
    body.createdAt ??= now;
    return body;
  }

  newId(type) {
    return `${type.replaceAll("_", "-")}-${randomUuid()}`;
  }

  /** All live versions of a document, the winner first. */
  async versions(id) {
    const winner = await this.db.get(id, { conflicts: true });
    const others = (winner._conflicts ?? []).map((rev) => this.db.get(id, { rev }));
    const { _conflicts, ...body } = winner;
    return [body, ...(await Promise.all(others))];
  }

  /** Makes `chosen` the only version: its content follows the winner, every other branch ends. */
  async resolve(chosen, versions) {
    const [winner, ...losers] = versions;
    const version = Math.max(...versions.map((each) => each.version ?? 0)) + 1;
    const result = {
      ...chosen,
      _rev: winner._rev,
      version,
      modifiedBy: this.user,
      modifiedAt: new Date().toISOString(),
    };
    const ends = losers.map(({ _id, _rev }) => ({ _id, _rev, _deleted: true }));
    const rows = await this.db.bulkDocs([result, ...ends]);
    const refused = rows.find((row) => row.error);
    if (refused) throw new Error(refused.reason ?? refused.message);
    this.#saved(rows);
  }

  #saved(rows) {
    this.events.dispatchEvent(new CustomEvent("saved", { detail: rows }));
  }
}
