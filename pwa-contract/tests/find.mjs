// Mango through pouchdb-find: the server answers what a PouchDB on the device answers.

import assert from "node:assert/strict";
import { device, remote } from "./support/devices.mjs";
import { Random } from "./support/random.mjs";
import { scenario } from "./support/scenario.mjs";

const KINDS = ["Hofladen", "Bäckerei", "Metzgerei", "Kiosk"];

function customers() {
  const random = new Random(77);
  return Array.from({ length: 150 }, (_, number) => ({
    _id: `customer:${String(number).padStart(3, "0")}`,
    kind: random.pick(KINDS),
    number, // unique: an order by it has no ties
    revenue: random.integer(0, 50) * 100,
    active: random.number() < 0.5,
    address: { city: random.pick(["Ulm", "Köln", "Aßlar", "Öhringen"]), zip: String(random.integer(10000, 99999)) },
    tags: random.shuffled(["bio", "neu", "stamm", "saison"]).slice(0, random.integer(0, 4)),
    contacts: Array.from({ length: random.integer(0, 3) }, () => ({
      name: random.pick(["Anna", "Bert", "Cem"]),
      age: random.integer(18, 80),
    })),
    ...(random.number() < 0.3 ? { note: random.pick(["ruft an", "Rückruf", "kein Interesse"]) } : {}),
  }));
}

const INDEXES = [
  ["number"],
  ["kind", "number"],
  ["revenue", "number"],
  ["address.city", "number"],
];

/** Queries in their order: the answers must be the same lists. */
const SORTED = [
  { selector: { number: { $gte: 0 } }, sort: ["number"], limit: 10 },
  { selector: { number: { $gte: 0 } }, sort: [{ number: "desc" }], limit: 7, skip: 5 },
  { selector: { number: { $gt: 20, $lte: 40 } }, sort: ["number"], limit: 1000 },
  { selector: { kind: "Hofladen", number: { $gte: 0 } }, sort: ["kind", "number"], limit: 1000 },
  {
    selector: { kind: { $gte: "B" }, number: { $exists: true } },
    sort: [{ kind: "desc" }, { number: "desc" }],
    limit: 40,
  },
  { selector: { revenue: { $gte: 2000 }, number: { $gt: -1 } }, sort: ["revenue", "number"], limit: 30 },
  { selector: { "address.city": "Öhringen", number: { $gt: -1 } }, sort: ["address.city", "number"], limit: 99 },
  { selector: { number: { $lt: 30 } }, sort: ["number"], fields: ["_id", "address.city", "tags"], limit: 99 },
  { selector: { _id: { $gte: "customer:1" } }, sort: ["_id"], limit: 12 },
  { selector: { _id: { $lt: "customer:020" } }, sort: [{ _id: "desc" }], fields: ["_id", "kind"], limit: 99 },
  { selector: { number: { $gte: 0 }, active: true }, sort: ["number"], limit: 5, skip: 10 },
];

/** Queries without an order: the answers must hold the same documents. */
const SELECTORS = [
  {},
  { kind: "Kiosk" },
  { $or: [{ kind: "Kiosk" }, { revenue: { $gt: 4000 } }] },
  { $or: [{ number: 3 }, { "address.city": "Ulm", active: false }] },
  { $and: [{ active: true }, { $or: [{ kind: "Bäckerei" }, { tags: { $all: ["bio"] } }] }] },
  { $nor: [{ kind: "Kiosk" }, { active: true }] },
  { $not: { kind: "Kiosk" } },
  { contacts: { $elemMatch: { name: "Cem", age: { $gt: 40 } } } },
  { tags: { $elemMatch: { $eq: "bio" } } },
  { tags: { $all: ["bio", "neu"] } },
  { tags: { $size: 2 } },
  { tags: { $in: ["saison"] } },
  { contacts: { $allMatch: { age: { $gte: 30 } } } },
  { kind: { $in: ["Kiosk", "Metzgerei"] } },
  { kind: { $nin: ["Kiosk", "Metzgerei"] } },
  { kind: { $ne: "Kiosk" } },
  { kind: { $regex: "^(Hof|Bä).*i?$" } },
  { "address.zip": { $regex: "[0-4]$" } },
  { note: { $exists: true } },
  { note: { $exists: false }, active: true },
  { note: { $regex: "R.ckruf" } },
  { revenue: { $mod: [700, 0] } },
  { number: { $type: "number" }, note: { $type: "string" } },
  { address: { city: "Köln" }, active: true },
  { "address.city": { $gt: "B", $lt: "L" } }, // beyond ASCII the server orders by ICU, PouchDB by code units
  { revenue: { $gte: 1000, $lte: 2000 }, kind: "Hofladen" },
  { number: { $eq: 42 } },
  { nothing: { $gt: null } },
];

async function bothFilled(t) {
  const both = [remote(t), device(t)];
  for (const db of both) {
    await db.bulkDocs(customers());
    for (const fields of INDEXES) {
      await db.createIndex({ index: { fields } });
    }
  }
  return both;
}

const withoutRev = ({ _rev, ...doc }) => doc;

scenario("sorted, limited and projected queries give the same lists as on the device", async (t) => {
  const [server, local] = await bothFilled(t);
  for (const query of SORTED) {
    const there = (await server.find(query)).docs.map(withoutRev);
    const here = (await local.find(query)).docs.map(withoutRev);
    assert.ok(there.length > 0, JSON.stringify(query));
    assert.deepEqual(there, here, JSON.stringify(query));
  }
});

scenario("every operator selects the same documents as on the device", async (t) => {
  const [server, local] = await bothFilled(t);
  const ids = async (db, selector) => (await db.find({ selector, limit: 1000 })).docs.map(({ _id }) => _id).sort();
  for (const selector of SELECTORS) {
    assert.deepEqual(await ids(server, selector), await ids(local, selector), JSON.stringify(selector));
  }
});

scenario("indexes are created once, listed and deleted", async (t) => {
  const server = remote(t);
  const index = { fields: ["kind"], name: "by-kind", ddoc: "indexes" };
  assert.equal((await server.createIndex({ index })).result, "created");
  assert.equal((await server.createIndex({ index })).result, "exists");
  const { indexes } = await server.getIndexes();
  assert.deepEqual(indexes.map(({ ddoc, name, type }) => [ddoc, name, type]), [
    [null, "_all_docs", "special"],
    ["_design/indexes", "by-kind", "json"],
  ]);
  assert.deepEqual(indexes[1].def, { fields: [{ kind: "asc" }] });
  await server.deleteIndex(indexes[1]);
  assert.equal((await server.getIndexes()).indexes.length, 1);
});

scenario("explain names the index that a query uses", async (t) => {
  const [server] = await bothFilled(t);
  const used = async (query) => (await server.explain(query)).index;
  const byNumber = await used({ selector: { number: { $gt: 5 } }, sort: ["number"] });
  assert.equal(byNumber.type, "json");
  assert.deepEqual(byNumber.def.fields, [{ number: "asc" }]);
  assert.equal((await used({ selector: { note: "x" } })).type, "special");
  const plan = await server.explain({ selector: { number: 7 }, limit: 3, skip: 1, fields: ["_id"] });
  assert.deepEqual([plan.limit, plan.skip, plan.fields], [3, 1, ["_id"]]);
});

scenario("a sort without an index is refused with what to do", async (t) => {
  const server = remote(t);
  await server.put({ _id: "a", note: 1 });
  await assert.rejects(server.find({ selector: { note: { $gt: 0 } }, sort: ["note"] }), {
    status: 400,
    error: "no_usable_index",
    reason: /index/i,
  });
});

scenario("a query without an index says so and is answered", async (t) => {
  const server = remote(t);
  await server.bulkDocs(customers());
  const { docs, warning } = await server.find({ selector: { note: "ruft an" } });
  assert.ok(docs.length > 0);
  assert.match(warning, /index/);
});

scenario("bookmarks lead through all pages of a query", async (t) => {
  const [server] = await bothFilled(t);
  const seen = [];
  let bookmark;
  for (;;) {
    const page = await server.find({ selector: { number: { $gte: 0 } }, sort: ["number"], limit: 40, bookmark });
    if (page.docs.length === 0) {
      break;
    }
    seen.push(...page.docs.map(({ number }) => number));
    bookmark = page.bookmark;
  }
  assert.deepEqual(seen, Array.from({ length: 150 }, (_, number) => number));
});

scenario("an index made on a device is pushed and used on the server", async (t) => {
  const server = remote(t);
  const local = device(t);
  await local.bulkDocs(customers());
  await local.createIndex({ index: { fields: ["kind", "number"], name: "by-kind", ddoc: "from-device" } });
  const { docs_written } = await local.replicate.to(server);
  assert.equal(docs_written, 151);

  const query = { selector: { kind: "Kiosk", number: { $gt: 10 } }, sort: ["kind", "number"], limit: 1000 };
  assert.equal((await server.explain(query)).index.ddoc, "_design/from-device");
  const there = (await server.find(query)).docs;
  assert.ok(there.length > 0);
  assert.deepEqual(there, (await local.find(query)).docs);

  const other = device(t);
  await other.replicate.from(server);
  assert.deepEqual((await other.find(query)).docs, there);
});

scenario("an index follows edits and deletions", async (t) => {
  const server = remote(t);
  await server.createIndex({ index: { fields: ["n"] } });
  const numbers = async () => (await server.find({ selector: { n: { $gt: 0 } }, sort: ["n"] })).docs.map(({ n }) => n);
  await server.bulkDocs([{ _id: "a", n: 1 }, { _id: "b", n: 2 }]);
  assert.deepEqual(await numbers(), [1, 2]);
  await server.put({ ...(await server.get("a")), n: 3 });
  assert.deepEqual(await numbers(), [2, 3]);
  await server.remove(await server.get("b"));
  assert.deepEqual(await numbers(), [3]);
});
