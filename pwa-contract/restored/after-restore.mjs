// Devices whose server comes back from a backup: what it lost they bring back. The runner makes the backup and
// restores it when it is asked to, by files (tests/contract/test_restored.py).

import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ask, device } from "../tests/support/devices.mjs";
import { scenario } from "../tests/support/scenario.mjs";
import { eventually, live, stop } from "../tests/support/waiting.mjs";
import { api, change, customerOf, found, made, pulled, remote, same, synced } from "../personal/support/people.mjs";

/** Has the runner do something, and waits for it. */
async function done(what) {
  const place = join(process.env.TMPDIR, what);
  writeFileSync(`${place}.wanted`, "");
  await eventually(() => assert.ok(existsSync(`${place}.done`)), 90);
}

const photo = { "photo.png": { content_type: "image/png", data: Buffer.from("Visitenkarte").toString("base64") } };

const contactOf = (customerId, name, members = {}) =>
  made("contact", name, {
    customerId,
    firstName: "Wika",
    lastName: "Qvarn",
    email: "wika.qvarn@example.com",
    decisionMakingRole: "informational",
    authorityLevel: "low",
    canApproveOrders: false,
    ...members,
  });

/** A new customer of the office's, which the server gives a number. */
const customerLike = (doc, members) => {
  const kept = Object.entries(doc).filter(([key]) => !key.startsWith("_") && !/Ids?$/.test(key));
  const { customerNumber, vatNumber, email, phone, website, ...rest } = Object.fromEntries(kept);
  const { _id, createdAt, modifiedAt, createdBy, modifiedBy, version } = made("customer", "innen1", {});
  return { ...rest, _id, createdAt, modifiedAt, createdBy, modifiedBy, version, ...members };
};

const numberOf = async (id) => (await found({ _id: id }))[0]?.customerNumber;

async function settledEverywhere(devices) {
  for (let round = 0; round < 2; round += 1) {
    for (const [name, db] of devices) await synced(db, name);
  }
}

scenario("devices that are ahead of a restored server bring back what it lost", async (t) => {
  const field = device(t);
  const office = device(t);
  const edited = await customerOf("adm1", 0);
  const deleted = contactOf(edited, "adm1", { lastName: "Gelöscht" });
  await synced(field, "adm1");
  await field.put(deleted);
  await synced(field, "adm1");
  await synced(office, "innen1");
  // One session that goes on through the backup: its checkpoint is in it, and further on the device.
  const pushing = live(t, field.replicate.to(remote("adm1"), { live: true, batch_size: 5 }));
  await change(field, "adm1", edited, { notes: "vor der Sicherung" });
  await eventually(async () => assert.equal((await found({ _id: edited }))[0].notes, "vor der Sicherung"));
  await sleep(500); // and now the checkpoint
  await done("backup");

  await change(field, "adm1", edited, { notes: "nach der Sicherung" });
  const contact = contactOf(edited, "adm1", { _attachments: photo });
  await field.put(contact);
  await office.remove(await office.get(deleted._id));
  // Somebody's device that is lost with the server; another one has pulled what it sent.
  const gone = device(t);
  const foreign = contactOf(await customerOf("adm2", 0), "adm2", { lastName: "Verschollen" });
  await gone.put(foreign);
  assert.deepEqual(await synced(gone, "adm2"), []);
  // A customer goes to somebody else, and leaves adm1's device.
  const given = await customerOf("adm1", 1);
  const [held] = await found({ _id: given });
  assert.equal((await ask("PUT", `/kompass/${given}`, { ...held, owner: "adm2" })).status, 201);
  const customer = customerLike(await office.get(edited), { companyName: "Hofladen Wiederkehr" });
  await office.put(customer);
  await eventually(async () => assert.equal((await found({ _id: contact._id })).length, 1));
  await stop(pushing);
  await pulled(field, "adm1");
  await synced(office, "innen1");
  await pulled(field, "adm1");
  assert.equal((await found({ _id: deleted._id })).length, 0);
  const number = (await office.get(customer._id)).customerNumber;
  assert.ok(number, "the server has given a number");
  assert.equal((await office.get(contact._id)).lastName, "Qvarn", "the other device has what was lost");

  await assert.rejects(field.get(given), { status: 404 });

  await done("restore");
  assert.equal((await found({ _id: edited }))[0].notes, "vor der Sicherung");
  assert.deepEqual(await found({ _id: customer._id }), []);
  await settledEverywhere([
    ["adm1", field],
    ["innen1", office],
  ]);

  assert.equal((await same(edited, "adm1", field)).notes, "nach der Sicherung");
  assert.equal((await same(given, "adm1", field)).owner, "adm1");
  const there = await same(contact._id, "innen1", office);
  assert.equal(there.lastName, "Qvarn");
  const bytes = await remote("adm1").getAttachment(contact._id, "photo.png");
  assert.equal(bytes.toString(), "Visitenkarte");
  await assert.rejects(remote("adm1").get(deleted._id), { status: 404 });
  await assert.rejects(office.get(deleted._id), { status: 404 });
  assert.equal((await same(customer._id, "innen1", office)).customerNumber, number);
  // What another has written isn't his to send: it is kept for the office, which writes it.
  assert.deepEqual(await found({ _id: foreign._id }), []);
  const { body } = await api("gf1", "quarantine?limit=200");
  const [entry] = body.entries.filter((one) => one.docId === foreign._id);
  const released = await api("gf1", `quarantine/${entry.id}/release`, { method: "POST", body: {} });
  assert.equal(released.status, 200, JSON.stringify(released.body));
  await settledEverywhere([["innen1", office]]);
  assert.equal((await office.get(foreign._id)).lastName, "Verschollen");
  const next = customerLike(await office.get(edited), { companyName: "Hofladen Danach" });
  await office.put(next);
  await synced(office, "innen1");
  assert.notEqual(await numberOf(next._id), number);
  assert.equal(await numberOf(customer._id), number);
});
