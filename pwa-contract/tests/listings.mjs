// allDocs over http: ranges, pages, keys, and what rows may carry.

import assert from "node:assert/strict";
import { remote } from "./support/devices.mjs";
import { scenario } from "./support/scenario.mjs";

const COUNT = 95;
const IDS = Array.from({ length: COUNT }, (_, number) => `doc-${String(number).padStart(3, "0")}`);
const idsOf = ({ rows }) => rows.map(({ id }) => id);

async function filled(t) {
  const db = remote(t);
  await db.bulkDocs(IDS.map((_id, number) => ({ _id, number })));
  return db;
}

scenario("all rows have id, key and revision, and the listing its totals", async (t) => {
  const db = await filled(t);
  const all = await db.allDocs();
  assert.deepEqual(idsOf(all), IDS);
  assert.deepEqual([all.total_rows, all.offset], [COUNT, 0]);
  assert.equal(all.rows[0].key, all.rows[0].id);
  assert.match(all.rows[0].value.rev, /^1-/);
});

scenario("pages by startkey and skip meet every document once", async (t) => {
  const db = await filled(t);
  const seen = [];
  const options = { limit: 10, include_docs: true };
  for (;;) {
    const { rows } = await db.allDocs(options);
    if (rows.length === 0) {
      break;
    }
    seen.push(...rows.map(({ doc }) => doc.number));
    Object.assign(options, { startkey: rows.at(-1).id, skip: 1 });
  }
  assert.deepEqual(seen, IDS.map((_, number) => number));
});

scenario("ranges include their ends unless told otherwise, in both directions", async (t) => {
  const db = await filled(t);
  const [low, high] = ["doc-010", "doc-013"];
  assert.deepEqual(idsOf(await db.allDocs({ startkey: low, endkey: high })), IDS.slice(10, 14));
  assert.deepEqual(idsOf(await db.allDocs({ startkey: low, endkey: high, inclusive_end: false })), IDS.slice(10, 13));
  const backwards = { startkey: high, endkey: low, descending: true };
  assert.deepEqual(idsOf(await db.allDocs(backwards)), IDS.slice(10, 14).reverse());
  assert.deepEqual(idsOf(await db.allDocs({ startkey: "doc-09", endkey: "doc-09\uffff" })), IDS.slice(90));
  assert.deepEqual(idsOf(await db.allDocs({ skip: 90, limit: 3 })), IDS.slice(90, 93));
  assert.deepEqual(idsOf(await db.allDocs({ limit: 0 })), []);
});

scenario("keys come in the order asked for, unknown and deleted ones too", async (t) => {
  const db = await filled(t);
  const { rev } = await db.remove(await db.get("doc-002"));
  const { rows } = await db.allDocs({ keys: ["doc-003", "nothing", "doc-002", "doc-001", "doc-003"], include_docs: true });
  assert.deepEqual(rows.map(({ key }) => key), ["doc-003", "nothing", "doc-002", "doc-001", "doc-003"]);
  assert.equal(rows[0].doc.number, 3);
  assert.equal(rows[1].error, "not_found");
  assert.deepEqual(rows[2].value, { rev, deleted: true });
  assert.equal(rows[2].doc, null);
  assert.equal(rows[4].doc.number, 3);
  assert.deepEqual((await db.allDocs({ keys: [] })).rows, []);
  const many = IDS.concat(IDS).reverse();
  assert.equal((await db.allDocs({ keys: many })).rows.length, 2 * COUNT);
});

scenario("a single key is a page of one or none", async (t) => {
  const db = await filled(t);
  assert.deepEqual(idsOf(await db.allDocs({ key: "doc-050" })), ["doc-050"]);
  assert.deepEqual(idsOf(await db.allDocs({ key: "nothing" })), []);
});

scenario("documents come with conflicts and attachments", async (t) => {
  const db = remote(t);
  const attached = { "a.txt": { content_type: "text/plain", data: "aGFsbG8=" } };
  const docs = [
    { _id: "doc", _rev: "1-a" },
    { _id: "doc", _rev: "1-b", _attachments: attached },
  ];
  await db.bulkDocs(docs, { new_edits: false });
  const { rows: [row] } = await db.allDocs({ include_docs: true, conflicts: true, attachments: true });
  assert.deepEqual(row.doc._conflicts, ["1-a"]);
  assert.equal(row.doc._attachments["a.txt"].data, "aGFsbG8=");
  const { rows: [plain] } = await db.allDocs({ include_docs: true });
  assert.equal(plain.doc._attachments["a.txt"].stub, true);
  const { rows: [binary] } = await db.allDocs({ include_docs: true, attachments: true, binary: true });
  assert.equal(binary.doc._attachments["a.txt"].data.toString(), "hallo");
});

scenario("deleted documents leave the listing, update_seq comes when asked for", async (t) => {
  const db = await filled(t);
  await db.remove(await db.get("doc-000"));
  const listing = await db.allDocs({ update_seq: true, limit: 1 });
  assert.deepEqual(idsOf(listing), ["doc-001"]);
  assert.equal(listing.total_rows, COUNT - 1);
  assert.equal(listing.update_seq, (await db.info()).update_seq);
});
