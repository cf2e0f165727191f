// The people of a demo server and their devices.

import assert from "node:assert/strict";
import { PouchDB, address, ask } from "../../tests/support/devices.mjs";

export const DATABASE = "/kompass";
export const PASSWORD = "kompass-demo";

/** The documents as somebody is shown them. */
export const remote = (name, options = {}) =>
  new PouchDB(address(DATABASE, { name, password: PASSWORD }), { skip_setup: true, ...options });

/** Pushes and pulls until nothing changes. Returns the ids that were denied. */
export async function synced(db, name) {
  const denied = [];
  for (;;) {
    const sent = db.replicate.to(remote(name));
    sent.on("denied", (error) => denied.push(error.id ?? error.doc?.id));
    const pushed = (await sent).docs_written;
    const came = await received(db, name);
    if (!pushed && !came) return denied;
  }
}

/** Pulls until nothing comes. */
export async function pulled(db, name) {
  while (await received(db, name));
}

/** Pulls once: how many revisions came. */
async function received(db, name) {
  const { docs_written, errors } = await db.replicate.from(remote(name));
  assert.deepEqual(errors, []);
  return docs_written;
}

/** Documents as administrators find them. */
export async function found(selector) {
  const { status, body } = await ask("POST", `${DATABASE}/_find`, { selector, limit: 100_000 });
  assert.equal(status, 200);
  return body.docs;
}

/** The n-th of somebody's customers. */
export async function customerOf(owner, n) {
  return (await found({ type: "customer", owner })).map((doc) => doc._id).sort()[n];
}

/** Writes a document with other members, in somebody's name. */
export async function change(db, name, id, changes) {
  const doc = await db.get(id);
  return db.put({ ...doc, ...changes, modifiedBy: name, modifiedAt: new Date().toISOString() });
}

/** A new document of somebody's, as a device makes it, so many hours ago: who and when stand in it. */
export function made(type, name, members, hours = 0) {
  const now = new Date(Date.now() - hours * 3_600_000).toISOString();
  const base = { createdBy: name, modifiedBy: name, createdAt: now, modifiedAt: now, version: 1 };
  return { _id: `${type.replaceAll("_", "-")}-${crypto.randomUUID()}`, type, ...base, ...members };
}

/** What a device has of a type. */
export const told = async (db, type) =>
  (await db.allDocs({ include_docs: true })).rows.map((row) => row.doc).filter((doc) => doc.type === type);

/** The document, which is the same here and there, with one version only. */
export async function same(id, name, db) {
  const [here, there] = await Promise.all([
    db.get(id, { conflicts: true }),
    remote(name).get(id, { conflicts: true }),
  ]);
  assert.equal(here._conflicts, undefined);
  assert.equal(there._conflicts, undefined);
  assert.deepEqual(here, there);
  return here;
}

/** Asks `/api/v1` in somebody's name: {status, body}. */
export async function api(name, path, { method = "GET", body } = {}) {
  const place = new URL(address(`/api/v1/${path}`, { name: "", password: "" }));
  place.username = place.password = "";
  const authorization = `Basic ${Buffer.from(`${name}:${PASSWORD}`).toString("base64")}`;
  const headers = { authorization, "content-type": "application/json" };
  const response = await fetch(place, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  return { status: response.status, body: await response.json() };
}
