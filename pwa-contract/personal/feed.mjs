// What a plain PouchDB gets of a database that shows everybody what is his. Runs against a demo server, whose customers
// belong to adm1 or adm2; each scenario takes another customer.

import assert from "node:assert/strict";
import { PouchDB, address, ask, device } from "../tests/support/devices.mjs";
import { scenario } from "../tests/support/scenario.mjs";
import { eventually, live, stop } from "../tests/support/waiting.mjs";

const DATABASE = "/kompass";
const PASSWORD = "kompass-demo";

const remote = (name) => new PouchDB(address(DATABASE, { name, password: PASSWORD }), { skip_setup: true });

/** Pulls, or with `push` pushes and pulls, until nothing changes. Returns the ids that were denied. */
async function synced(db, name, { push = false } = {}) {
  const denied = [];
  for (;;) {
    let changes = 0;
    if (push) {
      const sent = db.replicate.to(remote(name));
      sent.on("denied", (error) => denied.push(error.id ?? error.doc?.id));
      changes += (await sent).docs_written;
    }
    const received = await db.replicate.from(remote(name));
    assert.deepEqual(received.errors, []);
    changes += received.docs_written;
    if (!changes) return denied;
  }
}

/** Documents as administrators find them. */
async function found(selector) {
  const { status, body } = await ask("POST", `${DATABASE}/_find`, { selector, limit: 100_000 });
  assert.equal(status, 200);
  return body.docs;
}

/** The n-th of adm1's customers, and what belongs to it and to nobody else. */
async function customer(n) {
  const own = await found({ type: "customer", owner: "adm1" });
  const one = own.sort((a, b) => (a._id < b._id ? -1 : 1))[n];
  const contacts = await found({ type: "contact", customerId: one._id });
  return { id: one._id, contacts: contacts.map((contact) => contact._id) };
}

async function give(id, owner) {
  const { body } = await ask("GET", `${DATABASE}/${id}`);
  const { status } = await ask("PUT", `${DATABASE}/${id}`, { ...body, owner });
  assert.equal(status, 201);
}

const shown = async (db) =>
  (await db.allDocs({ include_docs: true, conflicts: true })).rows.filter((row) => !row.id.startsWith("_design/"));

async function has(db, ids) {
  const present = new Set((await shown(db)).map((row) => row.id));
  return ids.map((id) => present.has(id));
}

scenario("a device gets exactly what its user may see", async (t) => {
  const total = (await ask("GET", DATABASE)).body.doc_count;
  for (const name of ["adm1", "plan1", "gf1"]) {
    const db = device(t);
    await synced(db, name);
    const [here, there] = await Promise.all([shown(db), shown(remote(name))]);
    assert.deepEqual(
      here.map((row) => [row.id, row.value.rev]),
      there.map((row) => [row.id, row.value.rev]),
    );
    assert.ok(here.length > 100 && here.length < total);
    assert.equal((await remote(name).info()).doc_count, here.length);
    assert.ok(here.every((row) => row.doc._conflicts === undefined));
    const customers = here.map((row) => row.doc).filter((doc) => doc.type === "customer");
    const expected = await found(name === "adm1" ? { type: "customer", owner: "adm1" } : { type: "customer" });
    assert.deepEqual(new Set(customers.map((doc) => doc._id)), new Set(expected.map((doc) => doc._id)));
  }
});

scenario("photos of what he sees arrive, and those of others can't be fetched", async (t) => {
  const db = device(t);
  await synced(db, "adm1");
  const [own] = (await shown(db)).map((row) => row.doc).filter((doc) => doc._attachments);
  const name = Object.keys(own._attachments)[0];
  const photo = await db.getAttachment(own._id, name);
  assert.equal(photo.length, own._attachments[name].length);
  const mine = new Set((await shown(db)).map((row) => row.id));
  const others = (await found({ _attachments: { $exists: true } })).filter((doc) => !mine.has(doc._id));
  assert.ok(others.length > 0);
  const [other] = others;
  await assert.rejects(remote("adm1").getAttachment(other._id, Object.keys(other._attachments)[0]), { status: 404 });
});

scenario("a customer that changes hands leaves one device and comes to the other, and back", async (t) => {
  const { id, contacts } = await customer(0);
  const ids = [id, ...contacts];
  const [from, to] = [device(t), device(t)];
  await Promise.all([synced(from, "adm1"), synced(to, "adm2")]);
  assert.ok((await has(from, ids)).every((present) => present));
  assert.ok((await has(to, ids)).every((present) => !present));

  await give(id, "adm2");
  await Promise.all([synced(from, "adm1"), synced(to, "adm2")]);
  assert.ok((await has(from, ids)).every((present) => !present));
  assert.ok((await has(to, ids)).every((present) => present));
  await assert.rejects(from.get(id), { status: 404, reason: "deleted" });
  const [{ ok: closed }] = await from.get(id, { open_revs: "all" });
  assert.equal(closed.revoked, true);
  assert.deepEqual(new Set(Object.keys(closed)), new Set(["_id", "_rev", "_deleted", "revoked"]));

  await give(id, "adm1");
  await eventually(async () => {
    await Promise.all([synced(from, "adm1"), synced(to, "adm2")]);
    assert.ok((await has(from, ids)).every((present) => present));
    assert.ok((await has(to, ids)).every((present) => !present));
  });
  const server = new Map((await shown(remote("adm1"))).map((row) => [row.id, row.value.rev]));
  for (const row of await shown(from)) {
    assert.equal(row.value.rev, server.get(row.id));
    assert.equal(row.doc._conflicts, undefined);
  }
});

scenario("a device that is live hears of a loss and of a gain without asking", async (t) => {
  const { id, contacts } = await customer(1);
  const ids = [id, ...contacts];
  const db = device(t);
  await synced(db, "adm1");
  const pull = live(t, db.replicate.from(remote("adm1"), { live: true }));
  await give(id, "adm2");
  await eventually(async () => assert.ok((await has(db, ids)).every((present) => !present)));
  await give(id, "adm1");
  await eventually(async () => assert.ok((await has(db, ids)).every((present) => present)));
  await stop(pull);
});

scenario("a device that lost only the server's checkpoint still learns what it has lost", async (t) => {
  const { id } = await customer(2);
  const db = device(t);
  await synced(db, "adm1");
  await give(id, "adm2");
  await db.replicate.from(remote("adm1"), { checkpoint: false });
  assert.deepEqual(await has(db, [id]), [false]);
  await give(id, "adm1");
});

scenario("work on a customer that was lost meanwhile is kept by the server, and the device follows", async (t) => {
  const { id } = await customer(3);
  const db = device(t);
  await synced(db, "adm1");
  const kept = async () => (await ask("GET", "/kompass-quarantine")).body.doc_count;
  const before = await kept();
  await db.put({ ...(await db.get(id)), notes: "im Gespräch vereinbart", modifiedBy: "adm1" });
  await give(id, "adm2");
  assert.deepEqual(await synced(db, "adm1", { push: true }), [id]);
  assert.equal(await kept(), before + 1);
  await eventually(async () => {
    await synced(db, "adm1", { push: true });
    assert.deepEqual(await has(db, [id]), [false]);
  });
  const told = (await shown(db)).map((row) => row.doc).filter((doc) => doc.type === "rejected_change");
  assert.ok(told.length >= 1);
});

scenario("a new document of a device comes to those who may see it", async (t) => {
  const { id } = await customer(4);
  const [mine, other, management] = [device(t), device(t), device(t)];
  await synced(mine, "adm1");
  const contact = (await found({ type: "contact", customerId: id }))[0];
  const now = new Date().toISOString();
  const made = {
    _id: `contact-${crypto.randomUUID()}`,
    type: "contact",
    customerId: contact.customerId,
    firstName: "Nele",
    lastName: "Neuling",
    decisionMakingRole: "informational",
    authorityLevel: "low",
    canApproveOrders: false,
    createdBy: "adm1",
    modifiedBy: "adm1",
    createdAt: now,
    modifiedAt: now,
    version: 1,
  };
  await mine.put(made);
  assert.deepEqual(await synced(mine, "adm1", { push: true }), []);
  await Promise.all([synced(other, "adm2"), synced(management, "gf1")]);
  assert.deepEqual(await has(management, [made._id]), [true]);
  assert.deepEqual(await has(other, [made._id]), [false]);
});

scenario("indexes that a device makes stay on it", async (t) => {
  const db = device(t);
  await synced(db, "adm1");
  await db.createIndex({ index: { fields: ["companyName"] } });
  assert.deepEqual(await synced(db, "adm1", { push: true }), []);
  const { body } = await ask("GET", `${DATABASE}/_design_docs`);
  assert.deepEqual(body.rows, []);
  const { docs } = await remote("adm1").find({ selector: { type: "customer" }, limit: 1000 });
  assert.ok(docs.length > 0 && docs.every((doc) => doc.owner === "adm1"));
});
