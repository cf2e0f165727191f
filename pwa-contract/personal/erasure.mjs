// What becomes of an erased person on devices: plain PouchDBs that hold him, and one that was away meanwhile. Runs against
// a demo server, beside the other files: each scenario takes another customer and somebody else's name.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { device } from "../tests/support/devices.mjs";
import { scenario } from "../tests/support/scenario.mjs";
import { api, change, customerOf, made, synced, told } from "./support/people.mjs";

/** Somebody, whom nobody else is called like. */
function person(n) {
  const last = `Qvarnblom${"abcdef"[n]}`;
  const mail = `zyx${n}@qvarnblom.example`;
  const phone = `+49 170 998877${n}`;
  return { last, mail, phone, marks: [last, mail, `998877${n}`, `998 87 7${n}`] };
}

const photo = (text) => ({ "photo.txt": { content_type: "text/plain", data: Buffer.from(text).toString("base64") } });

/** A contact of a customer with a call, and a customer whose notes name him: made on one device of adm1. */
async function brought(db, customerId, { last, mail, phone }) {
  const contact = made("contact", "adm1", {
    customerId,
    firstName: "Zyxwika",
    lastName: last,
    email: mail,
    phone,
    decisionMakingRole: "informational",
    authorityLevel: "low",
    canApproveOrders: false,
    _attachments: photo(`Visitenkarte ${last}`),
  });
  const call = made("activity", "adm1", {
    customerId,
    contactId: contact._id,
    activityType: "call",
    date: contact.createdAt,
    subject: `Anruf bei Frau ${last}`,
    description: `unter ${mail.toUpperCase()}`,
    voiceTranscript: `${last} am Apparat`,
    _attachments: photo(`Aufnahme ${last}`),
  });
  await db.bulkDocs([contact, call]);
  await change(db, "adm1", customerId, { notes: `Ansprechpartnerin: Zyxwika ${last}` });
  assert.deepEqual(await synced(db, "adm1"), []);
  return { contact: contact._id, call: call._id };
}

async function erased(contact) {
  const done = await api("gf1", `privacy/subjects/${contact}/erasure`, {
    method: "POST",
    body: { reason: "Antrag nach Art. 17 DSGVO" },
  });
  assert.equal(done.status, 200, JSON.stringify(done.body));
  assert.equal(done.body.filesClean, true);
  return done.body.ticket;
}

/** All that a PouchDB can be asked for: every stored revision of every document, with attachments. */
async function everything(db) {
  const texts = [];
  for (const { id } of (await db.allDocs()).rows.concat((await db.changes()).results)) {
    for (const { ok } of await db.get(id, { open_revs: "all", revs: true, attachments: true })) {
      if (!ok) continue;
      texts.push(JSON.stringify(ok), ...attachments(ok));
      for (const [place, hash] of ok._revisions.ids.entries()) {
        const rev = `${ok._revisions.start - place}-${hash}`;
        const one = await db.get(id, { rev, attachments: true }).catch((error) => assert.equal(error.status, 404));
        if (one) texts.push(JSON.stringify(one), ...attachments(one));
      }
    }
  }
  return texts.join("\n");
}

const attachments = (doc) =>
  Object.values(doc._attachments ?? {}).map((one) => Buffer.from(one.data ?? "", "base64").toString());

const left = (text, { marks }) => marks.filter((mark) => text.toLowerCase().includes(mark.toLowerCase()));

/** What the office and the author find in quarantine. */
async function quarantined() {
  const lists = await Promise.all(
    ["innen1", "gf1", "adm1"].map((name) => api(name, "quarantine?limit=200")),
  );
  return JSON.stringify(lists.map((list) => list.body));
}

scenario("a device that holds an erased person has nothing of him after its next sync", async (t) => {
  const who = person(0);
  const [author, other] = [device(t, { auto_compaction: true }), device(t, { auto_compaction: true })];
  await synced(author, "adm1");
  const { contact, call } = await brought(author, await customerOf("adm1", 5), who);
  await synced(other, "gf1");
  for (const db of [author, other]) assert.notDeepEqual(left(await everything(db), who), []);

  const ticket = await erased(contact);
  for (const [db, name] of [
    [author, "adm1"],
    [other, "gf1"],
  ]) {
    assert.deepEqual(await synced(db, name), []);
    assert.deepEqual(left(await everything(db), who), []);
    const [own, about] = [await db.get(contact), await db.get(call)];
    assert.deepEqual([own.anonymized, own.email, own._attachments], [true, undefined, undefined]);
    assert.match(about.subject, /^Anruf bei Frau Gelöschter Kontakt #\d+$/);
    assert.equal(about._attachments, undefined);
  }
  // It is told which documents, and from which revision on they are clean; then it says that it is done.
  const mine = (await api("adm1", "privacy/tickets")).body.tickets.find((one) => one.ticket === ticket);
  const named = new Map(mine.documents.map((one) => [one.id, one.cleanFrom]));
  assert.equal(named.get(contact), (await author.get(contact))._rev);
});

scenario("a device on disk without compaction has nothing of him once it compacts", async (t) => {
  const who = person(1);
  const db = device(t, { adapter: "leveldb" });
  await synced(db, "adm1");
  const { contact } = await brought(db, await customerOf("adm1", 6), who);
  await erased(contact);
  assert.deepEqual(await synced(db, "adm1"), []);
  await db.compact();
  assert.deepEqual(left(await everything(db), who), []);
});

scenario("a device that was away brings nothing back", async (t) => {
  const who = person(2);
  const [author, away] = [device(t, { auto_compaction: true }), device(t, { auto_compaction: true })];
  const customerId = await customerOf("adm1", 7);
  await synced(author, "adm1");
  const { contact, call } = await brought(author, customerId, who);
  await synced(away, "adm1");
  // Away: it changes him, what names him, and what mentions him, and makes something new of a document of his.
  await change(away, "adm1", contact, { position: "Leiterin" });
  await change(away, "adm1", call, { nextStep: `${who.last} zurückrufen` });
  await change(away, "adm1", customerId, { website: "https://laden.example" });
  await erased(contact);

  const denied = await synced(away, "adm1");
  assert.deepEqual(new Set(denied), new Set([contact, call, customerId]));
  await synced(away, "adm1");
  await away.compact();
  assert.deepEqual(left(await everything(away), who), []);
  // Nobody else gets it, and nobody finds it in quarantine or among what was told.
  await synced(author, "adm1");
  const office = device(t);
  await synced(office, "gf1");
  for (const db of [author, office]) assert.deepEqual(left(await everything(db), who), []);
  assert.deepEqual(left(await quarantined(), who), []);
  const notices = (await told(away, "rejected_change")).filter((one) => one.docId === contact);
  assert.equal(notices.length, 1);
  assert.match(notices[0].grund, /gelöscht/);
  // What is still needed is entered again, on what is there now.
  await change(away, "adm1", customerId, { website: "https://laden.example" });
  assert.deepEqual(await synced(away, "adm1"), []);
  assert.deepEqual(left(await everything(author), who), []);
});

scenario("the server's files have nothing of anybody who was erased and sent again", async (t) => {
  const who = person(3);
  const away = device(t);
  await synced(away, "adm1");
  const { contact } = await brought(away, await customerOf("adm1", 8), who);
  await change(away, "adm1", contact, { position: "Leiterin" });
  await erased(contact);
  assert.deepEqual(await synced(away, "adm1"), [contact]);
  const directory = process.env.KOMPASS_TEST_DATA;
  if (!directory) return;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    assert.deepEqual(left((await readFile(file)).toString("latin1"), who), [], file);
  }
});
