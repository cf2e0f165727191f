// Several devices edit the same documents while they are offline.

import assert from "node:assert/strict";
import { device, remote } from "./support/devices.mjs";
import { Random } from "./support/random.mjs";
import { assertSame } from "./support/same.mjs";
import { scenario } from "./support/scenario.mjs";

/** Syncs the devices one after the other until nothing is transferred any more. */
async function settle(devices, server) {
  for (;;) {
    let transferred = 0;
    for (const db of devices) {
      const { push, pull } = await db.sync(server);
      transferred += push.docs_written + pull.docs_written;
    }
    if (transferred === 0) {
      return;
    }
  }
}

const edit = async (db, id, change) => db.put({ ...(await db.get(id)), ...change });

scenario("offline edits of three devices end in the same winner and the same conflicts", async (t) => {
  const server = remote(t);
  const devices = [device(t), device(t), device(t)];
  await devices[0].put({ _id: "order", state: "Angebot" });
  await settle(devices, server);

  await edit(devices[0], "order", { state: "Auftrag" });
  await edit(devices[1], "order", { state: "abgelehnt" });
  await edit(devices[1], "order", { state: "verschoben" });
  await edit(devices[2], "order", { state: "Rückfrage" });
  await settle([devices[2], devices[0], devices[1]], server);

  for (const db of [...devices, server]) {
    const doc = await db.get("order", { conflicts: true });
    assert.equal(doc.state, "verschoben"); // the longest history wins
    assert.equal(doc._conflicts.length, 2);
    await assertSame(db, server);
  }
});

scenario("a conflict resolved on one device is resolved on the others", async (t) => {
  const server = remote(t);
  const devices = [device(t), device(t), device(t)];
  await devices[0].put({ _id: "order", notes: [] });
  await settle(devices, server);
  for (const [number, db] of devices.entries()) {
    await edit(db, "order", { notes: [`von ${number}`] });
  }
  await settle(devices, server);

  const winner = await devices[1].get("order", { conflicts: true });
  const losers = await Promise.all(winner._conflicts.map((rev) => devices[1].get("order", { rev })));
  const notes = [winner, ...losers].flatMap((doc) => doc.notes).sort();
  await devices[1].bulkDocs([
    { _id: "order", _rev: winner._rev, notes },
    ...losers.map(({ _id, _rev }) => ({ _id, _rev, _deleted: true })),
  ]);
  await settle(devices, server);

  for (const db of [...devices, server]) {
    const doc = await db.get("order", { conflicts: true });
    assert.deepEqual(doc.notes, ["von 0", "von 1", "von 2"]);
    assert.equal(doc._conflicts, undefined);
    await assertSame(db, server);
  }
});

scenario("devices that resolve the same conflict differently converge again", async (t) => {
  const server = remote(t);
  const devices = [device(t), device(t)];
  await devices[0].put({ _id: "order" });
  await settle(devices, server);
  await edit(devices[0], "order", { by: 0 });
  await edit(devices[1], "order", { by: 1 });
  await settle(devices, server);

  const { _rev, _conflicts: [loser] } = await server.get("order", { conflicts: true });
  await devices[0].remove("order", loser);
  await devices[1].remove("order", _rev);
  await settle(devices, server);
  for (const db of devices) {
    await assertSame(db, server);
    await assert.rejects(db.get("order"), { status: 404, reason: "deleted" });
  }
});

scenario("the same edit made on two devices is one revision", async (t) => {
  const server = remote(t);
  const devices = [device(t), device(t)];
  await devices[0].put({ _id: "order" });
  await settle(devices, server);
  await edit(devices[0], "order", { state: "Auftrag" });
  await edit(devices[1], "order", { state: "Auftrag" });
  await settle(devices, server);
  assert.equal((await server.get("order", { conflicts: true }))._conflicts, undefined);
});

scenario("a document with 300 conflicts replicates in both directions", async (t) => {
  const server = remote(t);
  const [one, other] = [device(t), device(t)];
  const docs = Array.from({ length: 300 }, (_, number) => ({
    _id: "doc",
    _rev: `1-${String(number).padStart(32, "0")}`,
    number,
  }));
  await one.bulkDocs(docs, { new_edits: false });
  await one.replicate.to(server);
  await other.replicate.from(server);
  await assertSame(one, server);
  await assertSame(other, server);
});

/** Edits, deletions and resolutions on three devices that replicate now and then. */
async function interleave(t, seed) {
  const random = new Random(seed);
  const server = remote(t);
  const devices = [device(t), device(t), device(t)];
  const ids = Array.from({ length: 12 }, (_, number) => `doc-${number}`);
  const step = async (db) => {
    const id = random.pick(ids);
    const doc = await db.get(id, { conflicts: true }).catch(() => ({ _id: id }));
    const dice = random.number();
    if (doc._conflicts && dice < 0.4) {
      await db.remove(id, random.pick(doc._conflicts));
    } else if (doc._rev && dice < 0.6) {
      await db.remove(id, doc._rev);
    } else {
      delete doc._conflicts;
      await db.put({ ...doc, value: random.integer(0, 1e6) });
    }
  };
  for (let round = 0; round < 6; round += 1) {
    for (const db of random.shuffled(devices)) {
      for (let steps = random.integer(0, 8); steps > 0; steps -= 1) {
        await step(db);
      }
      if (random.number() < 0.6) {
        await random.pick([() => db.replicate.to(server), () => db.replicate.from(server), () => db.sync(server)])();
      }
    }
  }
  await settle(random.shuffled(devices), server);
  for (const db of devices) {
    await assertSame(db, server);
  }
}

scenario("any interleaving of edits, deletions and resolutions converges (1)", (t) => interleave(t, 1));
scenario("any interleaving of edits, deletions and resolutions converges (2)", (t) => interleave(t, 2));
scenario("any interleaving of edits, deletions and resolutions converges (3)", (t) => interleave(t, 3));
