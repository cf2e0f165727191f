// A device whose connection breaks and that sends everything again: nothing is there twice, and what follows happens once.
// Runs against a demo server, beside the other files of this folder.

import assert from "node:assert/strict";
import { PouchDB, address, device } from "../tests/support/devices.mjs";
import { scenario } from "../tests/support/scenario.mjs";
import { DATABASE, PASSWORD, change, found, made, remote, same, synced, told } from "./support/people.mjs";

const day = (n) => new Date(Date.now() + n * 86_400_000).toISOString().slice(0, 10);

const customer = (owner, companyName, more = {}) =>
  made("customer", owner, {
    companyName,
    customerType: "direct_marketer",
    billingAddress: { street: "Feldweg", streetNumber: "3", zipCode: "26121", city: "Oldenburg", country: "Deutschland" },
    owner,
    ...more,
  });

/** The server, whose answer to the first push of documents is lost on its way back. */
function losingAnAnswer(name) {
  let lost = 0;
  const db = new PouchDB(address(DATABASE, { name, password: PASSWORD }), {
    skip_setup: true,
    async fetch(url, options = {}) {
      const response = await PouchDB.fetch(url, options);
      if (options.method === "POST" && url.includes("_bulk_docs") && (lost += 1) === 1) {
        await response.text();
        throw new TypeError("the connection broke");
      }
      return response;
    },
  });
  return { db, lost: () => lost };
}

/** Sends everything once more, as a device does that has lost its checkpoints. */
async function sentAgain(db, name) {
  const result = await db.replicate.to(remote(name), { since: 0, checkpoint: false });
  assert.equal(result.doc_write_failures, 0);
}

/** Numbers of a series that begin alike: each is there once, and none is missing between them. */
async function assertGapless(type, field, number) {
  const stem = number.slice(0, number.lastIndexOf("-") + 1);
  const all = (await found({ type })).map((doc) => doc[field]).filter((one) => one?.startsWith(stem));
  const values = all.map((one) => Number(one.slice(stem.length))).sort((a, b) => a - b);
  const from = values[0];
  assert.deepEqual(values, values.map((_, place) => from + place));
}

scenario("a lead is worked out, offered and won while answers are lost and all is sent again: once each", async (t) => {
  const [field, office] = [device(t), device(t)];
  await Promise.all([synced(field, "adm2"), synced(office, "innen1")]);

  // Without a connection. PouchDB sends what was changed last at the end: the opportunity comes before its customer.
  const company = customer("adm2", "Hofkäserei Ammerland");
  const contact = made("contact", "adm2", {
    customerId: company._id,
    firstName: "Imke",
    lastName: "Cordes",
    decisionMakingRole: "informational",
    authorityLevel: "low",
    canApproveOrders: false,
  });
  const opportunity = made("opportunity", "adm2", {
    customerId: company._id,
    contactPersonId: contact._id,
    title: "Theke und Kühlregal",
    owner: "adm2",
    status: "new",
    probability: 25,
    estimatedValue: 8000,
  });
  const lead = made("lead", "adm2", { companyName: company.companyName, owner: "adm2", status: "NEW" });
  await field.put(lead);
  await change(field, "adm2", lead._id, { status: "QUALIFIED" });
  const converted = { convertedCustomerId: company._id, convertedOpportunityId: opportunity._id };
  await change(field, "adm2", lead._id, { status: "CONVERTED", ...converted });
  await field.put(opportunity);
  await change(field, "adm2", opportunity._id, { status: "qualifying", probability: 50 });
  await field.put(contact);
  await field.put(company);

  const breaking = losingAnAnswer("adm2");
  await assert.rejects(field.replicate.to(breaking.db, { batch_size: 2 }));
  assert.equal(breaking.lost(), 1);
  assert.deepEqual(await synced(field, "adm2"), []);
  await sentAgain(field, "adm2");
  assert.deepEqual(await synced(field, "adm2"), []);
  const refused = (await told(field, "rejected_change")).map((doc) => doc.docId);
  assert.ok([lead, company, contact, opportunity].every((doc) => !refused.includes(doc._id)));
  for (const doc of [lead, company, contact, opportunity]) await same(doc._id, "adm2", field);
  const { customerNumber } = await field.get(company._id);
  assert.match(customerNumber, /^K-\d{5}$/);
  const doubles = await found({ type: "customer", companyName: company.companyName });
  assert.deepEqual(doubles.map((doc) => doc._id), [company._id]);
  assert.equal((await found({ type: "opportunity", customerId: company._id })).length, 1);

  // The office, online now and then.
  await synced(office, "innen1");
  const offer = made("offer", "innen1", {
    customerId: company._id,
    opportunityId: opportunity._id,
    status: "draft",
    offerDate: day(0),
    validUntil: day(30),
    taxRate: 0.19,
    lineItems: [{ position: 1, description: "Theke aus Eiche", quantity: 3, unit: "piece", unitPriceEur: 1250.5 }],
  });
  await office.put(offer);
  for (const status of ["draft", "sent", "accepted"]) {
    if (status !== "draft") await change(office, "innen1", offer._id, { status });
    assert.deepEqual(await synced(office, "innen1"), []);
    await sentAgain(office, "innen1");
  }
  const accepted = await same(offer._id, "innen1", office);
  assert.equal(accepted.status, "accepted");
  assert.equal(accepted.totalEur, 4464.29);
  assert.match(accepted.offerNumber, new RegExp(`^A-${day(0).slice(0, 4)}-\\d{5}$`));

  // What follows has happened once, and everybody has it.
  await Promise.all([synced(field, "adm2"), synced(office, "innen1")]);
  const won = await same(opportunity._id, "adm2", field);
  assert.deepEqual([won.status, won.probability, won.actualValue], ["won", 100, 3751.5]);
  const [contract, ...others] = await found({ type: "contract", offerId: offer._id });
  assert.deepEqual(others, []);
  assert.deepEqual([contract.status, contract._id], ["draft", accepted.contractId]);
  assert.equal(contract.customerId, company._id);
  await same(contract._id, "adm2", field);
  await same(contract._id, "innen1", office);
  await assertGapless("customer", "customerNumber", customerNumber);
  await assertGapless("offer", "offerNumber", accepted.offerNumber);
});
