// What becomes of the work of plain PouchDBs: put together, in conflict, refused, waiting. Runs against a demo server,
// beside feed.mjs: each scenario takes another customer.

import assert from "node:assert/strict";
import { PouchDB, address, ask, device } from "../tests/support/devices.mjs";
import { scenario } from "../tests/support/scenario.mjs";
import { eventually } from "../tests/support/waiting.mjs";

const DATABASE = "/kompass";
const PASSWORD = "kompass-demo";

const remote = (name) => new PouchDB(address(DATABASE, { name, password: PASSWORD }), { skip_setup: true });

/** Pushes and pulls until nothing changes. Returns the ids that were denied. */
async function synced(db, name) {
  const denied = [];
  for (;;) {
    const sent = db.replicate.to(remote(name));
    sent.on("denied", (error) => denied.push(error.id ?? error.doc?.id));
    const pushed = (await sent).docs_written;
    const pulled = (await db.replicate.from(remote(name))).docs_written;
    if (!pushed && !pulled) return denied;
  }
}

/** The n-th of adm2's customers. */
async function customer(n) {
  const selector = { type: "customer", owner: "adm2" };
  const { body } = await ask("POST", `${DATABASE}/_find`, { selector, limit: 1000 });
  return body.docs.map((doc) => doc._id).sort()[n];
}

const change = async (db, name, id, changes) => db.put({ ...(await db.get(id)), ...changes, modifiedBy: name });

const told = async (db, type) =>
  (await db.allDocs({ include_docs: true })).rows.map((row) => row.doc).filter((doc) => doc.type === type);

/** What the server keeps of what was refused, as its author sees it. */
async function entry(notice) {
  const place = new URL(address(`/api/v1/quarantine/${notice.quarantineId}`, { name: "", password: "" }));
  place.username = place.password = "";
  const authorization = `Basic ${Buffer.from(`adm2:${PASSWORD}`).toString("base64")}`;
  return (await fetch(place, { headers: { authorization } })).json();
}

const same = async (id, name, db) => {
  const [here, there] = await Promise.all([
    db.get(id, { conflicts: true }),
    remote(name).get(id, { conflicts: true }),
  ]);
  assert.equal(here._conflicts, undefined);
  assert.equal(there._conflicts, undefined);
  assert.deepEqual(here, there);
  return here;
};

scenario("two people change different fields offline: both changes are everywhere", async (t) => {
  const id = await customer(0);
  const [field, office] = [device(t), device(t)];
  await Promise.all([synced(field, "adm2"), synced(office, "innen1")]);
  await change(field, "adm2", id, { phone: "+49 5221 1" });
  await change(office, "innen1", id, { website: "https://hof.example" });
  assert.deepEqual(await synced(office, "innen1"), []);
  assert.deepEqual(await synced(field, "adm2"), []);
  await synced(office, "innen1");
  for (const [db, name] of [
    [field, "adm2"],
    [office, "innen1"],
  ]) {
    const doc = await same(id, name, db);
    assert.deepEqual([doc.phone, doc.website], ["+49 5221 1", "https://hof.example"]);
    assert.deepEqual(await told(db, "conflict"), []);
  }
});

scenario("two people change one field offline: the second one decides", async (t) => {
  const id = await customer(1);
  const [field, office] = [device(t), device(t)];
  await Promise.all([synced(field, "adm2"), synced(office, "innen1")]);
  await change(office, "innen1", id, { phone: "+49 5221 2" });
  await change(field, "adm2", id, { phone: "+49 5221 3" });
  await synced(office, "innen1");
  assert.deepEqual(await synced(field, "adm2"), []);
  assert.equal((await same(id, "adm2", field)).phone, "+49 5221 2");
  const conflict = (await told(field, "conflict")).find((doc) => doc.docId === id);
  const [asked] = conflict.fields;
  assert.deepEqual(conflict.fields.map((one) => one.path), ["phone"]);
  assert.deepEqual([asked.label, asked.local, asked.server], ["Telefon", "+49 5221 3", "+49 5221 2"]);
  await change(field, "adm2", id, { phone: asked.local });
  assert.deepEqual(await synced(field, "adm2"), []);
  assert.ok(!(await told(field, "conflict")).some((doc) => doc.docId === id));
  await synced(office, "innen1");
  assert.equal((await same(id, "innen1", office)).phone, "+49 5221 3");
  assert.ok(!(await told(office, "conflict")).some((doc) => doc.docId === id));
});

scenario("what is refused leaves the device, lies in quarantine, and can be corrected", async (t) => {
  const id = await customer(2);
  const db = device(t);
  await synced(db, "adm2");
  const before = await db.get(id);
  await change(db, "adm2", id, { owner: "adm1", phone: "+49 5221 4" });
  assert.deepEqual(await synced(db, "adm2"), [id]);
  await eventually(async () => {
    await synced(db, "adm2");
    const doc = await same(id, "adm2", db);
    assert.deepEqual([doc.owner, doc.phone], ["adm2", before.phone]);
  });
  const [notice] = (await told(db, "rejected_change")).filter((doc) => doc.docId === id);
  assert.equal(notice.document.phone, "+49 5221 4");
  assert.ok(notice.reason && notice.grund);
  // Without a connection: his text into the document as it is here, and he has done with the notice.
  await change(db, "adm2", id, { phone: notice.document.phone });
  await db.remove(notice);
  assert.equal((await entry(notice)).state, "quarantined");
  assert.deepEqual(await synced(db, "adm2"), []);
  assert.equal((await same(id, "adm2", db)).phone, "+49 5221 4");
  assert.equal((await entry(notice)).state, "corrected");
  assert.ok(!(await told(db, "rejected_change")).some((doc) => doc.docId === id));
});

scenario("what is refused and not needed is dropped on the device", async (t) => {
  const id = await customer(4);
  const db = device(t);
  await synced(db, "adm2");
  const before = await db.get(id);
  await change(db, "adm2", id, { owner: "adm1" });
  assert.deepEqual(await synced(db, "adm2"), [id]);
  const [notice] = (await told(db, "rejected_change")).filter((doc) => doc.docId === id);
  await db.remove(notice);
  assert.deepEqual(await synced(db, "adm2"), []);
  assert.equal((await entry(notice)).state, "discarded");
  assert.equal((await same(id, "adm2", db)).owner, before.owner);
});

scenario("a contact that arrives before its customer waits for it", async (t) => {
  const db = device(t);
  const now = new Date().toISOString();
  const base = { createdBy: "adm2", modifiedBy: "adm2", createdAt: now, modifiedAt: now, version: 1 };
  const parent = {
    _id: `customer-${crypto.randomUUID()}`,
    type: "customer",
    companyName: "Hof Neu",
    customerType: "direct_marketer",
    billingAddress: { street: "Neuer Weg", streetNumber: "1", zipCode: "32257", city: "Bünde", country: "Deutschland" },
    owner: "adm2",
    ...base,
  };
  const child = {
    _id: `contact-${crypto.randomUUID()}`,
    type: "contact",
    customerId: parent._id,
    firstName: "Nele",
    lastName: "Neu",
    decisionMakingRole: "informational",
    authorityLevel: "low",
    canApproveOrders: false,
    ...base,
  };
  await db.put(child);
  assert.deepEqual(await synced(db, "adm2"), []);
  assert.equal((await ask("GET", `${DATABASE}/${child._id}`)).status, 404);
  assert.equal((await db.get(child._id)).lastName, "Neu");
  await db.put(parent);
  assert.deepEqual(await synced(db, "adm2"), []);
  assert.equal((await ask("GET", `${DATABASE}/${child._id}`)).status, 200);
  await same(child._id, "adm2", db);
});

scenario("the office releases what was refused, and the device gets it", async (t) => {
  const id = await customer(3);
  const db = device(t);
  await synced(db, "adm2");
  await change(db, "adm2", id, { owner: "adm1", notes: "zieht nach Bünde" });
  assert.deepEqual(await synced(db, "adm2"), [id]);
  const [notice] = (await told(db, "rejected_change")).filter((doc) => doc.docId === id);
  const basic = Buffer.from(`innen1:${PASSWORD}`).toString("base64");
  const headers = { authorization: `Basic ${basic}`, "content-type": "application/json" };
  const entry = new URL(address(`/api/v1/quarantine/${notice.quarantineId}`, { name: "", password: "" }));
  entry.username = entry.password = "";
  const shown = await (await fetch(entry, { headers })).json();
  assert.equal(shown.document.notes, "zieht nach Bünde");
  const answer = await fetch(`${entry}/release`, { method: "POST", headers, body: "{}" });
  assert.equal(answer.status, 200, await answer.clone().text());
  const { rev } = await answer.json();
  const { body } = await ask("GET", `${DATABASE}/${id}`);
  assert.deepEqual([body._rev, body.owner, body.modifiedBy], [rev, "adm1", "innen1"]);
  await eventually(async () => {
    await synced(db, "adm2");
    await assert.rejects(db.get(id), { status: 404 });
    assert.ok(!(await told(db, "rejected_change")).some((doc) => doc.docId === id));
  });
});
