// Deletions are revisions: they travel, they lose against edits, and something may come after them.

import assert from "node:assert/strict";
import { device, remote } from "./support/devices.mjs";
import { assertSame, leaves } from "./support/same.mjs";
import { scenario } from "./support/scenario.mjs";

/** Two devices and the server, all with the document `doc`. */
async function shared(t) {
  const server = remote(t);
  const one = device(t);
  const other = device(t);
  await one.put({ _id: "doc", text: "first" });
  await one.sync(server);
  await other.sync(server);
  return { server, one, other };
}

const gone = { status: 404, reason: "deleted" };

scenario("a deletion with a last word reaches the other device with its body", async (t) => {
  const { server, one, other } = await shared(t);
  const { _rev } = await one.get("doc");
  const { rev } = await one.put({ _id: "doc", _rev, _deleted: true, reason: "doppelt" });
  await one.sync(server);
  await other.sync(server);
  for (const db of [server, other]) {
    await assert.rejects(db.get("doc"), gone);
    assert.deepEqual(await db.get("doc", { rev }), { _id: "doc", _rev: rev, _deleted: true, reason: "doppelt" });
  }
  assert.equal((await server.info()).doc_count, 0);
  await assertSame(other, server);
});

scenario("an edit wins over a deletion made elsewhere at the same time", async (t) => {
  const { server, one, other } = await shared(t);
  await one.remove(await one.get("doc"));
  await other.put({ ...(await other.get("doc")), text: "edited" });
  await one.sync(server);
  await other.sync(server);
  await one.sync(server);
  for (const db of [server, one, other]) {
    const doc = await db.get("doc", { conflicts: true });
    assert.equal(doc.text, "edited");
    assert.equal(doc._conflicts, undefined);
    await assertSame(db, server);
  }
  assert.equal((await leaves(server)).doc.revs.length, 2);
});

scenario("a longer history of a deletion doesn't beat an edit", async (t) => {
  const { server, one, other } = await shared(t);
  await one.put({ ...(await one.get("doc")), text: "second" });
  await one.put({ ...(await one.get("doc")), text: "third" });
  await one.remove(await one.get("doc"));
  await other.put({ ...(await other.get("doc")), text: "edited" });
  await one.sync(server);
  await other.sync(server);
  await one.sync(server);
  assert.equal((await server.get("doc")).text, "edited");
  assert.equal((await one.get("doc")).text, "edited");
});

scenario("a document created again after its deletion goes on from the tombstone everywhere", async (t) => {
  const { server, one, other } = await shared(t);
  await one.remove(await one.get("doc"));
  await one.sync(server);
  await other.sync(server);

  await other.put({ _id: "doc", text: "again" });
  await other.sync(server);
  await one.sync(server);
  for (const db of [server, one, other]) {
    const doc = await db.get("doc", { conflicts: true });
    assert.match(doc._rev, /^3-/);
    assert.equal(doc.text, "again");
    assert.equal(doc._conflicts, undefined);
    await assertSame(db, server);
  }
});

scenario("a document deleted on a device is created again on the server", async (t) => {
  const { server, one } = await shared(t);
  await one.remove(await one.get("doc"));
  await one.sync(server);
  await server.put({ _id: "doc", text: "from the office" });
  await one.sync(server);
  assert.equal((await one.get("doc")).text, "from the office");
  await assertSame(one, server);
});

scenario("a deletion nobody has the document of arrives as a tombstone", async (t) => {
  const server = remote(t);
  const one = device(t);
  const { rev } = await one.put({ _id: "doc" });
  await one.remove("doc", rev);
  await one.replicate.to(server);
  await assert.rejects(server.get("doc"), gone);
  const fresh = device(t);
  const { docs_written } = await fresh.replicate.from(server);
  assert.equal(docs_written, 1);
  await assert.rejects(fresh.get("doc"), gone);
});

scenario("deletions of both sides of a conflict leave nothing", async (t) => {
  const { server, one, other } = await shared(t);
  await one.remove(await one.get("doc"));
  await other.put({ ...(await other.get("doc")), text: "edited" });
  await other.remove(await other.get("doc"));
  await one.sync(server);
  await other.sync(server);
  await one.sync(server);
  await assert.rejects(server.get("doc"), gone);
  await assertSame(one, server);
  await assertSame(other, server);
});
