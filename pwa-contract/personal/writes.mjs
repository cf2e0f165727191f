// What becomes of the work of plain PouchDBs: put together, in conflict, refused, waiting. Runs against a demo server,
// beside feed.mjs: each scenario takes another customer.

import assert from "node:assert/strict";
import { ask, device } from "../tests/support/devices.mjs";
import { scenario } from "../tests/support/scenario.mjs";
import { eventually } from "../tests/support/waiting.mjs";
import { DATABASE, api, change, customerOf, made, same, synced, told } from "./support/people.mjs";

const customer = (n) => customerOf("adm2", n);

/** What the server keeps of what was refused, as its author sees it. */
const entry = async (notice) => (await api("adm2", `quarantine/${notice.quarantineId}`)).body;

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
  const parent = made("customer", "adm2", {
    companyName: "Hof Neu",
    customerType: "direct_marketer",
    billingAddress: { street: "Neuer Weg", streetNumber: "1", zipCode: "32257", city: "Bünde", country: "Deutschland" },
    owner: "adm2",
  });
  const child = made("contact", "adm2", {
    customerId: parent._id,
    firstName: "Nele",
    lastName: "Neu",
    decisionMakingRole: "informational",
    authorityLevel: "low",
    canApproveOrders: false,
  });
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
  const entry = `quarantine/${notice.quarantineId}`;
  const { body: shown } = await api("innen1", entry);
  assert.equal(shown.document.notes, "zieht nach Bünde");
  const released = await api("innen1", `${entry}/release`, { method: "POST", body: {} });
  assert.equal(released.status, 200, JSON.stringify(released.body));
  const { rev } = released.body;
  const { body } = await ask("GET", `${DATABASE}/${id}`);
  assert.deepEqual([body._rev, body.owner, body.modifiedBy], [rev, "adm1", "innen1"]);
  await eventually(async () => {
    await synced(db, "adm2");
    await assert.rejects(db.get(id), { status: 404 });
    assert.ok(!(await told(db, "rejected_change")).some((doc) => doc.docId === id));
  });
});
