// Days of several people with and without a connection, as plain PouchDBs see them: who meets whom in one document, and
// what becomes of it. Runs against a demo server, with documents of its own.

import assert from "node:assert/strict";
import { device } from "../tests/support/devices.mjs";
import { scenario } from "../tests/support/scenario.mjs";
import { api, made, remote, synced, told } from "./support/people.mjs";

const HOUR = 3_600_000;

/** A device of somebody, with all he may see. */
async function tablet(t, name) {
  const db = device(t);
  await synced(db, name);
  return { name, db, sync: () => synced(db, name) };
}

const at = (ago) => new Date(Date.now() - ago).toISOString();
const day = (ahead) => new Date(Date.now() + ahead * 24 * HOUR).toISOString().slice(0, 10);

/** Writes a new document on a device, as if that were so many hours ago. */
async function create({ db, name }, type, members, hours = 0) {
  const doc = made(type, name, members, hours);
  await db.put(doc);
  return doc._id;
}

async function change({ db, name }, id, changes, hours = 0) {
  const doc = await db.get(id);
  await db.put({ ...doc, ...changes, modifiedBy: name, modifiedAt: at(hours * HOUR), version: doc.version + 1 });
}

/** Notices of a type about a document. */
const notices = async ({ db }, type, id) => (await told(db, type)).filter((doc) => doc.docId === id);

const ADDRESS = { street: "Am Anger", streetNumber: "4", zipCode: "32257", city: "Bünde", country: "Deutschland" };

/** A customer of somebody's who is nowhere else. */
const customer = (person, more = {}, hours = 0) =>
  create(person, "customer", {
    companyName: `Hof ${crypto.randomUUID().slice(0, 8)}`,
    billingAddress: ADDRESS,
    owner: person.name,
    ...more,
  }, hours);

const opportunity = (person, customerId, more = {}, hours = 0) =>
  create(person, "opportunity", { title: "Ladenbau", customerId, status: "new", owner: "adm2", ...more }, hours);

const offer = (person, customerId, opportunityId) =>
  create(person, "offer", {
    customerId,
    opportunityId,
    status: "draft",
    offerDate: day(0),
    validUntil: day(30),
    lineItems: [{ position: 1, description: "Regal", quantity: 2, unitPriceEur: 500 }],
  });

scenario("field sales makes a customer without a connection, the office offers, and the chance is won", async (t) => {
  const [field, office] = [await tablet(t, "adm2"), await tablet(t, "innen1")];
  // What belongs to something comes after it, and PouchDB pushes the latest first.
  const lead = await create(field, "lead", { companyName: "Käserei Nord", status: "NEW", owner: "adm2" }, 5);
  await change(field, lead, { status: "QUALIFIED" }, 4);
  const owner = await customer(field, {}, 3);
  const person = { firstName: "Nele", lastName: "Kruse", decisionMakingRole: "informational", authorityLevel: "low" };
  await create(field, "contact", { customerId: owner, ...person, canApproveOrders: false }, 2);
  const chance = await opportunity(field, owner, {}, 1);
  assert.deepEqual(await field.sync(), []);
  assert.deepEqual(await field.sync(), []);
  await office.sync();
  assert.match((await office.db.get(owner)).customerNumber, /^K-\d{5}$/);
  const offers = [await offer(office, owner, chance), await offer(office, owner, chance)];
  assert.deepEqual(await office.sync(), []);
  for (const id of offers) await change(office, id, { status: "sent" });
  assert.deepEqual(await office.sync(), []);
  const numbers = await Promise.all(offers.map(async (id) => Number((await office.db.get(id)).offerNumber.slice(-5))));
  assert.equal(Math.abs(numbers[0] - numbers[1]), 1, "no number is left out");
  // Meanwhile field sales notes something on the same chance.
  await change(field, chance, { nextStep: "Muster zeigen" });
  await change(office, offers[0], { status: "accepted" });
  assert.deepEqual(await office.sync(), []);
  assert.deepEqual(await field.sync(), []);
  await office.sync();
  const won = await field.db.get(chance);
  assert.deepEqual([won.status, won.probability, won.nextStep], ["won", 100, "Muster zeigen"]);
  assert.deepEqual(await notices(field, "conflict", chance), []);
  const contracts = (await told(office.db, "contract")).filter((doc) => doc.opportunityId === chance);
  assert.deepEqual(contracts.map((doc) => [doc.offerId, doc.status]), [[offers[0], "draft"]]);
  assert.equal((await told(field.db, "customer")).filter((doc) => doc._id === owner).length, 1);
});

scenario("two people move one chance on at once: the illegal edge is refused and everybody's comments stay", async (t) => {
  const [field, office, boss] = [await tablet(t, "adm2"), await tablet(t, "innen1"), await tablet(t, "gf1")];
  const owner = await customer(field);
  const chance = await opportunity(field, owner);
  await field.sync();
  await Promise.all([office.sync(), boss.sync()]);
  await change(field, chance, { status: "qualifying" });
  await create(field, "comment", { parentId: chance, content: "Kunde will mehr Regale" });
  await change(office, chance, { status: "lost", lostReason: "Budget gestrichen" });
  await create(office, "comment", { parentId: chance, content: "Budget ist weg" });
  await create(boss, "comment", { parentId: chance, content: "Bitte anrufen" });
  assert.deepEqual(await office.sync(), []);
  assert.deepEqual(await boss.sync(), []);
  assert.deepEqual(await field.sync(), [chance]);
  await Promise.all([field.sync(), office.sync(), boss.sync()]);
  for (const person of [field, office, boss]) {
    const doc = await person.db.get(chance, { conflicts: true });
    assert.deepEqual([doc.status, doc._conflicts], ["lost", undefined]);
    const comments = (await told(person.db, "comment")).filter((each) => each.parentId === chance);
    assert.deepEqual(comments.map((each) => each.content).sort(), [
      "Bitte anrufen",
      "Budget ist weg",
      "Kunde will mehr Regale",
    ]);
  }
  const [notice] = await notices(field, "rejected_change", chance);
  assert.equal(notice.document.status, "qualifying");
  assert.match(notice.rule, /^status\./);
});

scenario("four hours offline, five changes, one field in common: four go together, one is asked", async (t) => {
  const [field, office] = [await tablet(t, "adm2"), await tablet(t, "innen1")];
  const one = await customer(field, { phone: "+49 5223 1", website: "https://hof.example" }, 9);
  const other = await customer(field, { phone: "+49 5223 1" }, 9);
  const names = { firstName: "Ole", lastName: "Brandt", decisionMakingRole: "informational", authorityLevel: "low" };
  const contact = await create(field, "contact", { customerId: one, ...names, canApproveOrders: false }, 9);
  const chance = await opportunity(field, one, { tags: ["Neukunde"] }, 9);
  const place = { locationName: "Hauptsitz", locationType: "headquarter", isActive: true, deliveryAddress: ADDRESS };
  const location = await create(field, "location", { customerId: one, ...place, notes: "Rampe links" }, 9);
  assert.deepEqual(await field.sync(), []);
  await office.sync();
  // The office, while field sales is away.
  await change(office, one, { website: "https://hofladen.example" }, 3);
  await change(office, contact, { department: "Einkauf" }, 3);
  await change(office, chance, { tags: ["Neukunde", "Messe"] }, 3);
  await change(office, location, { notes: "Rampe links\nSchlüssel im Büro" }, 3);
  await change(office, other, { phone: "+49 5223 2" }, 3);
  assert.deepEqual(await office.sync(), []);
  // Field sales, within four hours.
  await change(field, one, { phone: "+49 5223 9" }, 4);
  await change(field, contact, { mobile: "+49 171 3920001" }, 2);
  await change(field, chance, { tags: ["Neukunde", "Eilig"] }, 2);
  await change(field, location, { notes: "Rampe links\nHund im Hof" }, 1);
  await change(field, other, { phone: "+49 5223 3" }, 1);
  assert.deepEqual(await field.sync(), []);
  await office.sync();
  for (const { db } of [field, office]) {
    const merged = await db.get(one);
    assert.deepEqual([merged.phone, merged.website], ["+49 5223 9", "https://hofladen.example"]);
    const somebody = await db.get(contact);
    assert.deepEqual([somebody.mobile, somebody.department], ["+49 171 3920001", "Einkauf"]);
    assert.deepEqual((await db.get(chance)).tags, ["Neukunde", "Eilig", "Messe"]);
    assert.equal((await db.get(location)).notes, "Rampe links\nSchlüssel im Büro\nHund im Hof");
    assert.equal((await db.get(other)).phone, "+49 5223 2");
  }
  for (const id of [one, contact, chance, location]) assert.deepEqual(await notices(field, "conflict", id), []);
  const [conflict] = await notices(field, "conflict", other);
  const [asked] = conflict.fields;
  assert.deepEqual(conflict.fields.length, 1);
  assert.deepEqual(
    [asked.path, asked.label, asked.base, asked.local, asked.server, asked.recommendation],
    ["phone", "Telefon", "+49 5223 1", "+49 5223 3", "+49 5223 2", "mine"],
  );
  assert.deepEqual([conflict.localUser, conflict.serverUser, conflict.escalated], ["adm2", "innen1", false]);
  const shown = await api("adm2", `conflicts?entityId=${other}`);
  assert.deepEqual(shown.body.conflicts.map((each) => each.id), [conflict.id]);
  const answer = await api("adm2", `conflicts/${conflict.id}/resolve`, {
    method: "POST",
    body: { strategy: "manual", fields: { phone: "mine" } },
  });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  await Promise.all([field.sync(), office.sync()]);
  assert.equal((await office.db.get(other)).phone, "+49 5223 3");
  assert.deepEqual(await notices(field, "conflict", other), []);
  const history = await api("adm2", `conflicts?entityId=${other}&state=resolved`);
  assert.deepEqual(history.body.conflicts.map((each) => [each.resolvedBy, each.choices]), [["adm2", { phone: "mine" }]]);
});

scenario("an offer is sent while somebody edits its draft offline: refused, entered in the chain, and his text stays", async (t) => {
  const [away, office] = [await tablet(t, "innen1"), await tablet(t, "gf1")];
  const owner = await customer(away, { owner: "adm2" });
  const chance = await opportunity(away, owner);
  const id = await offer(away, owner, chance);
  assert.deepEqual(await away.sync(), []);
  await away.sync();
  await office.sync();
  const lineItems = [{ position: 1, description: "Regal", quantity: 3, unitPriceEur: 450 }];
  await change(away, id, { lineItems, terms: "ab Werk" });
  await change(office, id, { status: "sent" });
  assert.deepEqual(await office.sync(), []);
  assert.deepEqual(await away.sync(), [id]);
  await away.sync();
  const here = await away.db.get(id, { conflicts: true });
  assert.deepEqual([here.status, here.lineItems[0].quantity, here._conflicts], ["sent", 2, undefined]);
  assert.deepEqual(await notices(away, "conflict", id), []);
  const [notice] = await notices(away, "rejected_change", id);
  assert.deepEqual([notice.document.terms, notice.document.lineItems], ["ab Werk", lineItems]);
  assert.match(notice.rule, /^frozen\./);
  assert.ok(notice.grund);
  const { body } = await api("gf1", `audit?document=${id}`);
  assert.ok(body.entries.some((entry) => JSON.stringify(entry).includes(notice.rule)), JSON.stringify(body.entries[0]));
});

const gone = ({ db }, id) => assert.rejects(db.get(id), (error) => error.status === 404, `${id} is there still`);

scenario("one deletes what another edits offline: he who comes second is asked, and it comes back or stays away", async (t) => {
  const [field, office] = [await tablet(t, "adm2"), await tablet(t, "innen1")];
  const owner = await customer(field);
  const person = { lastName: "Kruse", decisionMakingRole: "informational", authorityLevel: "low", canApproveOrders: false };
  const contacts = [];
  for (const firstName of ["Nele", "Ole", "Pia"]) {
    contacts.push(await create(field, "contact", { customerId: owner, firstName, ...person }));
  }
  const [restored, kept, edited] = contacts;
  assert.deepEqual(await field.sync(), []);
  await office.sync();
  // Deleted at the office, edited in the field.
  for (const id of [restored, kept]) {
    await office.db.remove(await office.db.get(id));
    await change(field, id, { mobile: "+49 171 3920002" });
  }
  // Deleted at the office too, but it comes second.
  await change(field, edited, { mobile: "+49 171 3920003" });
  assert.deepEqual(await field.db.replicate.to(remote("adm2"), { doc_ids: [edited] }).then((done) => done.docs_written), 1);
  await office.db.remove(await office.db.get(edited));
  assert.deepEqual(await office.sync(), []);
  assert.deepEqual(await field.sync(), [], "nothing of it is denied");
  for (const id of [restored, kept]) {
    await gone(field, id);
    assert.deepEqual(await notices(office, "conflict", id), []);
    assert.deepEqual(await notices(field, "rejected_change", id), []);
  }
  const [asked] = await notices(field, "conflict", restored);
  assert.deepEqual([asked.serverDeleted, asked.deleted, asked.serverUser], [true, false, "innen1"]);
  assert.deepEqual(asked.fields.map((one) => [one.path, one.type, one.base.firstName]), [["", "deleted", "Nele"]]);
  assert.equal(asked.localDocument.mobile, "+49 171 3920002");
  const [other] = await notices(field, "conflict", kept);
  const settle = (name, { id }, strategy) => api(name, `conflicts/${id}/resolve`, { method: "POST", body: { strategy } });
  const answers = [await settle("adm2", asked, "local"), await settle("adm2", other, "server")];
  assert.deepEqual(answers.map((answer) => answer.status), [200, 200], JSON.stringify(answers));
  for (const one of [field, office]) {
    await one.sync();
    const doc = await one.db.get(restored, { conflicts: true });
    assert.deepEqual([doc.firstName, doc.mobile, doc._conflicts], ["Nele", "+49 171 3920002", undefined]);
    await gone(one, kept);
  }
  // Whoever deletes what others have changed is asked as well, and the document stays.
  for (const one of [field, office]) assert.equal((await one.db.get(edited)).mobile, "+49 171 3920003");
  const [deletion] = await notices(office, "conflict", edited);
  assert.deepEqual([deletion.deleted, deletion.serverDeleted], [true, false]);
  assert.equal((await settle("innen1", deletion, "local")).status, 200);
  for (const one of [field, office]) {
    await one.sync();
    await gone(one, edited);
    for (const id of contacts) assert.deepEqual(await notices(one, "conflict", id), []);
  }
  // It is edited again as if nothing had been.
  await change(field, restored, { mobile: "+49 171 3920004" });
  assert.deepEqual(await field.sync(), []);
  await office.sync();
  assert.equal((await office.db.get(restored)).mobile, "+49 171 3920004");
});
