// A week without a connection, and then a push during which the server is killed (SIGKILL) and started again on the same
// data: see the runner, which kills it when some of them have arrived.

import assert from "node:assert/strict";
import { found, made, remote, same, synced } from "../personal/support/people.mjs";
import { device } from "../tests/support/devices.mjs";
import { Random } from "../tests/support/random.mjs";
import { scenario } from "../tests/support/scenario.mjs";

const VISITS = 40;
const CUSTOMERS = 12;
const day = (n) => new Date(Date.now() + n * 86_400_000);

scenario("seven days offline with photos and a receipt: a push that breaks off goes on, nothing is lost or doubled", async (t) => {
  const random = new Random(7);
  const db = device(t);
  await synced(db, "adm1");
  const own = (await db.allDocs({ include_docs: true })).rows
    .map((row) => row.doc)
    .filter((doc) => doc.type === "customer" && doc.owner === "adm1")
    .slice(0, CUSTOMERS);
  assert.equal(own.length, CUSTOMERS);

  const written = new Map();
  const keep = async (doc) => written.set(doc._id, (await db.put(doc)).rev);
  const photos = new Map();
  for (let n = 0; n < VISITS; n += 1) {
    const photo = random.bytes(30_000);
    const visit = made("activity", "adm1", {
      activityType: "visit",
      customerId: own[n % CUSTOMERS]._id,
      date: day(-7 + (n * 6) / VISITS).toISOString(),
      subject: `Besuch der Woche ${n}`,
      _attachments: { "theke.jpg": { content_type: "image/jpeg", data: photo } },
    });
    photos.set(visit._id, photo);
    await keep(visit);
  }
  for (const doc of own) {
    await keep({ ...(await db.get(doc._id)), notes: `Besucht in Woche 47: ${doc._id}`, modifiedBy: "adm1" });
  }
  const receipt = made("expense", "adm1", {
    title: "Parken",
    expenseDate: day(-3).toISOString().slice(0, 10),
    category: "parking",
    amount: 4.5,
    status: "draft",
    _attachments: { "beleg.jpg": { content_type: "image/jpeg", data: random.bytes(50_000) } },
  });
  await keep(receipt);
  assert.ok(written.size > 50);

  const denied = [];
  let interrupted = 0;
  const push = db.replicate.to(remote("adm1"), { retry: true, batch_size: 5, back_off_function: () => 100 });
  push.on("denied", (error) => denied.push(error));
  push.on("paused", (error) => {
    interrupted += error ? 1 : 0;
  });
  const result = await push;
  assert.ok(result.ok);
  assert.ok(interrupted > 0, "the server was killed too late");
  assert.deepEqual([denied, await synced(db, "adm1")], [[], []]);

  // Once each, as it was written or as the server went on from there; on another device of his as well.
  const visits = (await found({ type: "activity" })).filter((doc) => doc.subject.startsWith("Besuch der Woche "));
  assert.deepEqual(new Set(visits.map((doc) => doc._id)), new Set(photos.keys()));
  assert.equal(visits.length, VISITS);
  const fresh = device(t);
  await synced(fresh, "adm1");
  for (const [id, rev] of written) {
    await same(id, "adm1", fresh);
    const there = await fresh.get(id, { revs: true });
    assert.ok(there._revisions.ids.includes(rev.split("-")[1]), `${id} goes on from what was written`);
    assert.deepEqual(await db.get(id), await fresh.get(id));
  }
  for (const [id, photo] of photos) assert.ok(photo.equals(await fresh.getAttachment(id, "theke.jpg")));
  for (const doc of own) assert.match((await fresh.get(doc._id)).notes, /Woche 47/);
  assert.equal((await fresh.get(receipt._id)).amount, 4.5);
});
