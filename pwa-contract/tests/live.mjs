// Two devices that stay in sync with the server while people work on both.

import assert from "node:assert/strict";
import { device, remote } from "./support/devices.mjs";
import { Random } from "./support/random.mjs";
import { assertSame, leaves } from "./support/same.mjs";
import { scenario } from "./support/scenario.mjs";
import { eventually, live, stop } from "./support/waiting.mjs";

const LIVE = { live: true, retry: true };

function pair(t) {
  const server = remote(t);
  const devices = [device(t), device(t)];
  const syncs = devices.map((db) => live(t, db.sync(server, LIVE)));
  const failures = [];
  for (const sync of syncs) {
    sync.on("error", (error) => failures.push(error));
    sync.on("denied", (error) => failures.push(error));
  }
  const end = async () => {
    await Promise.all(syncs.map(stop));
    assert.deepEqual(failures, []);
  };
  return { server, devices, end };
}

scenario("edits, attachments and deletions arrive on the other device while both are live", async (t) => {
  const { server, devices: [one, other], end } = pair(t);

  await one.put({ _id: "visit", text: "geplant" });
  const arrived = await eventually(() => other.get("visit"));
  assert.equal(arrived.text, "geplant");

  await other.put({ ...arrived, text: "besucht" });
  await eventually(async () => assert.equal((await one.get("visit")).text, "besucht"));

  const { _rev } = await one.get("visit");
  await one.putAttachment("visit", "foto.png", _rev, Buffer.from([0, 1, 2, 255]), "image/png");
  const photo = await eventually(() => other.getAttachment("visit", "foto.png"));
  assert.deepEqual([...photo], [0, 1, 2, 255]);

  await other.remove(await other.get("visit"));
  await eventually(() => assert.rejects(one.get("visit"), { status: 404, reason: "deleted" }));

  await end();
  await assertSame(one, server);
  await assertSame(other, server);
});

scenario("several hundred edits made on both devices at once end the same everywhere", async (t) => {
  const { server, devices, end } = pair(t);
  const random = new Random(42);
  const edit = async (db, id, by) => {
    const doc = await db.get(id).catch(() => ({ _id: id }));
    // Another edit may have come in between; then this one isn't made.
    await (random.number() < 0.1 && doc._rev ? db.remove(doc) : db.put({ ...doc, by })).catch((error) => {
      assert.equal(error.status, 409);
    });
  };
  for (let round = 0; round < 150; round += 1) {
    await Promise.all(devices.map((db, by) => edit(db, `doc-${random.integer(0, 60)}`, `${by}/${round}`)));
  }
  await eventually(async () => {
    const [one, other, third] = await Promise.all([...devices, server].map(leaves));
    assert.deepEqual(one, third);
    assert.deepEqual(other, third);
  });
  await end();
  await assertSame(devices[0], server);
  await assertSame(devices[1], server);
});

scenario("a device that joins later gets the past and what comes then", async (t) => {
  const { server, devices: [one], end } = pair(t);
  await one.bulkDocs(Array.from({ length: 250 }, (_, number) => ({ _id: `old-${number}` })));
  await eventually(async () => assert.equal((await server.info()).doc_count, 250));

  const late = device(t);
  const pull = live(t, late.replicate.from(server, LIVE));
  await eventually(async () => assert.equal((await late.info()).doc_count, 250));
  await one.put({ _id: "new" });
  await eventually(() => late.get("new"));
  await stop(pull);
  await end();
});
