// The changes feed as PouchDB's http adapter reads it.

import assert from "node:assert/strict";
import { remote } from "./support/devices.mjs";
import { scenario } from "./support/scenario.mjs";
import { eventually, live } from "./support/waiting.mjs";

const numbered = (count) => Array.from({ length: count }, (_, number) => ({ _id: `doc-${number}`, number }));
const idsOf = ({ results }) => results.map(({ id }) => id);

/** A live feed with what it brought so far. */
function following(t, db, options) {
  const rows = [];
  const feed = live(t, db.changes({ live: true, ...options }));
  feed.on("change", (row) => rows.push(row));
  return { feed, rows };
}

scenario("a live feed brings documents as they are written, until it is cancelled", async (t) => {
  const db = remote(t);
  await db.put({ _id: "before" });
  const { feed, rows } = following(t, db, { since: "now", include_docs: true });
  const completed = new Promise((resolve) => feed.once("complete", resolve));
  await new Promise((resolve) => setTimeout(resolve, 200)); // `now` is when the request arrives
  const { rev } = await db.put({ _id: "a", text: "new" });
  await eventually(() => assert.equal(rows.length, 1));
  assert.deepEqual(rows[0].doc, { _id: "a", _rev: rev, text: "new" });
  await db.remove("a", rev);
  await eventually(() => assert.equal(rows.length, 2));
  assert.equal(rows[1].deleted, true);
  assert.equal(rows[1].doc._deleted, true);

  feed.cancel();
  await completed;
  await db.put({ _id: "after" });
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(rows.length, 2);
});

scenario("a live feed from the beginning brings the past first, each document once", async (t) => {
  const db = remote(t);
  await db.bulkDocs(numbered(120));
  const { rows } = following(t, db, { since: 0 });
  await eventually(() => assert.equal(rows.length, 120));
  await db.put({ _id: "next" });
  await eventually(() => assert.equal(rows.length, 121));
  assert.equal(new Set(rows.map(({ id }) => id)).size, 121);
});

scenario("a feed goes on after a sequence without a gap and without a repetition", async (t) => {
  const db = remote(t);
  await db.bulkDocs(numbered(60));
  const seen = [];
  let since = 0;
  for (;;) {
    const page = await db.changes({ since, limit: 7 });
    if (page.results.length === 0) {
      break;
    }
    seen.push(...idsOf(page));
    since = page.last_seq;
    assert.equal(page.results.at(-1).seq, since);
  }
  assert.deepEqual(seen.sort(), numbered(60).map(({ _id }) => _id).sort());
  assert.equal((await db.info()).update_seq, since);
});

scenario("an edited document moves to the end of the feed", async (t) => {
  const db = remote(t);
  await db.bulkDocs(numbered(3));
  const { last_seq } = await db.changes();
  await db.put({ ...(await db.get("doc-0")), edited: true });
  assert.deepEqual(idsOf(await db.changes()), ["doc-1", "doc-2", "doc-0"]);
  assert.deepEqual(idsOf(await db.changes({ since: last_seq })), ["doc-0"]);
  assert.deepEqual(idsOf(await db.changes({ descending: true })), ["doc-0", "doc-2", "doc-1"]);
  assert.deepEqual(idsOf(await db.changes({ descending: true, limit: 1 })), ["doc-0"]);
});

scenario("doc_ids selects documents, in a page and live", async (t) => {
  const db = remote(t);
  await db.bulkDocs(numbered(30));
  const doc_ids = ["doc-3", "doc-17", "nothing"];
  assert.deepEqual(idsOf(await db.changes({ doc_ids })), ["doc-3", "doc-17"]);
  const { rows } = following(t, db, { doc_ids, include_docs: true, since: 0 });
  await eventually(() => assert.equal(rows.length, 2));
  await db.put({ _id: "doc-99" });
  await db.put({ _id: "nothing" });
  await eventually(() => assert.equal(rows.length, 3));
  assert.equal(rows[2].doc._id, "nothing");
});

scenario("a selector selects documents, in a page and live", async (t) => {
  const db = remote(t);
  await db.bulkDocs(numbered(30));
  const selector = { number: { $gte: 27 } };
  assert.deepEqual(idsOf(await db.changes({ selector })), ["doc-27", "doc-28", "doc-29"]);
  const { rows } = following(t, db, { selector, since: 0 });
  await eventually(() => assert.equal(rows.length, 3));
  await db.put({ _id: "low", number: 1 });
  await db.put({ _id: "high", number: 100 });
  await eventually(() => assert.equal(rows.length, 4));
  assert.equal(rows[3].id, "high");
});

scenario("a limit counts the documents that were selected", async (t) => {
  const db = remote(t);
  await db.bulkDocs(numbered(300));
  const selector = { number: { $mod: [100, 0] } };
  const first = await db.changes({ selector, limit: 2 });
  assert.deepEqual(idsOf(first), ["doc-0", "doc-100"]);
  assert.deepEqual(idsOf(await db.changes({ selector, since: first.last_seq })), ["doc-200"]);
});

scenario("style all_docs lists every leaf, conflicts and attachments come when asked for", async (t) => {
  const db = remote(t);
  const attached = { "a.txt": { content_type: "text/plain", data: "aGFsbG8=" } };
  await db.bulkDocs(
    [
      { _id: "doc", _rev: "1-a" },
      { _id: "doc", _rev: "1-b", _attachments: attached },
    ],
    { new_edits: false },
  );
  const { results: [row] } = await db.changes({ style: "all_docs", include_docs: true, conflicts: true });
  assert.deepEqual(row.changes, [{ rev: "1-b" }, { rev: "1-a" }]);
  assert.deepEqual(row.doc._conflicts, ["1-a"]);
  assert.equal(row.doc._attachments["a.txt"].stub, true);
  const { results: [whole] } = await db.changes({ include_docs: true, attachments: true });
  assert.deepEqual(whole.changes, [{ rev: "1-b" }]);
  assert.equal(whole.doc._attachments["a.txt"].data, "aGFsbG8=");
});

scenario("a limited live feed ends by itself", async (t) => {
  const db = remote(t);
  const { feed, rows } = following(t, db, { since: 0, limit: 2 });
  await db.bulkDocs(numbered(5));
  await feed;
  assert.equal(rows.length, 2);
});

scenario("deleting the database ends a live feed", async (t) => {
  const db = remote(t);
  await db.info();
  const { feed } = following(t, db, { since: "now" });
  const ended = new Promise((resolve) => {
    feed.once("complete", resolve);
    feed.once("error", resolve);
  });
  feed.catch(() => {});
  await db.destroy();
  await ended;
});
