// `_local/` documents: where checkpoints live, and nothing that replicates.

import assert from "node:assert/strict";
import { ask, device, remote } from "./support/devices.mjs";
import { scenario } from "./support/scenario.mjs";

const path = (db) => new URL(db.name).pathname;
const localIds = async (db) => (await ask("GET", `${path(db)}/_local_docs`)).body.rows.map(({ id }) => id).sort();

scenario("push and pull leave one checkpoint each, on both ends the same", async (t) => {
  const server = remote(t);
  const local = device(t);
  await local.bulkDocs([{ _id: "a" }, { _id: "b" }]);
  await local.replicate.to(server);
  const [push] = await localIds(server);
  assert.ok(push.startsWith("_local/"));
  await server.put({ _id: "c" });
  await local.replicate.from(server);

  const ids = await localIds(server);
  assert.equal(ids.length, 2);
  const sequences = {};
  for (const id of ids) {
    const here = await local.get(id);
    const there = await server.get(id);
    assert.equal(here.last_seq, there.last_seq);
    assert.equal(here.session_id, there.session_id);
    assert.equal(here.replicator, "pouchdb");
    sequences[id] = there.last_seq;
  }
  const pull = ids.find((id) => id !== push);
  assert.equal(sequences[push], 2);
  assert.match(sequences[pull], /^3-/);
});

scenario("replications with other filters and of other devices have checkpoints of their own", async (t) => {
  const server = remote(t);
  await server.bulkDocs([{ _id: "a", kind: 1 }, { _id: "b", kind: 2 }]);
  const [one, other] = [device(t), device(t)];
  await one.replicate.from(server, { doc_ids: ["a"] });
  await one.replicate.from(server, { doc_ids: ["b"] });
  await one.replicate.from(server, { selector: { kind: 1 } });
  await one.replicate.from(server);
  assert.equal((await localIds(server)).length, 4);
  await other.replicate.from(server);
  assert.equal((await localIds(server)).length, 5);
});

scenario("a second replication goes on from the checkpoint", async (t) => {
  const server = remote(t);
  const local = device(t);
  await server.bulkDocs([{ _id: "a" }, { _id: "b" }]);
  assert.equal((await local.replicate.from(server)).docs_read, 2);
  assert.equal((await local.replicate.from(server)).docs_read, 0);
  await server.put({ _id: "c" });
  assert.equal((await local.replicate.from(server)).docs_read, 1);
});

scenario("a lost checkpoint on the server costs a comparison, not a transfer", async (t) => {
  const server = remote(t);
  const local = device(t);
  await local.bulkDocs([{ _id: "a" }, { _id: "b" }]);
  await local.replicate.to(server);
  for (const id of await localIds(server)) {
    await ask("DELETE", `${path(server)}/_local/${encodeURIComponent(id.slice("_local/".length))}`);
  }
  const { docs_read, docs_written } = await local.replicate.to(server);
  assert.deepEqual([docs_read, docs_written], [0, 0]);
});

scenario("local documents are replicated in neither direction and appear in no listing", async (t) => {
  const server = remote(t);
  const local = device(t);
  await local.put({ _id: "_local/settings", device: true });
  await server.put({ _id: "_local/office", office: true });
  await local.put({ _id: "doc" });
  await local.sync(server);

  await assert.rejects(server.get("_local/settings"), { status: 404 });
  await assert.rejects(local.get("_local/office"), { status: 404 });
  assert.deepEqual((await server.allDocs()).rows.map(({ id }) => id), ["doc"]);
  assert.deepEqual((await server.changes()).results.map(({ id }) => id), ["doc"]);
  assert.equal((await server.info()).doc_count, 1);
});

scenario("local documents are written, read, overwritten and removed over http", async (t) => {
  const server = remote(t);
  const id = "_local/Gerät 7/ä+b%2F==";
  const { rev } = await server.put({ _id: id, n: 1 });
  assert.equal(rev, "0-1");
  assert.deepEqual(await server.get(id), { _id: id, _rev: "0-1", n: 1 });
  const second = await server.put({ _id: id, _rev: rev, n: 2 });
  assert.equal(second.rev, "0-2");
  await server.remove(id, second.rev);
  await assert.rejects(server.get(id), { status: 404 });
});
