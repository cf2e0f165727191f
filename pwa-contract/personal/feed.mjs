// What a plain PouchDB gets of a database that shows everybody what is his. Runs against a demo server, whose customers
// belong to adm1 or adm2; each scenario takes another customer.

import assert from "node:assert/strict";
import { ask, device } from "../tests/support/devices.mjs";
import { scenario } from "../tests/support/scenario.mjs";
import { eventually, live, stop } from "../tests/support/waiting.mjs";
import { DATABASE, found, made, pulled, remote, synced } from "./support/people.mjs";

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
    await pulled(db, name);
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
  await pulled(db, "adm1");
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
  await Promise.all([pulled(from, "adm1"), pulled(to, "adm2")]);
  assert.ok((await has(from, ids)).every((present) => present));
  assert.ok((await has(to, ids)).every((present) => !present));

  await give(id, "adm2");
  await Promise.all([pulled(from, "adm1"), pulled(to, "adm2")]);
  assert.ok((await has(from, ids)).every((present) => !present));
  assert.ok((await has(to, ids)).every((present) => present));
  await assert.rejects(from.get(id), { status: 404, reason: "deleted" });
  const [{ ok: closed }] = await from.get(id, { open_revs: "all" });
  assert.equal(closed.revoked, true);
  assert.deepEqual(new Set(Object.keys(closed)), new Set(["_id", "_rev", "_deleted", "revoked"]));

  await give(id, "adm1");
  await eventually(async () => {
    await Promise.all([pulled(from, "adm1"), pulled(to, "adm2")]);
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
  await pulled(db, "adm1");
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
  await pulled(db, "adm1");
  await give(id, "adm2");
  await db.replicate.from(remote("adm1"), { checkpoint: false });
  assert.deepEqual(await has(db, [id]), [false]);
  await give(id, "adm1");
});

scenario("work on a customer that was lost meanwhile is kept by the server, and the device follows", async (t) => {
  const { id } = await customer(3);
  const db = device(t);
  await pulled(db, "adm1");
  const kept = async () => (await ask("GET", "/kompass-quarantine")).body.doc_count;
  const before = await kept();
  await db.put({ ...(await db.get(id)), notes: "im Gespräch vereinbart", modifiedBy: "adm1" });
  await give(id, "adm2");
  assert.deepEqual(await synced(db, "adm1"), [id]);
  assert.equal(await kept(), before + 1);
  await eventually(async () => {
    await synced(db, "adm1");
    assert.deepEqual(await has(db, [id]), [false]);
  });
  const told = (await shown(db)).map((row) => row.doc).filter((doc) => doc.type === "rejected_change");
  assert.ok(told.length >= 1);
});

scenario("a new document of a device comes to those who may see it", async (t) => {
  const { id } = await customer(4);
  const [mine, other, management] = [device(t), device(t), device(t)];
  await pulled(mine, "adm1");
  const contact = made("contact", "adm1", {
    customerId: id,
    firstName: "Nele",
    lastName: "Neuling",
    decisionMakingRole: "informational",
    authorityLevel: "low",
    canApproveOrders: false,
  });
  await mine.put(contact);
  assert.deepEqual(await synced(mine, "adm1"), []);
  await Promise.all([pulled(other, "adm2"), pulled(management, "gf1")]);
  assert.deepEqual(await has(management, [contact._id]), [true]);
  assert.deepEqual(await has(other, [contact._id]), [false]);
});

scenario("indexes that a device makes stay on it", async (t) => {
  const db = device(t);
  await pulled(db, "adm1");
  await db.createIndex({ index: { fields: ["companyName"] } });
  assert.deepEqual(await synced(db, "adm1"), []);
  const { body } = await ask("GET", `${DATABASE}/_design_docs`);
  assert.deepEqual(body.rows, []);
  const { docs } = await remote("adm1").find({ selector: { type: "customer" }, limit: 1000 });
  assert.ok(docs.length > 0 && docs.every((doc) => doc.owner === "adm1"));
});
