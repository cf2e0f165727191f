// A device that was away while the server was compacted, or the database thrown away and made again.

import assert from "node:assert/strict";
import { ask, device, remote } from "./support/devices.mjs";
import { assertSame } from "./support/same.mjs";
import { scenario } from "./support/scenario.mjs";
import { eventually, live, stop } from "./support/waiting.mjs";

const path = (db) => new URL(db.name).pathname;

async function compact(db) {
  assert.equal((await ask("POST", `${path(db)}/_compact`)).status, 202);
  await eventually(async () => assert.equal((await ask("GET", path(db))).body.compact_running, false));
}

const numbered = (count) => Array.from({ length: count }, (_, number) => ({ _id: `doc-${number}`, number }));

async function recreate(db) {
  assert.equal((await ask("DELETE", path(db))).status, 200);
  assert.equal((await ask("PUT", path(db))).status, 201);
}

scenario("a device that was away gets everything after the server was compacted", async (t) => {
  const server = remote(t);
  const local = device(t);
  await server.bulkDocs(numbered(50));
  await local.sync(server);

  const photo = { content_type: "image/png", data: Buffer.alloc(5000, 9) };
  for (let round = 0; round < 5; round += 1) {
    const { rows } = await server.allDocs({ include_docs: true });
    await server.bulkDocs(rows.slice(0, 20).map(({ doc }) => ({ ...doc, round })));
  }
  await server.remove(await server.get("doc-7"));
  await server.put({ _id: "new", _attachments: { photo } });
  await server.put({ ...(await server.get("new")), edited: true });
  await compact(server);

  await local.sync(server);
  assert.equal((await local.get("doc-10")).round, 4);
  assert.ok(photo.data.equals(await local.getAttachment("new", "photo")));
  await assert.rejects(local.get("doc-7"), { status: 404 });
  await assertSame(local, server);
  const fresh = device(t);
  await fresh.sync(server);
  await assertSame(fresh, server);
});

scenario("an edit of a revision that was compacted away is a conflict with both contents", async (t) => {
  const server = remote(t);
  const local = device(t);
  await server.put({ _id: "doc", text: "old" });
  await local.sync(server);
  for (const text of ["second", "third", "fourth"]) {
    await server.put({ ...(await server.get("doc")), text });
  }
  await compact(server);
  await local.put({ ...(await local.get("doc")), text: "offline" });
  await local.sync(server);

  const doc = await server.get("doc", { conflicts: true });
  assert.equal(doc.text, "fourth");
  assert.equal((await server.get("doc", { rev: doc._conflicts[0] })).text, "offline");
  await assertSame(local, server);
});

scenario("conflicts and their contents survive compaction", async (t) => {
  const server = remote(t);
  const docs = [
    { _id: "doc", _rev: "2-b", text: "b", _revisions: { start: 2, ids: ["b", "a"] } },
    { _id: "doc", _rev: "2-c", text: "c", _revisions: { start: 2, ids: ["c", "a"] } },
  ];
  await server.bulkDocs(docs, { new_edits: false });
  await compact(server);
  assert.equal((await server.get("doc", { rev: "2-b" })).text, "b");
  const local = device(t);
  await local.replicate.from(server);
  await assertSame(local, server);
});

scenario("writes and live replication go on while the server compacts", async (t) => {
  const server = remote(t);
  const local = device(t);
  await server.bulkDocs(numbered(500));
  const pull = live(t, local.replicate.from(server, { live: true, retry: true }));
  for (let round = 0; round < 5; round += 1) {
    await ask("POST", `${path(server)}/_compact`);
    await server.bulkDocs(Array.from({ length: 20 }, (_, number) => ({ _id: `round-${round}-${number}` })));
  }
  await eventually(async () => assert.equal((await local.info()).doc_count, 600));
  await stop(pull);
  await assertSame(local, server);
});

scenario("a device pushes everything again to a database that was deleted and made again", async (t) => {
  const server = remote(t);
  const local = device(t);
  await local.bulkDocs(numbered(30));
  await server.put({ _id: "from-server" });
  await local.sync(server);
  await recreate(server);

  await local.sync(server);
  assert.equal((await server.info()).doc_count, 31);
  await assertSame(local, server);
});

scenario("a device gets what a database holds that was made again, however short its history", async (t) => {
  const server = remote(t);
  const local = device(t);
  await server.bulkDocs(numbered(200));
  await local.replicate.from(server);
  await recreate(server);
  // Fewer changes than the checkpoint counts: a number alone would skip them all.
  await server.bulkDocs([{ _id: "other-1" }, { _id: "other-2" }]);

  const { docs_read } = await local.replicate.from(server);
  assert.equal(docs_read, 2);
  assert.equal((await local.get("other-1"))._id, "other-1");
  await local.replicate.to(server);
  await assertSame(local, server);
});

scenario("a sequence of the deleted database brings everything of the new one", async (t) => {
  const server = remote(t);
  await server.bulkDocs(numbered(20));
  const { last_seq } = await server.changes();
  await recreate(server);
  await server.bulkDocs(numbered(30));
  const { results } = await server.changes({ since: last_seq });
  assert.equal(results.length, 30);
});

scenario("a live pull goes on after the database was deleted and made again", async (t) => {
  const server = remote(t);
  const local = device(t);
  await server.bulkDocs(numbered(10));
  const pull = live(t, local.replicate.from(server, { live: true, retry: true, back_off_function: () => 50 }));
  await eventually(async () => assert.equal((await local.info()).doc_count, 10));
  await recreate(server);
  await server.put({ _id: "second-life" });
  await eventually(() => local.get("second-life"));
  await server.put({ _id: "and-on" });
  await eventually(() => local.get("and-on"));
  await stop(pull);
});
